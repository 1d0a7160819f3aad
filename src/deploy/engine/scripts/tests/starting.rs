//! Jobs as `start.sh` starts them.

use super::host::FolderHost;
use crate::remote::job::scripts::FOLLOW;
use std::fs;

#[test]
fn a_job_gets_its_arguments_as_they_were_given() {
    let args =
        ["${HOME}/x", "$$", "$HOME", "git+file:///f?ref=a$$b", "a b", "", "two\nlines", "%h"];
    let log = FolderHost::new().job(r#"for word; do printf '<%s>\n' "$word"; done"#, &args);
    let given: Vec<String> = args.iter().map(|word| format!("<{word}>")).collect();
    assert_eq!(log.trim_end(), given.join("\n"));
}

#[test]
fn a_job_notes_when_its_log_grew_and_who_follows_it_is_told() {
    let host = FolderHost::new();
    host.job("echo one; sleep 2.2; echo two; echo three; sleep 1.2; echo four", &[]);
    let marks = fs::read_to_string(host.path("run/nixdash/jobs/started/marks")).unwrap();
    let marks: Vec<(u64, i64)> = marks
        .lines()
        .map(|line| line.split_once(' ').unwrap())
        .map(|(length, at)| (length.parse().unwrap(), at.parse().unwrap()))
        .collect();
    let lengths: Vec<u64> = marks.iter().map(|(length, _)| *length).collect();
    assert!(lengths.starts_with(&[4, 14]) && lengths.last() == Some(&19), "{marks:?}");
    let apart = |index: usize| marks[index + 1].1 - marks[index].1;
    assert!((1..=4).contains(&apart(0)), "{marks:?}");
    let said = host.run(FOLLOW, &["started", "4", "exit", "the-mark"]);
    let (head, log) = said.split_once('\n').unwrap();
    let fields: Vec<&str> = head.split('\t').collect();
    assert_eq!((fields[0], fields[1], fields[3]), ("the-mark", "marks", "19"));
    // What stands before the offset is not told.
    assert!(fields[4].starts_with("14 ") && fields[4].ends_with(",."), "{head}");
    assert_eq!(log, "two\nthree\nfour\n\nthe-mark\tover\t19\t0\t\t\n");
    // A job of an older nixdash noted nothing.
    fs::remove_file(host.path("run/nixdash/jobs/started/marks")).unwrap();
    let said = host.run(FOLLOW, &["started", "4", "exit", "the-mark"]);
    let head = said.lines().next().unwrap();
    assert!(head.ends_with("\t19\t") && head.starts_with("the-mark\tmarks\t"), "{head}");
}
