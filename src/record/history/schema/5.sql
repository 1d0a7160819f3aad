-- What was wrong with a host in a run: its findings, as JSON. A table of its own, so that a nixdash of the
-- older shape that still runs can go on writing results.
CREATE TABLE run_findings (
  run INTEGER NOT NULL REFERENCES runs,
  host TEXT NOT NULL,
  findings TEXT NOT NULL,
  PRIMARY KEY (run, host)
) STRICT, WITHOUT ROWID;
