-- What the shop keeps beside the rows that follow the log: charges, the callbacks that came for them, and imports of the catalogue.

-- One attempt to have an order paid. A row is durable before a shard or a provider hears of the charge.
CREATE TABLE charges (
    charge TEXT PRIMARY KEY,
    order_id INTEGER NOT NULL,
    amount INTEGER NOT NULL,
    currency TEXT NOT NULL,
    provider TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN
        ('created', 'started', 'approved', 'declined', 'paid', 'closed', 'refund_due', 'refunded')),
    payment_url TEXT,
    close_at INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    changed_at INTEGER NOT NULL,
    -- When the recovery job looks at it next, and how often in a row that came to nothing.
    next_at INTEGER NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
CREATE INDEX charges_order ON charges (order_id);
CREATE INDEX charges_due ON charges (next_at) WHERE status NOT IN ('paid', 'closed', 'refunded');

-- What providers said, verbatim, before they were answered.
CREATE TABLE callbacks (
    id INTEGER PRIMARY KEY,
    charge TEXT NOT NULL,
    provider TEXT NOT NULL,
    at INTEGER NOT NULL,
    raw BLOB NOT NULL
) STRICT;
CREATE INDEX callbacks_charge ON callbacks (charge);

-- The books of the provider `simulated`: it stands for another company's database.
CREATE TABLE simulated_charges (
    charge TEXT PRIMARY KEY,
    amount INTEGER NOT NULL,
    currency TEXT NOT NULL,
    standing TEXT NOT NULL CHECK (standing IN ('open', 'paid', 'declined', 'closed', 'refunded')),
    -- A payment that was approved and arrives later.
    pays_at INTEGER
) STRICT, WITHOUT ROWID;
