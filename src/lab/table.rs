//! The kernel's table of processes, as far as the lab has to find its own in it.

use crate::record::ProcessStat;
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
    ids().filter(move |pid| ProcessStat::of(*pid).is_some_and(|stat| stat.parent == parent))
}

fn ids() -> impl Iterator<Item = u32> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
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
    fn process_1_of_a_container_is_told_by_its_number_inside() {
        assert!(is_first_of_container("Name:\tsystemd\nNSpid:\t4711\t1\n"));
        assert!(!is_first_of_container("Name:\tsh\nNSpid:\t4712\t23\n"));
        assert!(!is_first_of_container("Name:\tinit\nNSpid:\t1\n"));
    }
}
