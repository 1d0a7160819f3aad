//! What differs between two systems that a host has in its store.

use crate::fleet::{RestartPart, RestartReason, StorePath, SystemChanges};
use crate::nix::versions::{ClosureSide, ComparedPath, compare_closures, name_and_version};
use crate::remote::{RemoteError, Script, ScriptRunner, Trouble};
use std::time::Duration;

/// Compares two systems.
const CHANGES: &str = include_str!("scripts/changes.sh");

/// How long that may take on a slow disk.
const LIMIT: Duration = Duration::from_secs(60);

/// How two systems differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comparison {
    /// What changes, by package.
    pub changes: SystemChanges,
    /// What of it only a restart brings; empty where nothing does, or where that was not asked.
    pub restart: Vec<RestartReason>,
}

/// Compares two systems on a host that may have both; none where it lacks one of them.
///
/// `booted` is the system that the machine was started with which is to run the new one, where what
/// only a restart replaces is to be compared too.
pub async fn compare(
    runner: &dyn ScriptRunner,
    host: &str,
    old: &StorePath,
    new: &StorePath,
    booted: Option<&StorePath>,
) -> Result<Option<Comparison>, RemoteError> {
    let booted = booted.map(StorePath::as_str).unwrap_or_default();
    let script = Script::new(CHANGES).arg(old.as_str()).arg(new.as_str()).arg(booted).limit(LIMIT);
    let output = runner.run(host, &script).await?;
    match parse(&output.stdout) {
        Answer::Compared(found) => Ok(Some(found)),
        Answer::Missing => Ok(None),
        Answer::BrokeOff => {
            let cause = format!("could not compare two systems: {}", output.complaint());
            let hint = format!("try `nix store diff-closures {old} {new}` there");
            Err(RemoteError { hint, ..RemoteError::new(host, Trouble::Here, &cause) })
        }
    }
}

/// What the script said.
enum Answer {
    Compared(Comparison),
    Missing,
    BrokeOff,
}

/// Reads what the script printed.
fn parse(text: &str) -> Answer {
    let (mut paths, mut restart) = (Vec::new(), Vec::new());
    let (mut bytes, mut whole) = (None, false);
    for line in text.lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        match fields[..] {
            ["missing", _] => return Answer::Missing,
            ["=", name] => paths.push(compared(ClosureSide::Both, name, "0")),
            ["-", name, size] => paths.push(compared(ClosureSide::Before, name, size)),
            ["+", name, size] => paths.push(compared(ClosureSide::After, name, size)),
            ["size", old, new] => bytes = old.parse().ok().zip(new.parse().ok()),
            ["restart", part, old, new] => restart.extend(reason(part, old, new)),
            ["end", _] => whole = true,
            _ => {}
        }
    }
    if !whole {
        return Answer::BrokeOff;
    }
    let changes = compare_closures(paths, bytes);
    Answer::Compared(Comparison { changes, restart })
}

fn compared(side: ClosureSide, name: &str, size: &str) -> ComparedPath {
    let name = crate::fleet::printable_line(name);
    ComparedPath { side, name, bytes: size.parse().unwrap_or_default() }
}

/// Reads a part that only a restart replaces, with what it is in both systems.
fn reason(part: &str, old: &str, new: &str) -> Option<RestartReason> {
    let part = match part {
        "kernel" => RestartPart::Kernel,
        "initrd" => RestartPart::Initrd,
        "kernel-modules" => RestartPart::Modules,
        "systemd" => RestartPart::Systemd,
        "parameters" => RestartPart::Parameters,
        _ => return None,
    };
    Some(RestartReason { part, before: version_of(old), after: version_of(new) })
}

/// Returns the version of the package that a path of the store lies in.
fn version_of(path: &str) -> Option<String> {
    let base = path.strip_prefix("/nix/store/")?.split('/').next()?;
    let path = StorePath::from_base_name(base).ok()?;
    let (_, version) = name_and_version(path.name());
    (!version.is_empty()).then(|| version.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remote::{FakeRunner, Output};

    const OLD: &str = "/nix/store/l0znnv1nxsr0ry7gmadkh49s1d0hycgd-nixos-system-samsung-1";
    const NEW: &str = "/nix/store/p21fy4sc5b87h3ma8y0mbiph36v5yfk7-nixos-system-samsung-2";

    async fn compared_by(text: &str) -> Result<Option<Comparison>, RemoteError> {
        let text = text.to_owned();
        let runner =
            FakeRunner::new(move |_, _| Ok(Output { stdout: text.clone(), ..Output::default() }));
        let path = |text| StorePath::parse(text).unwrap();
        compare(&runner, "p620", &path(OLD), &path(NEW), Some(&path(OLD))).await
    }

    #[tokio::test]
    async fn packages_sizes_and_what_needs_a_restart_are_read() {
        let kernel = |version: &str| {
            format!("/nix/store/l0znnv1nxsr0ry7gmadkh49s1d0hycgd-linux-{version}/bzImage")
        };
        let text = format!(
            "=\tglibc-2.42\n+\tlinux-6.12.58\t2000\n-\tlinux-6.12.57\t1000\nsize\t5000\t6000\n\
             restart\tkernel\t{}\t{}\nrestart\tparameters\t\t\nend\tok\n",
            kernel("6.12.57"),
            kernel("6.12.58")
        );
        let found = compared_by(&text).await.unwrap().unwrap();
        assert_eq!(found.changes.packages.len(), 1);
        assert_eq!(found.changes.packages[0].versions(), "6.12.57 → 6.12.58");
        assert_eq!(found.changes.growth(), Some(1000));
        assert_eq!((found.changes.paths_added, found.changes.paths_removed), (Some(1), Some(1)));
        assert_eq!(found.restart[0].before.as_deref(), Some("6.12.57"));
        assert_eq!(found.restart[1].part, RestartPart::Parameters);
    }

    #[tokio::test]
    async fn a_host_that_lacks_one_of_them_cannot_say() {
        assert_eq!(compared_by(&format!("missing\t{NEW}\n")).await.unwrap(), None);
        let error = compared_by("=\tglibc-2.42\n").await.unwrap_err().to_string();
        assert!(error.contains("could not compare two systems"), "{error}");
    }
}
