-- How long each derivation took that was built in a run: what a build is expected to take is told from it.
CREATE TABLE run_builds (
  run INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
  host TEXT NOT NULL,
  name TEXT NOT NULL,
  package TEXT NOT NULL,
  build_on TEXT NOT NULL,
  at INTEGER NOT NULL,
  ms INTEGER NOT NULL,
  PRIMARY KEY (run, host, name)
) STRICT, WITHOUT ROWID;

CREATE INDEX run_builds_of_package ON run_builds (build_on, package, at);
