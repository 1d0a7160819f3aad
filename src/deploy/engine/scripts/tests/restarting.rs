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

#[test]
fn who_keeps_a_machine_from_going_down_is_named() {
    let host = FolderHost::new();
    let script = REBOOT.replace("\nmain \"$@\"", "\nkeeps_it_up");
    let said = |inhibitors: &str| {
        let answer = format!(r#"{{"type":"a(ssssuu)","data":[[{inhibitors}]]}}"#);
        host.program("bin/busctl", &format!("#!/bin/sh\ncat <<'END'\n{answer}\nEND\n"));
        host.run_as_is(&script, &[])
    };
    let lid = r#"["handle-lid-switch","GNOME","is \"up\"","block",1000,3]"#;
    let late = r#"["shutdown","UPower","asks first","delay",0,4]"#;
    let sleep = r#"["sleep","someone","before shutdown","block",0,2]"#;
    assert_eq!(said(""), "");
    assert_eq!(said(&[lid, late, sleep].join(",")), "");
    let writer = r#"["idle:shutdown:sleep","Text Editor","has [1],[2] unsaved","block",1000,9]"#;
    assert_eq!(said(&[lid, sleep, writer, late].join(",")), "Text Editor (has [1],[2] unsaved)\n");
}
