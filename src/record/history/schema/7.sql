-- The last answer of every host, whole, so that the next nixdash has something to show at once. Another
-- fleet may have a host of the same name: `reach` is how it is reached.
CREATE TABLE host_facts (
  host TEXT NOT NULL,
  reach TEXT NOT NULL,
  at INTEGER NOT NULL,
  facts TEXT NOT NULL,
  store TEXT,
  coverage TEXT,
  PRIMARY KEY (host, reach)
) STRICT, WITHOUT ROWID;
