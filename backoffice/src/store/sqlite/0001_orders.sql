-- What follows the log: orders, their lines and history, SKUs, and how far each shard was followed.
-- Ids, ops and amounts are unsigned and below 2^63. Chain hashes use all 64 bits and are stored as the signed number of the same bits.
-- Times are unix milliseconds, amounts minor units.

-- This store's name, made with it. The data directory that feeds it keeps the same one.
CREATE TABLE store (name TEXT NOT NULL) STRICT;
INSERT INTO store VALUES ('sqlite-' || lower(hex(randomblob(8))));

CREATE TABLE marks (
  shard INTEGER PRIMARY KEY,
  applied_op INTEGER NOT NULL,
  applied_chain INTEGER NOT NULL,
  published_op INTEGER NOT NULL,
  published_chain INTEGER NOT NULL
) STRICT;

CREATE TABLE orders (
  id INTEGER PRIMARY KEY,
  buyer BLOB NOT NULL,
  subject TEXT NOT NULL,
  -- 'gathering', 'pending', 'confirmed', 'cancelled', 'expired'
  status TEXT NOT NULL,
  total INTEGER NOT NULL,
  currency TEXT NOT NULL,
  placed_at INTEGER NOT NULL,
  changed_at INTEGER NOT NULL,
  pay_by INTEGER NOT NULL,
  charge TEXT,
  refund_due TEXT
) STRICT;
-- Also for a buyer's own: who asks has one subject, and the buyer is compared in the row. A second index would cost each order another
-- page, since users come in no order.
CREATE INDEX orders_by_subject ON orders (subject, id);

CREATE TABLE lines (
  order_id INTEGER NOT NULL,
  sku TEXT NOT NULL,
  qty INTEGER NOT NULL,
  PRIMARY KEY (order_id, sku)
) STRICT, WITHOUT ROWID;
CREATE INDEX lines_by_sku ON lines (sku, order_id);

-- What the order's home shard logged about it; ops are that shard's.
CREATE TABLE history (
  order_id INTEGER NOT NULL,
  op INTEGER NOT NULL,
  shard INTEGER NOT NULL,
  at INTEGER NOT NULL,
  -- The entry's kind, as `tidegate log dump` prints it.
  kind TEXT NOT NULL,
  -- A JSON object, or NULL where the kind says all.
  detail TEXT,
  PRIMARY KEY (order_id, op)
) STRICT, WITHOUT ROWID;

CREATE TABLE skus (
  sku TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  price INTEGER NOT NULL,
  currency TEXT NOT NULL,
  stocked INTEGER NOT NULL,
  buyer_limit INTEGER,
  -- 'sku' or 'group'
  limit_scope TEXT NOT NULL,
  sale_start INTEGER,
  sale_end INTEGER,
  hold_ms INTEGER NOT NULL,
  paused INTEGER NOT NULL,
  changed_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
