//! Which start of a machine a restart is to end, asked for real on a host that is a folder.

use super::host::FolderHost;
use crate::deploy::engine::scripts::REBOOT;

#[test]
fn a_start_that_is_not_the_one_of_preflight_is_over_only_where_the_job_is_gone() {
    let host = FolderHost::new();
    let now = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    let look = |job, seen| host.run(REBOOT, &["look", job, seen]);
    let before = format!("before\t{now}");
    assert_eq!(look("job", "long-ago"), before, "it was restarted before its activation");
    assert_eq!(look("gone", now.trim()), before, "its folder was removed");
    assert_eq!(look("gone", "long-ago"), "restarted\n");
}
