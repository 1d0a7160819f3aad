-- Which system a host ran: a row for each change that was seen, from when it was first found until it was
-- found last. The first of a host is no change: it ran already when it was first looked at.
CREATE TABLE systems (
  host TEXT NOT NULL,
  at INTEGER NOT NULL,
  seen_at INTEGER NOT NULL,
  running TEXT NOT NULL,
  generation INTEGER,
  version TEXT,
  PRIMARY KEY (host, at)
) STRICT, WITHOUT ROWID;
