-- Imports of the catalogue: a file's parts as they were sent, and how many of its lines have their outcome.
CREATE TABLE imports (
  id TEXT PRIMARY KEY,
  state TEXT NOT NULL CHECK (state IN ('uploading', 'applying', 'done')),
  -- Lines of the file that set something; known once it was checked.
  lines INTEGER NOT NULL,
  -- The first so many of them have their outcome.
  done INTEGER NOT NULL,
  failed INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  changed_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- They go when their import is done.
CREATE TABLE import_parts (
  import_id TEXT NOT NULL,
  part INTEGER NOT NULL,
  -- The line of the file that the part's first line is, after the one with the columns' names.
  first_line INTEGER NOT NULL,
  text TEXT NOT NULL,
  PRIMARY KEY (import_id, part)
) STRICT, WITHOUT ROWID;

-- Lines that a shard refused.
CREATE TABLE import_failures (
  import_id TEXT NOT NULL,
  line INTEGER NOT NULL,
  code TEXT NOT NULL,
  detail TEXT NOT NULL,
  PRIMARY KEY (import_id, line)
) STRICT, WITHOUT ROWID;
