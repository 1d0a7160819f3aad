//! A close look at a host's store: what hard links save there, and what no root keeps alive.
//!
//! It takes the lock of Nix's garbage collector, so builds on that host wait meanwhile: it is taken
//! seldom or when somebody asks, at idle priority, and never while a run is at work on this machine
//! or a run's job on the host.

use crate::fleet::{RunId, StoreDepth, Tier};
use crate::probe::memory::Memory;
use crate::record::Runs;
use crate::remote::{RemoteError, Script, ScriptRunner, Trouble};
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::time::Duration;

/// Looks.
const SCRIPT: &str = include_str!("scripts/depth.sh");

/// How long it may take on a big store and a slow disk.
const LIMIT: Duration = Duration::from_secs(10 * 60);

/// How often it is looked whether a run has begun meanwhile.
const RUNS_EVERY: Duration = Duration::from_secs(1);

/// A store could not be looked at closely.
#[derive(Debug, thiserror::Error)]
pub enum DepthError {
    /// A run is at work.
    #[error(
        "{host}: run #{run} is at work, and looking for garbage takes the collector's lock, \
         which the run's builds would wait for; ask again when the run has ended"
    )]
    Busy {
        /// The host.
        host: String,
        /// The run.
        run: RunId,
    },
    /// The host did not do it.
    #[error("{0}")]
    Remote(#[from] RemoteError),
}

/// Looks closely at a host's store, as root; takes ten minutes at most. Refuses, and ends what it
/// began, while one of `runs` is at work.
pub async fn depth(
    runner: &dyn ScriptRunner,
    host: &str,
    runs: Option<&Runs>,
) -> Result<StoreDepth, DepthError> {
    let busy = |run| DepthError::Busy { host: host.to_owned(), run };
    if let Some(run) = active(runs).await {
        return Err(busy(run));
    }
    let began = async {
        loop {
            tokio::time::sleep(RUNS_EVERY).await;
            if let Some(run) = active(runs).await {
                return run;
            }
        }
    };
    tokio::select! {
        // Letting go of the script ends it on the host.
        run = began => Err(busy(run)),
        found = ask(runner, host) => Ok(found?),
    }
}

/// Returns a run of this machine that is at work.
async fn active(runs: Option<&Runs>) -> Option<RunId> {
    let runs = runs?.clone();
    tokio::task::spawn_blocking(move || runs.active()).await.ok()?
}

/// Asks the host.
async fn ask(runner: &dyn ScriptRunner, host: &str) -> Result<StoreDepth, RemoteError> {
    let output = runner.run(host, &Script::new(SCRIPT).root().limit(LIMIT)).await?;
    parse(&output.stdout, Timestamp::now()).filter(|_| output.is_ok()).ok_or_else(|| {
        let cause = format!("could not look at the store closely: {}", output.complaint());
        let hint = "this needs root; try `nix-store --gc --print-dead` there".to_owned();
        RemoteError { hint, ..RemoteError::new(host, Trouble::Here, &cause) }
    })
}

/// Reads what the script printed; nothing when a part is missing.
fn parse(text: &str, now: Timestamp) -> Option<StoreDepth> {
    let after = |key: &str| text.lines().find_map(|line| line.strip_prefix(key));
    let (paths, bytes) = after("dead\t")?.split_once('\t')?;
    Some(StoreDepth {
        saved_bytes: after("saved\t")?.trim().parse().ok()?,
        dead_paths: paths.parse().ok()?,
        dead_bytes: bytes.trim().parse().ok()?,
        measured_at: now,
    })
}

/// Returns what is known of the stores of hosts, by host.
pub fn depths(memory: &Memory, tier: &Tier) -> BTreeMap<String, StoreDepth> {
    memory.with(tier, |memory| memory.depths.clone())
}

