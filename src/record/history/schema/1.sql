-- The first shape of the history. Times are milliseconds since 1970, sizes are bytes, NULL is
-- "not measured". `step` is the width of a sample in milliseconds: 0 as measured, else thinned.

CREATE TABLE hosts (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE
) STRICT;

-- A tier that moves to another address is another tier: its figures do not go on.
CREATE TABLE tiers (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL,
  kind TEXT NOT NULL,
  url TEXT NOT NULL,
  via TEXT NOT NULL,
  UNIQUE (name, kind, url, via)
) STRICT;

CREATE TABLE host_samples (
  host INTEGER NOT NULL REFERENCES hosts,
  step INTEGER NOT NULL,
  at INTEGER NOT NULL,
  probes INTEGER NOT NULL,
  answered INTEGER NOT NULL,
  state TEXT NOT NULL,
  latency_ms REAL,
  load1 REAL,
  memory_used INTEGER,
  memory_total INTEGER,
  disk_used INTEGER,
  disk_total INTEGER,
  failed_units INTEGER,
  generation INTEGER,
  PRIMARY KEY (host, step, at)
) STRICT, WITHOUT ROWID;

CREATE TABLE store_samples (
  host INTEGER NOT NULL REFERENCES hosts,
  step INTEGER NOT NULL,
  at INTEGER NOT NULL,
  paths INTEGER NOT NULL,
  bytes INTEGER NOT NULL,
  PRIMARY KEY (host, step, at)
) STRICT, WITHOUT ROWID;

CREATE TABLE tier_samples (
  tier INTEGER NOT NULL REFERENCES tiers,
  step INTEGER NOT NULL,
  at INTEGER NOT NULL,
  probes INTEGER NOT NULL,
  usable INTEGER NOT NULL,
  state TEXT NOT NULL,
  latency_ms REAL,
  connect_ms REAL,
  answered INTEGER,
  answered_of INTEGER,
  requests_per_s REAL,
  not_found REAL,
  PRIMARY KEY (tier, step, at)
) STRICT, WITHOUT ROWID;

CREATE TABLE size_samples (
  tier INTEGER NOT NULL REFERENCES tiers,
  step INTEGER NOT NULL,
  at INTEGER NOT NULL,
  bytes INTEGER NOT NULL,
  objects INTEGER,
  limit_bytes INTEGER,
  exact INTEGER NOT NULL,
  PRIMARY KEY (tier, step, at)
) STRICT, WITHOUT ROWID;

CREATE TABLE coverage_samples (
  host INTEGER NOT NULL REFERENCES hosts,
  tier INTEGER NOT NULL REFERENCES tiers,
  step INTEGER NOT NULL,
  at INTEGER NOT NULL,
  paths INTEGER NOT NULL,
  paths_of INTEGER NOT NULL,
  bytes INTEGER NOT NULL,
  bytes_of INTEGER NOT NULL,
  PRIMARY KEY (host, tier, step, at)
) STRICT, WITHOUT ROWID;

-- The last answer of every tier, whole, so that several nixdash need not all ask.
CREATE TABLE tier_facts (
  tier INTEGER PRIMARY KEY REFERENCES tiers,
  at INTEGER NOT NULL,
  facts TEXT NOT NULL
) STRICT;

-- Requests that were made of a tier in a calendar month (UTC, as providers count): '2026-11'.
CREATE TABLE requests (
  tier INTEGER NOT NULL REFERENCES tiers,
  month TEXT NOT NULL,
  count INTEGER NOT NULL,
  PRIMARY KEY (tier, month)
) STRICT, WITHOUT ROWID;

-- Numbers of runs begin anew when their folder is removed, so a run is number and time.
CREATE TABLE runs (
  id INTEGER PRIMARY KEY,
  number TEXT NOT NULL,
  began_at INTEGER NOT NULL,
  title TEXT NOT NULL,
  action TEXT,
  strategy TEXT,
  revision TEXT,
  ended_at INTEGER,
  duration_ms INTEGER,
  UNIQUE (number, began_at)
) STRICT;

CREATE INDEX runs_by_time ON runs (began_at);

CREATE TABLE run_hosts (
  run INTEGER NOT NULL REFERENCES runs,
  host TEXT NOT NULL,
  place INTEGER NOT NULL,
  ended_at INTEGER,
  outcome TEXT,
  toplevel TEXT,
  previous TEXT,
  duration_ms INTEGER,
  built INTEGER,
  error TEXT,
  PRIMARY KEY (run, host)
) STRICT, WITHOUT ROWID;

-- Where paths came from: fetched by the target ('host') or by the host that builds ('builder').
CREATE TABLE run_origins (
  run INTEGER NOT NULL REFERENCES runs,
  host TEXT NOT NULL,
  side TEXT NOT NULL CHECK (side IN ('host', 'builder')),
  source TEXT NOT NULL,
  paths INTEGER NOT NULL,
  bytes INTEGER NOT NULL,
  PRIMARY KEY (run, host, side, source)
) STRICT, WITHOUT ROWID;
