-- The lowest and the highest of what became one sample: a mean alone hides every peak. Tables of their
-- own, so that a nixdash of the older shape that still runs can go on writing samples. A sample as
-- measured has no row here, nor has one that was thinned before: its value is both.

CREATE TABLE host_extremes (
  host INTEGER NOT NULL REFERENCES hosts,
  step INTEGER NOT NULL,
  at INTEGER NOT NULL,
  latency_ms_low REAL,
  latency_ms_high REAL,
  load1_low REAL,
  load1_high REAL,
  memory_used_low INTEGER,
  memory_used_high INTEGER,
  disk_used_low INTEGER,
  disk_used_high INTEGER,
  PRIMARY KEY (host, step, at)
) STRICT, WITHOUT ROWID;

-- `answered_low` and `answered_high` are shares, 0 to 1, of the requests that a server counted.
CREATE TABLE tier_extremes (
  tier INTEGER NOT NULL REFERENCES tiers,
  step INTEGER NOT NULL,
  at INTEGER NOT NULL,
  latency_ms_low REAL,
  latency_ms_high REAL,
  answered_low REAL,
  answered_high REAL,
  PRIMARY KEY (tier, step, at)
) STRICT, WITHOUT ROWID;

-- Shares of the paths of a closure, 0 to 1.
CREATE TABLE coverage_extremes (
  host INTEGER NOT NULL REFERENCES hosts,
  tier INTEGER NOT NULL REFERENCES tiers,
  step INTEGER NOT NULL,
  at INTEGER NOT NULL,
  paths_low REAL,
  paths_high REAL,
  PRIMARY KEY (host, tier, step, at)
) STRICT, WITHOUT ROWID;
