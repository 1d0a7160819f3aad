//! Which programs the lab needs on this machine, and how it gets those that are missing.

use std::io::{IsTerminal, Write};
use std::path::Path;

use super::error::LabError;
use super::tool::{Tool, search_path};

/// Programs, each with the Debian package that holds it.
const NEEDED: [(&str, &str); 10] = [
    ("mmdebstrap", "mmdebstrap"),
    ("systemd-nspawn", "systemd-container"),
    ("ip", "iproute2"),
    ("tc", "iproute2"),
    ("nft", "nftables"),
    ("git", "git"),
    ("ssh-keygen", "openssh-client"),
    ("nsenter", "util-linux"),
    ("mount", "mount"),
    ("ldd", "libc-bin"),
];

/// What the SeaweedFS cluster needs beside them.
const NEEDED_BY_SEAWEED: [(&str, &str); 2] = [("python3", "python3"), ("curl", "curl")];

/// Refuses machines and users that cannot run containers.
pub(crate) fn check_machine() -> Result<(), LabError> {
    if std::env::consts::OS != "linux" {
        return Err(LabError::NotLinux(std::env::consts::OS));
    }
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let effective = status
        .lines()
        .find_map(|line| line.strip_prefix("Uid:"))
        .and_then(|ids| ids.split_whitespace().nth(1).map(str::to_owned));
    if effective.as_deref() == Some("0") { Ok(()) } else { Err(LabError::NotRoot) }
}

/// Makes sure that every program is there; installs what is missing where that is Debian and wanted. Returns the packages that
/// were installed.
pub(crate) fn ensure(yes: bool, seaweed: bool) -> Result<Vec<&'static str>, LabError> {
    let missing = missing(seaweed);
    if missing.is_empty() {
        return Ok(Vec::new());
    }
    let tools = missing.iter().map(|(tool, _)| *tool).collect::<Vec<_>>().join(", ");
    let mut packages: Vec<&'static str> = missing.iter().map(|(_, package)| *package).collect();
    packages.dedup();
    let command = format!("apt-get install {}", packages.join(" "));
    if !Path::new("/etc/debian_version").exists() || !on_path("apt-get") {
        let hint = format!("install them (Debian's packages: {})", packages.join(", "));
        return Err(LabError::MissingTools { tools, hint });
    }
    if !yes && !agreed(&format!("{tools} not found here. Run `{command}` now? [y/N] ")) {
        let hint = format!("run `{command}`, or run this again with --yes");
        return Err(LabError::MissingTools { tools, hint });
    }
    tell_aside!("lab: installing {}", packages.join(" "));
    let apt = |arguments: &[&str]| {
        Tool::new("installing missing packages", "env")
            .args(["DEBIAN_FRONTEND=noninteractive", "apt-get", "-q", "-y"])
            .args(arguments)
    };
    apt(&["update"]).try_run();
    apt(&["install", "--no-install-recommends"]).args(&packages).run()?;
    let still = self::missing(seaweed);
    if still.is_empty() {
        return Ok(packages);
    }
    let tools = still.iter().map(|(tool, _)| *tool).collect::<Vec<_>>().join(", ");
    Err(LabError::MissingTools { tools, hint: format!("`{command}` did not bring them") })
}

/// What a host takes of this machine's memory, in bytes: 12 MB at rest (the builder 45), and room for a deploy.
const BYTES_PER_HOST: u64 = 64 << 20;

/// How many of the kernel's inotify instances a host takes.
const INOTIFY_PER_HOST: usize = 7;

/// Refuses more hosts than this machine has room for.
pub(crate) fn check_room(hosts: usize) -> Result<(), LabError> {
    let memory = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let instances = std::fs::read_to_string("/proc/sys/fs/inotify/max_user_instances");
    room(hosts, available(&memory), instances.ok().and_then(|text| text.trim().parse().ok()))
}

/// Decides whether so many hosts fit; what could not be read refuses nothing.
fn room(hosts: usize, free: Option<u64>, inotify: Option<usize>) -> Result<(), LabError> {
    let needed = BYTES_PER_HOST * hosts as u64;
    if let Some(free) = free.filter(|free| *free < needed) {
        return Err(LabError::Usage(format!(
            "{hosts} hosts need about {} MB of memory, and this machine has {} MB free; ask for fewer hosts",
            needed >> 20,
            free >> 20
        )));
    }
    let needed = INOTIFY_PER_HOST * hosts;
    if let Some(limit) = inotify.filter(|limit| *limit < needed) {
        return Err(LabError::Usage(format!(
            "{hosts} hosts need about {needed} inotify instances, and this machine allows {limit}; ask for fewer \
             hosts, or allow more with `sysctl fs.inotify.max_user_instances=1024`"
        )));
    }
    Ok(())
}

/// The memory that could be had, in bytes.
fn available(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok().map(|kib| kib << 10)
}

fn missing(seaweed: bool) -> Vec<(&'static str, &'static str)> {
    let mut missing: Vec<_> = NEEDED.into_iter().filter(|(tool, _)| !on_path(tool)).collect();
    if seaweed {
        missing.extend(NEEDED_BY_SEAWEED.into_iter().filter(|(tool, _)| !on_path(tool)));
        // Debian keeps the part that makes environments in a package of its own.
        let venv = Tool::new("looking for venv", "python3").args(["-c", "import ensurepip, venv"]);
        if venv.run().is_err() {
            missing.push(("python3's venv", "python3-venv"));
        }
    }
    missing
}

fn on_path(tool: &str) -> bool {
    search_path().split(':').any(|directory| Path::new(directory).join(tool).is_file())
}

fn agreed(question: &str) -> bool {
    if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return false;
    }
    let mut out = std::io::stderr();
    let _ = write!(out, "{question}").and_then(|()| out.flush());
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer).is_ok() && answer.trim().eq_ignore_ascii_case("y")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_hosts_than_fit_are_refused_with_what_they_need() {
        let free = available("MemTotal: 9 kB\nMemAvailable:    1048576 kB\n");
        assert_eq!(free, Some(1 << 30));
        assert!(room(12, free, Some(128)).is_ok());
        let memory = room(20, free, Some(1024)).unwrap_err();
        assert!(memory.to_string().contains("1280 MB of memory"), "{memory}");
        let inotify = room(20, Some(8 << 30), Some(128)).unwrap_err();
        assert!(inotify.to_string().contains("fs.inotify.max_user_instances"), "{inotify}");
        assert!(room(20, None, None).is_ok(), "what is not known refuses nothing");
    }
}
