-- What the shop asks and keeps beside the rows that follow the log: an index for lists by subject, charges and the callbacks that came for
-- them, the books of the provider `simulated`, and imports of the catalogue.

-- Also for a buyer's own: who asks has one subject, and the buyer is compared in the row. A second index would cost each order another page,
-- since users come in no order. MySQL has no IF NOT EXISTS for indexes, and this may run twice.
SET @tidegate_due = IF(
  (SELECT COUNT(*) FROM information_schema.statistics
    WHERE table_schema = DATABASE() AND table_name = 'orders' AND index_name = 'orders_by_subject') = 0,
  'ALTER TABLE orders ADD KEY orders_by_subject (subject, id), DROP KEY orders_by_buyer',
  'DO 0');
PREPARE tidegate_due FROM @tidegate_due;
EXECUTE tidegate_due;
DEALLOCATE PREPARE tidegate_due;

-- One attempt to have an order paid. A row is durable before a shard or a provider hears of the charge.
CREATE TABLE IF NOT EXISTS charges (
  charge VARCHAR(63) NOT NULL PRIMARY KEY,
  order_id BIGINT UNSIGNED NOT NULL,
  -- From 1, by order: of two that open a charge of an order at once, one finds its number taken.
  number INT UNSIGNED NOT NULL,
  amount BIGINT UNSIGNED NOT NULL,
  currency CHAR(3) NOT NULL,
  provider VARCHAR(32) NOT NULL,
  -- 'created', 'started', 'approved', 'declined', 'paid', 'closed', 'refund_due', 'refunded'
  status VARCHAR(16) NOT NULL,
  payment_url VARCHAR(2048) NULL,
  close_at BIGINT UNSIGNED NOT NULL,
  created_at BIGINT UNSIGNED NOT NULL,
  changed_at BIGINT UNSIGNED NOT NULL,
  -- When the recovery job looks at it next, and how often in a row that came to nothing.
  next_at BIGINT UNSIGNED NOT NULL,
  attempts INT UNSIGNED NOT NULL DEFAULT 0,
  -- As `next_at`, of unfinished charges only.
  due_at BIGINT UNSIGNED GENERATED ALWAYS AS (IF(status IN ('paid', 'closed', 'refunded'), NULL, next_at)) STORED,
  UNIQUE KEY charges_of_order (order_id, number),
  KEY charges_due (due_at)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;

-- What providers said, verbatim, before they were answered.
CREATE TABLE IF NOT EXISTS callbacks (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  charge VARCHAR(63) NOT NULL,
  -- SHA-256 of it: a repeat is kept once.
  digest BINARY(32) NOT NULL,
  provider VARCHAR(32) NOT NULL,
  at BIGINT UNSIGNED NOT NULL,
  raw MEDIUMBLOB NOT NULL,
  UNIQUE KEY callbacks_of_charge (charge, digest)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;

-- The books of the provider `simulated`: it stands for another company's database.
CREATE TABLE IF NOT EXISTS simulated_charges (
  charge VARCHAR(63) NOT NULL PRIMARY KEY,
  amount BIGINT UNSIGNED NOT NULL,
  currency CHAR(3) NOT NULL,
  -- 'open', 'paid', 'declined', 'closed', 'refunded'
  standing VARCHAR(16) NOT NULL,
  -- A payment that was approved and arrives later.
  pays_at BIGINT UNSIGNED NULL
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;

-- Imports of the catalogue: a file's parts as they were sent, and how many of its lines have their outcome.
CREATE TABLE IF NOT EXISTS imports (
  id VARCHAR(96) NOT NULL PRIMARY KEY,
  -- 'uploading', 'applying', 'done'
  state VARCHAR(16) NOT NULL,
  -- Lines of the file that set something; known once it was checked.
  total BIGINT UNSIGNED NOT NULL,
  -- The first so many of them have their outcome.
  done BIGINT UNSIGNED NOT NULL,
  failed BIGINT UNSIGNED NOT NULL,
  created_at BIGINT UNSIGNED NOT NULL,
  changed_at BIGINT UNSIGNED NOT NULL,
  -- Which job applies it, and until when that keeps it unheard of, by the server's clock: those of the jobs may differ.
  driver BIGINT UNSIGNED NOT NULL DEFAULT 0,
  driven_until BIGINT UNSIGNED NOT NULL DEFAULT 0,
  KEY imports_by_state (state, changed_at)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;

-- They go when their import is done.
CREATE TABLE IF NOT EXISTS import_parts (
  import_id VARCHAR(96) NOT NULL,
  part INT UNSIGNED NOT NULL,
  -- The line of the file that the part's first line is, after the one with the columns' names.
  first_line BIGINT UNSIGNED NOT NULL,
  body MEDIUMTEXT NOT NULL,
  PRIMARY KEY (import_id, part)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;

-- Lines that a shard refused.
CREATE TABLE IF NOT EXISTS import_failures (
  import_id VARCHAR(96) NOT NULL,
  line BIGINT UNSIGNED NOT NULL,
  code VARCHAR(64) NOT NULL,
  detail TEXT NOT NULL,
  PRIMARY KEY (import_id, line)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
