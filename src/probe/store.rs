//! The slow probes of a host: how big its store is, and which paths its running system needs.

use crate::fleet::{ClosurePath, StoreFacts, StorePath};
use crate::remote::{Output, RemoteError, Script, ScriptRunner, Trouble};
use jiff::Timestamp;
use std::time::Duration;

/// Counts the store.
const STORE: &str = include_str!("scripts/store.sh");

/// Lists a closure.
const CLOSURE: &str = include_str!("scripts/closure.sh");

/// How long each may take on a slow disk.
const LIMIT: Duration = Duration::from_secs(90);

/// What the running system of a host refers to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closure {
    /// The system.
    pub root: StorePath,
    /// All its paths with their sizes, itself among them.
    pub paths: Vec<ClosurePath>,
}

/// Counts the valid paths of a host's store and sums their NAR sizes.
pub async fn count(runner: &dyn ScriptRunner, host: &str) -> Result<StoreFacts, RemoteError> {
    let output = runner.run(host, &Script::new(STORE).limit(LIMIT)).await?;
    parse_count(&output.stdout, Timestamp::now())
        .ok_or_else(|| no_sense(host, "count the store", &output))
}

/// Lists the closure of a host's running system.
pub async fn closure(runner: &dyn ScriptRunner, host: &str) -> Result<Closure, RemoteError> {
    closure_of(runner, host, "/run/current-system").await
}

/// Lists the closure of a path, or of what a link names, on a host.
pub(super) async fn closure_of(
    runner: &dyn ScriptRunner,
    host: &str,
    path: &str,
) -> Result<Closure, RemoteError> {
    let script = Script::new(CLOSURE).arg(path).limit(LIMIT);
    let output = runner.run(host, &script).await?;
    parse_closure(&output.stdout)
        .filter(|_| output.is_ok())
        .ok_or_else(|| no_sense(host, &format!("list the closure of {path}"), &output))
}

/// Makes the error for a script that did not do its job.
fn no_sense(host: &str, doing: &str, output: &Output) -> RemoteError {
    let cause = format!("could not {doing}: {}", output.complaint());
    let hint = "try `nix-store --verify` and `nix path-info /run/current-system` there".to_owned();
    RemoteError { hint, ..RemoteError::new(host, Trouble::Here, &cause) }
}

/// Reads `paths<TAB>bytes`.
fn parse_count(text: &str, now: Timestamp) -> Option<StoreFacts> {
    let (paths, bytes) = text.lines().next_back()?.split_once('\t')?;
    Some(StoreFacts {
        paths: paths.trim().parse().ok()?,
        bytes: bytes.trim().parse().ok()?,
        measured_at: now,
    })
}

/// Reads the root and the paths with their sizes; lines that are neither are left out.
fn parse_closure(text: &str) -> Option<Closure> {
    let mut root = None;
    let mut paths = Vec::new();
    for (key, value) in text.lines().filter_map(|line| line.split_once('\t')) {
        if key == "root" {
            root = StorePath::parse(value.trim()).ok();
        } else if let (Ok(path), Ok(nar_size)) = (StorePath::parse(key), value.trim().parse()) {
            paths.push(ClosurePath { path, nar_size });
        }
    }
    let root = root?;
    paths.iter().any(|entry| entry.path == root).then_some(Closure { root, paths })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remote::FakeRunner;

    const TOP: &str = "/nix/store/7h97s6mlwpnvm55448s9n0jz4lxih34s-top";
    const A: &str = "/nix/store/p21fy4sc5b87h3ma8y0mbiph36v5yfk7-a-1.0";

    /// A runner that prints a text and exits with a code.
    fn prints(code: i32, text: &str) -> FakeRunner {
        let output = Output { code, stdout: text.to_owned(), stderr: "nix: oh no".to_owned() };
        FakeRunner::new(move |_, _| Ok(output.clone()))
    }

    #[tokio::test]
    async fn a_closure_has_a_root_and_sizes() {
        let runner = prints(0, &format!("root\t{TOP}\n{A}\t120\n{TOP}\t216\n"));
        let closure = closure(&runner, "samsung").await.unwrap();
        assert_eq!(closure.root.as_str(), TOP);
        assert_eq!(closure.paths.iter().map(|path| path.nar_size).sum::<u64>(), 336);
        assert_eq!(runner.asked()[0].1.args, ["/run/current-system"]);
    }

    #[tokio::test]
    async fn half_a_closure_is_none() {
        for (code, text) in [
            (1, format!("root\t{TOP}\n{TOP}\t216\n")),
            (0, format!("root\t{TOP}\n{A}\t120\n")),
            (0, String::new()),
        ] {
            let error = closure(&prints(code, &text), "samsung").await.unwrap_err();
            assert!(error.to_string().contains("nix: oh no"), "{error}");
        }
    }

    #[tokio::test]
    async fn a_store_is_counted() {
        let facts = count(&prints(0, "1356\t12345678901\n"), "samsung").await.unwrap();
        assert_eq!((facts.paths, facts.bytes), (1356, 12_345_678_901));
        assert!(count(&prints(1, "error"), "samsung").await.is_err());
    }
}
