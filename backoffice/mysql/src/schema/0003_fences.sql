-- The highest token by which each job that has one runner at a time was run. Tokens are below 2^63.
CREATE TABLE IF NOT EXISTS fences (
  job VARCHAR(256) NOT NULL PRIMARY KEY,
  token BIGINT UNSIGNED NOT NULL
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
