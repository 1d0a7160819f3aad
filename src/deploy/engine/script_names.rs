//! The scripts by the names of their files: what a run tells of what it runs on hosts.

/// Names files of a folder, each with its text.
macro_rules! named {
    ($folder:literal: $($file:literal),+) => {
        [$(($file, include_str!(concat!($folder, $file)))),+]
    };
}

/// The scripts of the phases.
const OF_PHASES: &[(&str, &str)] = &named![
    "../scripts/":
    "account.sh", "acknowledge.sh", "budget.sh", "build-log.sh", "build.sh", "built-from.sh", "check.sh",
    "closure-size.sh", "compare.sh", "discard.sh", "evaluate.sh", "evaluator.sh", "failed-units.sh", "fetch.sh", "gate.sh",
    "hold.sh", "holds.sh", "hook.sh", "is-system.sh", "keep.sh", "limited.sh", "listing.sh", "mark.sh", "preflight.sh", "push-target.sh", "push-way.sh",
    "push.sh", "reboot.sh", "recover.sh", "restarted.sh", "room.sh", "root-ahead.sh", "root.sh",
    "sign-paths.sh", "sign.sh", "signatures.sh", "stuck.sh", "supervise-back.sh", "supervise-lock.sh", "supervise-persist.sh", "supervise-remember.sh", "supervise-superseded.sh",
    "supervise-switch.sh", "supervise.sh", "systems.sh", "tidy.sh", "unpack.sh", "unroot.sh",
    "verify.sh", "well.sh", "without-repeats.sh", "word.sh"
];

/// The scripts of jobs.
const OF_JOBS: &[(&str, &str)] = &named!["../../remote/scripts/": "follow-job.sh", "follow.sh", "results.sh", "start.sh", "stop.sh", "units.sh"];

/// What a deploy asks as a look at the fleet does.
const OF_PROBES: &[(&str, &str)] = &named![
    "../../probe/scripts/":
    "changes.sh", "closure.sh", "deploys.sh", "derivations.sh", "host-facts.sh", "parts.sh",
    "power.sh", "specialisations.sh"
];

/// Returns every script that a deploy runs on a host, or puts before one, with its text.
pub fn scripts() -> impl Iterator<Item = (&'static str, &'static str)> {
    OF_PHASES.iter().chain(OF_JOBS).chain(OF_PROBES).copied()
}

/// Returns the name of a script: of its last file, where others are put before it.
pub(super) fn name_of(body: &str) -> Option<&'static str> {
    scripts().find(|(_, text)| body.ends_with(text)).map(|(name, _)| name)
}

/// Returns whether a script belongs to jobs: it begins, follows or ends another one.
pub(super) fn is_of_jobs(name: &str) -> bool {
    OF_JOBS.iter().any(|(of_jobs, _)| *of_jobs == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deploy::engine::scripts::{FETCH, SUPERVISE};
    use crate::nix::activity::ASKED_AGAIN;
    use crate::remote::job;
    use std::collections::BTreeSet;

    #[test]
    fn a_script_that_asks_again_says_so_as_the_activity_log_reads_it() {
        // A fetch says it in two ways.
        for (script, end, ways) in
            [("stuck.sh", ASKED_AGAIN[0], 1), ("fetch.sh", ASKED_AGAIN[1], 2)]
        {
            let (_, text) = scripts().find(|(name, _)| *name == script).unwrap();
            let says = |line: &str| line.ends_with(&format!("{end}\""));
            assert_eq!(text.lines().filter(|line| says(line)).count(), ways, "{script}");
        }
    }

    #[test]
    fn every_script_has_its_name() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/deploy/scripts");
        let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().file_name());
        let files: BTreeSet<String> = files.map(|file| file.into_string().unwrap()).collect();
        let named: BTreeSet<String> =
            OF_PHASES.iter().map(|(name, _)| (*name).to_owned()).collect();
        assert_eq!(named, files);
        assert_eq!(name_of(FETCH), Some("fetch.sh"));
        assert_eq!(name_of(SUPERVISE), Some("supervise.sh"));
        assert_eq!(name_of(job::scripts::FOLLOW), Some("follow-job.sh"));
        assert_eq!(name_of(job::scripts::START), Some("start.sh"));
        assert_eq!(name_of("true"), None);
    }
}
