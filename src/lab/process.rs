//! Processes that outlive the command that started them, and how they are found and ended again: by what was recorded about
//! them (process id and start time), never by name.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use super::error::{At, LabError};
use super::state::{Places, write};
use super::tool::Tool;

const LAUNCH: &str = include_str!("guest/launch.sh");

/// A process as it was recorded: the supervisor first, then what it supervises.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Recorded {
    pid: u32,
    started: u64,
}

impl Recorded {
    /// Whether it is still that very process.
    fn is_alive(self) -> bool {
        started(self.pid) == Some(self.started)
    }
}

/// Starts a command in a session and control group of its own, its output in a file, and waits until it is recorded.
pub(crate) fn launch(
    places: &Places,
    what: &str,
    group: &str,
    command: &Tool,
) -> Result<(), LabError> {
    // Left alone once it is there: hosts are started side by side, and a script must not change under a shell that reads it.
    let script = places.file("run/launch.sh");
    if !script.exists() {
        write(&script, LAUNCH, 0o755)?;
    }
    let record = places.process(what);
    if record.exists() {
        std::fs::remove_file(&record).at("removing", &record)?;
    }
    let log = places.log(what);
    std::fs::write(&log, "").at("writing", &log)?;
    std::fs::set_permissions(&log, Permissions::from_mode(0o644))
        .at("setting the mode of", &log)?;
    let inner = command.command();
    let mut outer = Tool::new(format!("starting {what}"), "setsid")
        .arg("/bin/sh")
        .arg(&script)
        .args([&record, &log])
        .arg(group)
        .arg(inner.get_program())
        .args(inner.get_args())
        .command();
    outer.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = outer.spawn().map_err(|source| LabError::Start {
        doing: format!("starting {what}"),
        program: "setsid".to_owned(),
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
    all.extend(inner.and_then(|pid| Some(Recorded { pid, started: started(pid)? })));
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

/// Ends containers whose file system lies in a lab's directory, recorded or not: a start that was cut off may leave one.
pub(crate) fn kill_containers_in(root: &Path) {
    let wanted = format!("--directory={}/", root.display());
    let Ok(entries) = std::fs::read_dir("/proc") else { return };
    for entry in entries.flatten() {
        let command = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let mut words = command.split(|byte| *byte == 0);
        let is_container = words.next().is_some_and(|program| program.ends_with(b"systemd-nspawn"));
        if is_container && words.any(|word| word.starts_with(wanted.as_bytes())) {
            let pid = entry.file_name();
            Tool::new("ending a container", "kill").arg("-KILL").arg(pid).try_run();
        }
    }
}

/// Removes the control groups of what was launched under this name. A process that just died may keep one for a moment.
pub(crate) fn remove_groups(group: &str) {
    let hierarchies = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified", "/sys/fs/cgroup/systemd"];
    let groups = hierarchies.map(|hierarchy| Path::new(hierarchy).join(group));
    wait_for(Duration::from_secs(3), || {
        groups.iter().for_each(|group| remove_group(group));
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

fn recorded(record: &Path) -> Vec<Recorded> {
    let text = std::fs::read_to_string(record).unwrap_or_default();
    text.lines()
        .filter_map(|line| {
            let (pid, started) = line.split_once(' ')?;
            Some(Recorded { pid: pid.parse().ok()?, started: started.trim().parse().ok()? })
        })
        .collect()
}

/// When a process started, in clock ticks since boot: with the id, it names a process for good. None for one that is gone,
/// or is dead and only waits to be collected.
fn started(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    parse_stat(&stat)
}

fn parse_stat(stat: &str) -> Option<u64> {
    // The name in parentheses may itself hold parentheses and spaces.
    let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split_whitespace().collect();
    if matches!(*fields.first()?, "Z" | "X") {
        return None;
    }
    fields.get(19)?.parse().ok()
}

/// Process 1 of the container in a network namespace, seen from outside.
pub(crate) fn container_in(namespace: &str) -> Option<u32> {
    use std::os::unix::fs::MetadataExt;
    let inode = std::fs::metadata(Path::new("/run/netns").join(namespace)).ok()?.ino();
    let wanted = format!("net:[{inode}]");
    std::fs::read_dir("/proc").ok()?.flatten().find_map(|entry| {
        let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
        let network = std::fs::read_link(entry.path().join("ns/net")).ok()?;
        if network.to_str()? != wanted {
            return None;
        }
        let status = std::fs::read_to_string(entry.path().join("status")).ok()?;
        is_first_of_container(&status).then_some(pid)
    })
}

/// Whether a process is number 1 of a process namespace below this one.
fn is_first_of_container(status: &str) -> bool {
    let ids = status.lines().find_map(|line| line.strip_prefix("NSpid:")).unwrap_or_default();
    let ids: Vec<&str> = ids.split_whitespace().collect();
    ids.len() > 1 && ids.last() == Some(&"1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_time_is_read_past_any_name() {
        let stat = "7 (a) (b c) S 1 7 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4711 100 200";
        assert_eq!(parse_stat(stat), Some(4711));
    }

    #[test]
    fn process_1_of_a_container_is_told_by_its_number_inside() {
        assert!(is_first_of_container("Name:\tsystemd\nNSpid:\t4711\t1\n"));
        assert!(!is_first_of_container("Name:\tsh\nNSpid:\t4712\t23\n"));
        assert!(!is_first_of_container("Name:\tinit\nNSpid:\t1\n"));
    }

    #[test]
    fn a_zombie_counts_as_gone() {
        assert_eq!(
            parse_stat("7 (sh) Z 1 7 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4711 100"),
            None
        );
    }

    #[test]
    fn another_process_with_a_recycled_id_is_not_ours() {
        let own = std::process::id();
        assert!(started(own).is_some());
        assert!(!Recorded { pid: own, started: 1 }.is_alive());
    }
}
