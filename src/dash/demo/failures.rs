//! Runs that failed, in the words in which a real fleet told them.

use super::{phase, plan, result, run_event};
use crate::fleet::*;
use std::collections::BTreeMap;

/// How a host failed: in which phase, how it ended, and what was said, the first first.
pub(in crate::dash) struct DemoFailure {
    pub(in crate::dash) phase: Phase,
    pub(in crate::dash) outcome: Outcome,
    pub(in crate::dash) said: Vec<(Code, &'static str)>,
}

/// Every kind of end that is not what was asked for.
pub(in crate::dash) fn failures() -> Vec<DemoFailure> {
    let of = |phase, outcome, code, said| DemoFailure { phase, outcome, said: vec![(code, said)] };
    let mut all = vec![
        of(
            Phase::Build,
            Outcome::Failed,
            Code::BuildFailed,
            "samsung could not be built on p620: src/fleet-tools/part77.c:118:17: error: implicit declaration of \
             function 'fleet_open'; did you mean 'file_open'? (builder for \
             '/nix/store/n3bjww6wwmrdcvra76i57r4njpkiv14z-fleet-tools-1.4.3.drv' failed with exit code 1); \
             system-path and nixos-system-samsung-25.11.20251119.7a92828 failed because of fleet-tools-1.4.3",
        ),
        of(
            Phase::Evaluate,
            Outcome::Failed,
            Code::EvaluationFailed,
            "samsung: undefined variable 'pkg' at /home/me/nixos/hosts/samsung.nix:12:34",
        ),
        of(
            Phase::Preflight,
            Outcome::Failed,
            Code::KeyNotTrusted,
            "samsung does not trust the key p620-1; add \
             \"p620-1:rIrMq0l3iS81SFVUD/fZFO+NaUlZvtlPfHpWFwpWTWM=\" to nix.settings.trusted-public-keys of \
             samsung",
        ),
        of(
            Phase::Verify,
            Outcome::Failed,
            Code::SignatureInvalid,
            "tier p620 signs as p620-1 with another key than hosts.toml names: its signature does not verify, so \
             samsung would refuse it; compare public_key with the server's key",
        ),
        of(
            Phase::Activate,
            Outcome::RolledBack,
            Code::SnippetFailed,
            "samsung: its activation script failed in fleet_state: fleet_state: /var/lib/fleet: unknown state \
             version 9 (exit code 2); it is back on the previous system",
        ),
        of(
            Phase::Activate,
            Outcome::RolledBack,
            Code::NetworkLost,
            "samsung: nobody reached the host within 15 s of its activation; it is back on the previous system",
        ),
        of(
            Phase::Activate,
            Outcome::NeedsReboot,
            Code::SwitchInhibited,
            "samsung: the new system is installed and starts at the next reboot: it cannot be activated while the host runs",
        ),
        of(
            Phase::Activate,
            Outcome::Superseded,
            Code::Superseded,
            "samsung: me@desk deployed it meanwhile: it runs nixos-system-samsung-25.11.20251120.1f2e3d4",
        ),
        of(
            Phase::Acknowledge,
            Outcome::Unknown,
            Code::NotSeenSince,
            "samsung was not seen since it was activated: what it runs is not known",
        ),
        of(
            Phase::Preflight,
            Outcome::Offline,
            Code::HostUnreachable,
            "samsung: ssh: connect to host 10.213.25.12 port 22: Connection refused; is it on and in this \
             network? `ssh` to it by hand shows more",
        ),
        of(
            Phase::Persist,
            Outcome::Degraded,
            Code::UnitsFailed,
            "fleet-migrate.service (fleet-migrate: no such table: hosts) failed; see `systemctl status` there",
        ),
    ];
    all.push(DemoFailure {
        phase: Phase::Check,
        outcome: Outcome::Degraded,
        said: vec![
            (Code::CheckFailed, "a check did not hold: systemctl is-active sshd: inactive"),
            (Code::SystemUnexpected, "samsung: its profile is another one than before"),
        ],
    });
    all
}

/// Returns the run of a number in which these hosts failed so, from its beginning to its end.
pub(in crate::dash) fn failed(run: &str, hosts: &[(&str, &DemoFailure)]) -> Vec<Event> {
    let names: Vec<String> = hosts.iter().map(|(host, _)| (*host).to_owned()).collect();
    let begin = RunWhat::begin(names, "switch via-cache".to_owned());
    let mut events = vec![run_event(run, 60, begin)];
    let mut plan = plan();
    plan.hosts.retain(|planned| hosts.iter().any(|(host, _)| *host == planned.host));
    plan.set_aside.clear();
    events.push(run_event(run, 59, RunWhat::Plan { plan, waits: false }));
    let mut outcomes: BTreeMap<Outcome, u64> = BTreeMap::new();
    let mut first = Vec::new();
    for (host, failure) in hosts {
        for done in Phase::ALL.into_iter().filter(|done| *done < failure.phase) {
            events.push(run_event(run, 50, phase(host, done, PhaseState::Finished)));
        }
        events.push(run_event(run, 40, phase(host, failure.phase, PhaseState::Failed)));
        let texts: Vec<&str> = failure.said.iter().map(|(_, text)| *text).collect();
        let mut what = result(host, failure.outcome, Some(&texts.join(". Then, going back: ")));
        if let RunWhat::Result { result, .. } = &mut what {
            let of = |(code, text): &(Code, &str)| {
                Finding::new(Subject::host(host), *code, text, &code.fix())
            };
            result.findings = failure.said.iter().map(of).collect();
            first.extend(result.findings.first().cloned());
        }
        events.push(run_event(run, 40, what));
        *outcomes.entry(failure.outcome).or_default() += 1;
    }
    let end = RunWhat::Summary { outcomes, duration_ms: 20_000, findings: first };
    events.push(run_event(run, 39, end));
    events
}
