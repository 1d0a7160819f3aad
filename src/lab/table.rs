//! The kernel's table of processes, as far as the lab has to find its own in it.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Every process with the words of its command line.
pub(crate) fn commands() -> impl Iterator<Item = (u32, Vec<OsString>)> {
    ids().filter_map(|pid| {
        let command = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        let words = command.split(|byte| *byte == 0).map(|word| OsString::from_vec(word.to_vec()));
        Some((pid, words.collect()))
    })
}

/// The processes that a process started and has not lost.
pub(crate) fn children_of(parent: u32) -> impl Iterator<Item = u32> {
    ids().filter(move |pid| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        fields(&stat).get(1).is_some_and(|field| *field == parent.to_string())
    })
}

fn ids() -> impl Iterator<Item = u32> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// When a process started, in clock ticks since boot: with the id, it names a process for good. None for one that is gone,
/// or is dead and only waits to be collected.
pub(crate) fn started(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    parse_stat(&stat)
}

fn parse_stat(stat: &str) -> Option<u64> {
    let fields = fields(stat);
    if matches!(*fields.first()?, "Z" | "X") {
        return None;
    }
    fields.get(19)?.parse().ok()
}

/// The fields of /proc/PID/stat behind the name, which stands in parentheses and may itself hold some, and spaces.
fn fields(stat: &str) -> Vec<&str> {
    stat.rsplit_once(") ").map(|(_, rest)| rest.split_whitespace().collect()).unwrap_or_default()
}

/// Process 1 of the container in a network namespace, seen from outside.
pub(crate) fn container_in(namespace: &str) -> Option<u32> {
    let inode = std::fs::metadata(Path::new("/run/netns").join(namespace)).ok()?.ino();
    let wanted = format!("net:[{inode}]");
    ids().find(|pid| {
        let network = std::fs::read_link(format!("/proc/{pid}/ns/net")).unwrap_or_default();
        let status = || std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        network == Path::new(&wanted) && is_first_of_container(&status())
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
}
