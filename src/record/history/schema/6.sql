-- How fast caches sent files in a run, by the host that fetched them: bytes as they came over the
-- network, of files of 1 MB or more, and how long at least one of these was on its way.
CREATE TABLE run_speeds (
  run INTEGER NOT NULL REFERENCES runs,
  host TEXT NOT NULL,
  side TEXT NOT NULL CHECK (side IN ('host', 'builder')),
  source TEXT NOT NULL,
  fetcher TEXT NOT NULL,
  at INTEGER NOT NULL,
  timed_bytes INTEGER NOT NULL,
  busy_ms INTEGER NOT NULL,
  PRIMARY KEY (run, host, side, source)
) STRICT, WITHOUT ROWID;

CREATE INDEX run_speeds_by_time ON run_speeds (at);

-- What tiers were seen to hold: when a path was last there, and since when it is not any more. Kept
-- apart from the answers, which are forgotten when a tier is not believed any more.
CREATE TABLE held (
  tier INTEGER NOT NULL REFERENCES tiers,
  path TEXT NOT NULL,
  held_at INTEGER NOT NULL,
  lost_at INTEGER,
  PRIMARY KEY (tier, path)
) STRICT, WITHOUT ROWID;
