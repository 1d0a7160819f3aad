-- What is missing in the folder of a run, and why.
CREATE TABLE run_gaps (
  run INTEGER NOT NULL REFERENCES runs,
  at INTEGER NOT NULL,
  why TEXT NOT NULL,
  lines INTEGER NOT NULL,
  events INTEGER NOT NULL,
  PRIMARY KEY (run, at, why)
) STRICT, WITHOUT ROWID;
