//! A deploy that one version of nixdash began is finished by another: the supervisor of the first
//! version with format numbers is kept here as it was, with the scripts that spoke to it.

use super::host::{FolderHost, job};
use crate::deploy::engine::account;
use crate::deploy::engine::decision::Decision;
use crate::deploy::engine::scripts::{ACCOUNT, ACKNOWLEDGE, CHECK, WORD};
use crate::deploy::{Reason, Remarks};
use crate::fleet::{Code, Outcome};

const OLD_SUPERVISE: &str = include_str!("frozen/supervise-1.sh");
const OLD_ACKNOWLEDGE: &str = include_str!("frozen/acknowledge-1.sh");
const OLD_CHECK: &str = include_str!("frozen/check-1.sh");
const OLD_WORD: &str = include_str!("frozen/word-1.sh");
const OLD_ACCOUNT: &str = include_str!("frozen/account-1.sh");

/// What an operator's side runs on a host.
struct Operator {
    acknowledge: &'static str,
    check: &'static str,
    word: &'static str,
    account: &'static str,
}

const OLD: Operator = Operator {
    acknowledge: OLD_ACKNOWLEDGE,
    check: OLD_CHECK,
    word: OLD_WORD,
    account: OLD_ACCOUNT,
};

const TODAY: Operator =
    Operator { acknowledge: ACKNOWLEDGE, check: CHECK, word: WORD, account: ACCOUNT };

/// Lets one version's supervisor deploy, and the other version's operator finish it.
fn finished_by(begun_by: Option<&'static str>, operator: &Operator, word: &str) -> FolderHost {
    let mut host = FolderHost::new();
    if let Some(supervisor) = begun_by {
        host.supervised_by(supervisor);
        for pipe in ["wake-job", "wake-follower"] {
            std::fs::remove_file(host.path(&job(pipe))).unwrap();
        }
    }
    host.write(&job("script"), "");
    let supervisor = host.supervise();
    host.wait_until("the activation", |host| host.result("activated").is_some());
    assert!(Remarks::parse(&host.result("activated").unwrap()).is_some());
    let said = host.run(operator.acknowledge, &["job"]);
    assert!(said.contains("activated\t0 ok"), "{said}");
    host.run(operator.check, &["job"]);
    assert!(host.path(&job("checked")).exists());
    let said = host.run(operator.word, &["job", word]);
    let counts = word.trim_end_matches(" degraded");
    assert!(said.contains(&format!("word\t{counts}\n")), "{said}");
    supervisor.outcome();
    host
}

/// Reads the outcome as the operator's side of today does, from what this account says.
fn outcome(host: &FolderHost, account_script: &str) -> (Outcome, Option<Code>) {
    let said = host.run(account_script, &["job"]);
    let found = account::parse(&said).outcome.unwrap_or_else(|| panic!("{said}"));
    assert_eq!(Some(&found), Decision::parse(&host.result("outcome").unwrap()).as_ref());
    let ending = found.ending("samsung", false);
    (ending.outcome, ending.reason.map(|reason: Reason| reason.code))
}

#[test]
fn a_deploy_begun_by_either_version_is_finished_by_the_other() {
    for (begun_by, operator) in [(Some(OLD_SUPERVISE), &TODAY), (None, &OLD)] {
        let host = finished_by(begun_by, operator, "commit");
        assert_eq!(host.systems(), ["new", "new", "new"], "{}", host.log());
        assert_eq!(outcome(&host, operator.account), (Outcome::Switched, None));
        host.assert_tidy();
    }
}

#[test]
fn a_system_in_which_the_operator_found_something_wrong_is_kept_and_marked() {
    for (begun_by, mark) in [(Some(OLD_SUPERVISE), ""), (None, "/new\tfailed\t41\tme@desk\t")] {
        let host = finished_by(begun_by, &TODAY, "commit degraded");
        assert_eq!(host.systems(), ["new", "new", "new"], "{}", host.log());
        assert_eq!(outcome(&host, ACCOUNT), (Outcome::Switched, None));
        let marked = std::fs::read_to_string(host.path("nix/var/nixdash/marked"));
        assert!(marked.unwrap_or_default().contains(mark), "{}", begun_by.is_some());
    }
}

#[test]
fn a_deploy_begun_by_either_version_is_undone_by_the_other() {
    for (begun_by, operator) in [(Some(OLD_SUPERVISE), &TODAY), (None, &OLD)] {
        let host = finished_by(begun_by, operator, "abort check-failed it is not well");
        host.assert_untouched();
        let found = outcome(&host, operator.account);
        assert_eq!(found, (Outcome::RolledBack, Some(Code::CheckFailed)));
    }
}

#[test]
fn a_host_that_nobody_of_another_version_reaches_goes_back_by_itself() {
    for begun_by in [Some(OLD_SUPERVISE), None] {
        let mut host = FolderHost::new();
        if let Some(supervisor) = begun_by {
            host.supervised_by(supervisor);
        }
        host.option("ack=0");
        assert_eq!(host.supervise().outcome().0, "rolled-back");
        assert_eq!(outcome(&host, ACCOUNT), (Outcome::RolledBack, Some(Code::NetworkLost)));
        host.assert_untouched();
    }
}

#[test]
fn a_supervisor_of_another_version_that_is_killed_finishes_with_its_own_script() {
    let mut host = FolderHost::new();
    host.supervised_by(OLD_SUPERVISE);
    let supervisor = host.supervise();
    host.wait_until("the activation", |host| host.result("activated").is_some());
    host.run(ACKNOWLEDGE, &["job"]);
    host.write(&job("script"), "");
    host.run(WORD, &["job", "commit"]);
    supervisor.kill();
    assert!(["switched", "rolled-back"].contains(&host.after().0.as_str()));
    host.assert_tidy();
}

#[test]
fn a_word_that_this_version_does_not_know_is_told_and_is_no_success() {
    let ending =
        Decision::parse("transcended\tsome-code\tof a later version").unwrap().ending("x", false);
    assert_eq!(ending.outcome, Outcome::Unknown);
    let reason = ending.reason.unwrap().text;
    assert!(reason.contains("transcended") && reason.contains("of a later version"), "{reason}");
}
