//! Processes that outlive the command that started them, and how they are found and ended again: by what was recorded about
//! them (process id and start time), never by name.

use std::ffi::OsString;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use super::error::{ErrorContext, LabError};
use super::state::{Places, write};
use super::table;
use super::tool::Tool;
use crate::record::ProcessStat;

const LAUNCH: &str = include_str!("guest/launch.sh");

/// A process as it was recorded: the supervisor first, then what it supervises.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Recorded {
    pid: u32,
    started: u64,
}

impl Recorded {
    /// A process as it is now, if it is alive.
    fn now(pid: u32) -> Option<Self> {
        ProcessStat::of_living(pid).map(|stat| Self { pid, started: stat.started })
    }

    /// Whether it is still that very process.
    fn is_alive(self) -> bool {
        Self::now(self.pid) == Some(self)
    }
}

/// Starts a command in a process group and control group of its own, its output in a file, and waits until it is recorded.
pub(crate) fn launch(
    places: &Places,
    what: &str,
    group: &str,
    command: &Tool,
) -> Result<(), LabError> {
    // Left alone once it is there: hosts are started side by side, and a script must not change under a shell that reads it.
    let script = launch_script(places);
    if !script.exists() {
        write(&script, LAUNCH, 0o755)?;
    }
    let record = places.process(what);
    kill(places, what, None)?;
    let log = places.log(what);
    std::fs::write(&log, "").at("writing", &log)?;
    std::fs::set_permissions(&log, Permissions::from_mode(0o644))
        .at("setting the mode of", &log)?;
    let inner = command.command();
    let mut outer = Tool::new(format!("starting {what}"), "/bin/sh")
        .arg(&script)
        .args([&record, &log])
        .arg(group)
        .arg(inner.get_program())
        .args(inner.get_args())
        .command();
    // Closing the terminal ends only what runs in its foreground.
    outer.process_group(0);
    outer.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = outer.spawn().map_err(|source| LabError::Start {
        doing: format!("starting {what}"),
        program: "/bin/sh".to_owned(),
        source,
    })?;
    let mut ended = false;
    wait_for(Duration::from_secs(5), || {
        ended = child.try_wait().is_ok_and(|status| status.is_some());
        ended || record.exists()
    });
    if !record.exists() {
        let _ = child.kill();
        let _ = child.wait();
        return Err(LabError::TimedOut {
            doing: format!("starting {what}"),
            seconds: 5,
            hint: format!("its output is in {}", log.display()),
        });
    }
    // Whoever ends the process later is not its parent; here it must not stay a zombie.
    std::thread::spawn(move || child.wait());
    Ok(())
}

/// The process id of what was launched, if it still runs.
pub(crate) fn running(places: &Places, what: &str) -> Option<u32> {
    let all = recorded(&places.process(what));
    all.last().filter(|process| process.is_alive()).map(|process| process.pid)
}

/// Ends a launched process at once, with its container's process 1 where it has one, and waits until they are gone. With its
/// process 1 a container ends as by a power cut; killing systemd-nspawn alone would leave it running.
pub(crate) fn kill(places: &Places, what: &str, inner: Option<u32>) -> Result<(), LabError> {
    let record = places.process(what);
    let mut all = recorded(&record);
    all.extend(unrecorded(places, &record));
    all.extend(inner.and_then(Recorded::now));
    for process in &all {
        if process.is_alive() {
            Tool::new(format!("ending {what}"), "kill")
                .args(["-KILL", &process.pid.to_string()])
                .try_run();
        }
    }
    if !wait_for(Duration::from_secs(10), || !all.iter().any(|process| process.is_alive())) {
        return Err(LabError::TimedOut {
            doing: format!("ending {what}"),
            seconds: 10,
            hint: "try `nixdash lab down` again".to_owned(),
        });
    }
    if record.exists() {
        std::fs::remove_file(&record).at("removing", &record)?;
    }
    Ok(())
}

/// Removes the control groups of what was launched under this name. A process that just died may keep one for a moment.
pub(crate) fn remove_groups(group: &str) {
    let hierarchies = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified", "/sys/fs/cgroup/systemd"];
    let groups = hierarchies.map(|hierarchy| Path::new(hierarchy).join(group));
    wait_for(Duration::from_secs(3), || {
        for group in &groups {
            remove_group(group);
        }
        !groups.iter().any(|group| group.exists())
    });
}

/// A control group is removed from its leaves upwards, and only when no process is left in it.
fn remove_group(directory: &Path) {
    let Ok(entries) = std::fs::read_dir(directory) else { return };
    for entry in entries.flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_group(&entry.path());
        }
    }
    let _ = std::fs::remove_dir(directory);
}

/// Polls until something holds or the time is over; returns whether it held.
pub(crate) fn wait_for(limit: Duration, mut holds: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + limit;
    loop {
        if holds() {
            return true;
        }
        if Instant::now() >= end {
            return false;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Names of everything of a lab that was launched and not ended, recorded or not.
pub(crate) fn names(places: &Places) -> Vec<String> {
    let records = std::fs::read_dir(places.file("run"))
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path());
    let running = supervisors(places).into_iter().map(|(_, record)| record);
    let mut names: Vec<String> = records
        .chain(running)
        .filter(|path| path.extension().is_some_and(|extension| extension == "pid"))
        .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
        .collect();
    names.sort();
    names.dedup();
    names
}

/// Supervisors of this lab that run now, each with the record that it writes.
fn supervisors(places: &Places) -> Vec<(u32, PathBuf)> {
    let script = launch_script(places);
    let is_ours = |words: &[OsString]| words.get(1).is_some_and(|word| *word == script);
    table::commands()
        .filter(|(_, words)| is_ours(words))
        .filter_map(|(pid, words)| Some((pid, PathBuf::from(words.get(2)?))))
        .collect()
}

/// What was launched for a record that does not name it: a command that was cut off may have left that.
fn unrecorded(places: &Places, record: &Path) -> Vec<Recorded> {
    let supervisors = supervisors(places).into_iter().filter(|(_, written)| written == record);
    supervisors
        .flat_map(|(pid, _)| std::iter::once(pid).chain(table::children_of(pid)))
        .filter_map(Recorded::now)
        .collect()
}

fn launch_script(places: &Places) -> PathBuf {
    places.file("run/launch.sh")
}

fn recorded(record: &Path) -> Vec<Recorded> {
    let text = std::fs::read_to_string(record).unwrap_or_default();
    text.lines()
        .filter_map(|line| {
            let (pid, started) = line.split_once(' ')?;
            Some(Recorded { pid: pid.parse().ok()?, started: started.trim().parse().ok()? })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_process_with_a_recycled_id_is_not_ours() {
        let own = std::process::id();
        assert!(Recorded::now(own).is_some());
        assert!(!Recorded { pid: own, started: 1 }.is_alive());
    }
}