/// Takes in what was found of hosts' stores; of each host the newest stays.
pub fn note_depths(memory: &Memory, tier: &Tier, found: BTreeMap<String, StoreDepth>) {
    memory.with(tier, |memory| {
        let known = &mut memory.depths;
        for (host, depth) in found {
            if known.get(&host).is_none_or(|known| known.measured_at < depth.measured_at) {
                known.insert(host, depth);
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::KindName;
    use crate::remote::{FakeRunner, Output};
    use std::sync::atomic::{AtomicBool, Ordering};

    const SAID: &str = "saved\t1956089\ndead\t3\t3000336\n";

    fn prints(code: i32, text: &str) -> FakeRunner {
        let output = Output { code, stdout: text.to_owned(), stderr: "nix: oh no".to_owned() };
        FakeRunner::new(move |_, _| Ok(output.clone()))
    }

    #[tokio::test]
    async fn a_store_is_looked_at_as_root_and_in_full() {
        let runner = prints(0, SAID);
        let found = depth(&runner, "samsung", None).await.unwrap();
        assert_eq!(
            (found.saved_bytes, found.dead_paths, found.dead_bytes),
            (1_956_089, 3, 3_000_336)
        );
        let script = &runner.asked()[0].1;
        assert!(script.root && script.limit == LIMIT, "{script:?}");
        for (code, text) in [(0, "saved\t1\n"), (0, "dead\t3\t4\n"), (1, SAID), (0, "")] {
            let error = depth(&prints(code, text), "samsung", None).await.unwrap_err().to_string();
            assert!(error.contains("nix: oh no") && error.contains("this needs root"), "{error}");
        }
    }

    #[tokio::test]
    async fn no_store_is_looked_at_while_a_run_is_at_work() {
        let dir = tempfile::tempdir().unwrap();
        let runs = Runs::open(dir.path()).unwrap();
        // This process carries it out, and is alive.
        let _run = runs.begin(None).unwrap();
        let runner = prints(0, SAID);
        let error = depth(&runner, "samsung", Some(&runs)).await.unwrap_err().to_string();
        assert!(error.starts_with("samsung: run #1 is at work"), "{error}");
        assert!(runner.asked().is_empty(), "the host is not even asked");
    }

    /// A runner that never answers, and says whether it was let go.
    struct EndlessRunner(AtomicBool);

    impl ScriptRunner for EndlessRunner {
        fn run<'a>(
            &'a self,
            _host: &'a str,
            _script: &'a Script,
        ) -> crate::remote::Answer<'a, Output> {
            struct LetGo<'a>(&'a AtomicBool);
            impl Drop for LetGo<'_> {
                fn drop(&mut self) {
                    self.0.store(true, Ordering::Relaxed);
                }
            }
            Box::pin(async {
                let _until_dropped = LetGo(&self.0);
                std::future::pending().await
            })
        }

        fn follow<'a>(
            &'a self,
            host: &'a str,
            script: &'a Script,
            _pieces: tokio::sync::mpsc::Sender<Vec<u8>>,
        ) -> crate::remote::Answer<'a, Output> {
            self.run(host, script)
        }

        fn address(&self, _host: &str) -> Option<String> {
            None
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_run_that_begins_meanwhile_ends_the_look() {
        let dir = tempfile::tempdir().unwrap();
        let runs = Runs::open(dir.path()).unwrap();
        let runner = EndlessRunner(AtomicBool::new(false));
        let look = depth(&runner, "samsung", Some(&runs));
        let begin = async {
            // After the first look at the runs, which found none.
            tokio::time::sleep(RUNS_EVERY / 2).await;
            runs.begin(None).unwrap()
        };
        let (found, _run) = tokio::join!(look, begin);
        assert!(matches!(found, Err(DepthError::Busy { .. })), "{found:?}");
        assert!(runner.0.load(Ordering::Relaxed), "the script was let go");
    }

    #[test]
    fn of_each_host_the_newest_look_stays() {
        let memory = Memory::default();
        let tier = Tier::new("stores", KindName::Local, "");
        let at = |second, dead_bytes| StoreDepth {
            saved_bytes: 0,
            dead_paths: 1,
            dead_bytes,
            measured_at: Timestamp::from_second(second).unwrap(),
        };
        note_depths(
            &memory,
            &tier,
            [("a".to_owned(), at(2, 20)), ("b".to_owned(), at(2, 20))].into(),
        );
        note_depths(
            &memory,
            &tier,
            [("a".to_owned(), at(1, 10)), ("b".to_owned(), at(3, 30))].into(),
        );
        let known = depths(&memory, &tier);
        assert_eq!((known["a"].dead_bytes, known["b"].dead_bytes), (20, 30));
        assert_eq!(memory.take_changes(&tier).len(), 1, "it outlives nixdash");
    }
}
