-- What was wrong, with its begin and its end: findings of a host or tier that somebody should do something
-- about. `host` is whose Nix sees a tier so, '' where it is about the tier itself or about a host. `answered`
-- says whether its subject answered then: one that does not says nothing of its other troubles.
CREATE TABLE troubles (
  id INTEGER PRIMARY KEY,
  subject TEXT NOT NULL CHECK (subject IN ('host', 'tier')),
  name TEXT NOT NULL,
  host TEXT NOT NULL,
  code TEXT NOT NULL,
  severity TEXT NOT NULL,
  words TEXT NOT NULL,
  cause TEXT NOT NULL,
  answered INTEGER NOT NULL,
  began_at INTEGER NOT NULL,
  seen_at INTEGER NOT NULL,
  ended_at INTEGER
) STRICT;

CREATE UNIQUE INDEX troubles_that_go_on ON troubles (subject, name, host, code)
  WHERE ended_at IS NULL;
CREATE INDEX troubles_of_subject ON troubles (subject, name, host, code, ended_at);
CREATE INDEX troubles_by_time ON troubles (began_at);

-- When a host booted, by the number that its kernel gave that boot. The oldest one of a host is no
-- restart: it ran already when it was first looked at.
CREATE TABLE boots (
  host TEXT NOT NULL,
  boot TEXT NOT NULL,
  at INTEGER NOT NULL,
  PRIMARY KEY (host, boot)
) STRICT, WITHOUT ROWID;
