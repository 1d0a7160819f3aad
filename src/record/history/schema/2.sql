-- What probes remember of a tier and must not forget when nixdash ends: volume servers that were
-- seen, the path that proved a signature, what was dead in the hosts' stores. One JSON value each.

CREATE TABLE memory (
  tier INTEGER NOT NULL REFERENCES tiers,
  name TEXT NOT NULL,
  at INTEGER NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (tier, name)
) STRICT, WITHOUT ROWID;
