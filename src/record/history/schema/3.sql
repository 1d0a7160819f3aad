-- What tiers said of paths, so that several nixdash need not all ask.
CREATE TABLE answers (
  tier INTEGER NOT NULL REFERENCES tiers,
  path TEXT NOT NULL,
  holds INTEGER NOT NULL,
  at INTEGER NOT NULL,
  PRIMARY KEY (tier, path)
) STRICT, WITHOUT ROWID;
