//! A run as a row of a list, made from its events: of one that the history does not have.

use crate::fleet::{Finding, RunEvent, RunId, RunWhat};
use crate::record::RunRow;

/// Returns a run as the history keeps it, from its events.
pub(super) fn row(run: &RunId, events: &[RunEvent]) -> RunRow {
    let mut row = RunRow {
        run: run.clone(),
        began_at: events.first().map(|event| event.at).unwrap_or_default(),
        ended_at: None,
        title: String::new(),
        revision: None,
        duration_ms: None,
        gaps: Vec::new(),
        findings: Vec::new(),
        hosts: Vec::new(),
    };
    for event in events {
        match &event.what {
            RunWhat::Begin { hosts, title, .. } => {
                row.began_at = event.at;
                row.title.clone_from(title);
                row.hosts = hosts.iter().map(|host| (host.clone(), None)).collect();
            }
            RunWhat::Plan { plan, .. } => row.revision.clone_from(&plan.revision),
            RunWhat::Result { host, result } => {
                let result = Some(result.clone());
                match row.hosts.iter_mut().find(|(known, _)| known == host) {
                    Some(known) => known.1 = result,
                    None => row.hosts.push((host.clone(), result)),
                }
            }
            RunWhat::Summary { duration_ms, findings, .. } => {
                row.findings = Finding::of_whole_run(findings).into_iter().cloned().collect();
                row.ended_at = Some(event.at);
                row.duration_ms = Some(*duration_ms);
            }
            RunWhat::Dropped { lines, events, why, .. } => row.gaps.push((*why, *lines, *events)),
            RunWhat::Phase { .. }
            | RunWhat::Progress { .. }
            | RunWhat::Log { .. }
            | RunWhat::Waiting { .. }
            | RunWhat::Rollout(_)
            | RunWhat::Reattached { .. }
            | RunWhat::Usual { .. }
            | RunWhat::Builds { .. }
            | RunWhat::Command { .. } => {}
        }
    }
    row
}
