-- How long each phase of a host's run took: what a run is expected to take is told from it.
CREATE TABLE run_phases (
  run INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
  host TEXT NOT NULL,
  phase TEXT NOT NULL,
  ms INTEGER NOT NULL,
  PRIMARY KEY (run, host, phase)
) STRICT, WITHOUT ROWID;
