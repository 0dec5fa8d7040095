-- What follows the log: orders, their lines and history, SKUs, and how far each shard was followed.
-- Times are unix milliseconds, amounts minor units. Ids, ops and amounts are below 2^63; chain hashes use all 64 bits.
-- A statement may run twice: MySQL commits each one by itself, so a start that dies in the midst is gone over again.

-- One row: this store's name, made with it. The data directory that feeds it keeps the same one.
CREATE TABLE IF NOT EXISTS store (
  only_row TINYINT UNSIGNED NOT NULL PRIMARY KEY,
  name VARCHAR(64) NOT NULL
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;

CREATE TABLE IF NOT EXISTS marks (
  shard SMALLINT UNSIGNED NOT NULL PRIMARY KEY,
  applied_op BIGINT UNSIGNED NOT NULL,
  applied_chain BIGINT UNSIGNED NOT NULL,
  published_op BIGINT UNSIGNED NOT NULL,
  published_chain BIGINT UNSIGNED NOT NULL
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;

CREATE TABLE IF NOT EXISTS orders (
  id BIGINT UNSIGNED NOT NULL PRIMARY KEY,
  buyer BINARY(16) NOT NULL,
  subject VARCHAR(128) NOT NULL,
  -- 'gathering', 'pending', 'confirmed', 'cancelled', 'expired'
  status VARCHAR(16) NOT NULL,
  total BIGINT UNSIGNED NOT NULL,
  currency CHAR(3) NOT NULL,
  placed_at BIGINT UNSIGNED NOT NULL,
  changed_at BIGINT UNSIGNED NOT NULL,
  pay_by BIGINT UNSIGNED NOT NULL,
  charge VARCHAR(63) NULL,
  refund_due VARCHAR(63) NULL,
  -- A buyer's own, newest first, by keyset.
  KEY orders_by_buyer (buyer, id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;

CREATE TABLE IF NOT EXISTS order_lines (
  order_id BIGINT UNSIGNED NOT NULL,
  sku VARCHAR(47) NOT NULL,
  qty INT UNSIGNED NOT NULL,
  PRIMARY KEY (order_id, sku),
  KEY lines_by_sku (sku, order_id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;

-- What the order's home shard logged about it; ops are that shard's.
CREATE TABLE IF NOT EXISTS history (
  order_id BIGINT UNSIGNED NOT NULL,
  op BIGINT UNSIGNED NOT NULL,
  shard SMALLINT UNSIGNED NOT NULL,
  at BIGINT UNSIGNED NOT NULL,
  -- The entry's kind, as `tidegate log dump` prints it.
  kind VARCHAR(32) NOT NULL,
  -- A JSON object, or NULL where the kind says all.
  detail VARCHAR(512) NULL,
  PRIMARY KEY (order_id, op)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;

CREATE TABLE IF NOT EXISTS skus (
  sku VARCHAR(47) NOT NULL PRIMARY KEY,
  name VARCHAR(200) NOT NULL,
  price BIGINT UNSIGNED NOT NULL,
  currency CHAR(3) NOT NULL,
  stocked BIGINT UNSIGNED NOT NULL,
  buyer_limit INT UNSIGNED NULL,
  -- 'sku' or 'group'
  limit_scope VARCHAR(8) NOT NULL,
  sale_start BIGINT UNSIGNED NULL,
  sale_end BIGINT UNSIGNED NULL,
  hold_ms INT UNSIGNED NOT NULL,
  paused BOOLEAN NOT NULL,
  changed_at BIGINT UNSIGNED NOT NULL
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
