//! Which units failed, as every script says it that looks: nobody's silence is taken for "none".

use super::host::FolderHost;
use crate::deploy::engine::scripts::{ACCOUNT, CHECK, PREFLIGHT, RESTARTED, WELL};

/// Returns the lines about units that each script prints that looks at them.
fn said(host: &FolderHost) -> Vec<Vec<String>> {
    let looks: [(&str, &[&str]); 5] = [
        (WELL, &[""]),
        (CHECK, &["job"]),
        (RESTARTED, &["5"]),
        (ACCOUNT, &["job"]),
        (PREFLIGHT, &[]),
    ];
    let about_units = |line: &&str| line.starts_with("failed\t") || line.starts_with("units\t");
    let lines = |text: String| {
        text.lines().filter(about_units).map(|line| line.trim_end().to_owned()).collect()
    };
    // The stand-in for systemctl must find the host.
    let run = |script: &str, args: &[&str]| host.run(&script.replace("\troot=''\n", ""), args);
    looks.iter().map(|(script, args)| lines(run(script, args))).collect()
}

#[test]
fn units_that_failed_are_named_and_that_they_were_read_is_said_behind_them() {
    let host = FolderHost::new();
    assert_eq!(said(&host), vec![vec!["units\tread"]; 5], "none failed");
    host.write("failed-units", "a.service loaded failed\nb.mount loaded failed failed Some B\n");
    let both = vec!["failed\ta.service", "failed\tb.mount", "units\tread"];
    assert_eq!(said(&host), vec![both; 5]);
}

#[test]
fn a_systemd_that_does_not_answer_is_not_taken_for_one_without_failed_units() {
    let host = FolderHost::new();
    host.write("systemd-is-silent", "");
    assert_eq!(said(&host), vec![Vec::<String>::new(); 5]);
}
