//! This machine's own load, memory and disk, without a script.

use crate::fleet::{Bytes, HostFacts};
use std::path::Path;
use sysinfo::{Disks, System};

/// Fills in load, memory, disk and uptime of this machine; what cannot be read is left as it was.
pub(super) async fn fill(facts: &mut HostFacts) {
    let Ok(own) = tokio::task::spawn_blocking(measure).await else { return };
    facts.load1 = own.load1.or(facts.load1);
    facts.cpus = own.cpus.or(facts.cpus);
    facts.memory = own.memory.or(facts.memory);
    // Only the script asks for the file system of the store and of nothing else.
    facts.disk = facts.disk.or(own.disk);
    facts.uptime_s = own.uptime_s.or(facts.uptime_s);
    facts.user = facts.user.take().or_else(|| std::env::var("USER").ok());
}

/// Measures; blocks for a few milliseconds.
fn measure() -> HostFacts {
    let memory = System::new().ok().and_then(|mut system| {
        system.refresh_memory();
        let total = system.total_memory();
        let used = total.saturating_sub(system.available_memory());
        (total > 0).then_some(Bytes { used, total })
    });
    HostFacts {
        load1: System::load_average().ok().map(|load| load.one).filter(|load| load.is_finite()),
        cpus: std::thread::available_parallelism().ok().and_then(|n| u32::try_from(n.get()).ok()),
        memory,
        disk: disk(Path::new("/nix/store")),
        uptime_s: System::uptime().ok(),
        ..HostFacts::default()
    }
}

/// Returns the file system that a path is (or would be) on.
fn disk(path: &Path) -> Option<Bytes> {
    let disks = Disks::new_with_refreshed_list().ok()?;
    let disk = disks
        .iter()
        .filter(|disk| path.starts_with(disk.mount_point()))
        .max_by_key(|disk| disk.mount_point().as_os_str().len())?;
    let total = disk.total_space();
    let used = total.saturating_sub(disk.available_space());
    (total > 0).then_some(Bytes { used, total })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn this_machine_has_memory_and_processors() {
        let mut facts = HostFacts::default();
        fill(&mut facts).await;
        assert!(facts.memory.is_some_and(|memory| memory.used > 0 && memory.used < memory.total));
        assert!(facts.cpus.is_some_and(|cpus| cpus > 0));
    }
}
