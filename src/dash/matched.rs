//! What the rows of each list are matched against when a filter is typed.
//!
//! | list | texts of a row |
//! |---|---|
//! | hosts | name, `@tag`s, state and what stands in its column, codes of findings |
//! | tiers | name, kind, state, codes of findings, those that hosts have with it included |
//! | runs | `#number`, title, hosts, how it ended or goes on, codes of findings |
//! | events | names of hosts and tiers, `@tag`s, what it was and its code, whether it goes on or is over, `#number` of a run |
//! | hosts of a run | name, `@tag`s, how it ended, its phase or that it waits or gets no answer, codes of findings |

use crate::dash::world::{HostModel, HostRun, RunView, TierView};
use crate::fleet::words::{WAITING, spoken};
use crate::fleet::{Finding, Host, OverTimeOf, PastEvent, PastWhat, Tier};

/// Returns the texts of a host.
pub(in crate::dash) fn host(host: &Host, view: &HostModel) -> Vec<String> {
    let mut texts = named(&host.name, &host.tags);
    texts.extend([view.facts.state_words(), view.facts.condition()]);
    texts.extend(codes(&view.facts.findings));
    texts
}

/// Returns the texts of a tier.
pub(in crate::dash) fn tier(tier: &Tier, view: &TierView) -> Vec<String> {
    let facts = &view.facts;
    let kind = tier.kind.name().word().to_owned();
    let mut texts = vec![tier.name.clone(), kind, spoken(facts.state.word())];
    texts.extend(codes(&facts.findings));
    texts.extend(facts.hosts.values().flat_map(|on_host| codes(&on_host.findings)));
    texts
}

/// Returns the texts of a run.
pub(in crate::dash) fn run(run: &RunView) -> Vec<String> {
    let mut texts = vec![format!("#{}", run.id), run.title.clone()];
    texts.extend(run.hosts.iter().map(|host| host.host.clone()));
    texts.push(match (&run.summary, &run.gone) {
        (Some(summary), _) => summary.words(),
        (None, Some(_)) => "gone".to_owned(),
        (None, None) if run.asks_somebody() => WAITING.to_owned(),
        (None, None) => "running".to_owned(),
    });
    texts.extend(run.summary.iter().flat_map(|summary| codes(&summary.findings)));
    texts.extend(run.results().flat_map(|(_, result)| codes(&result.findings)));
    texts
}

/// Returns the texts of a host of a run, which has these tags.
pub(in crate::dash) fn host_run(host: &HostRun, tags: &[String]) -> Vec<String> {
    let mut texts = named(&host.host, tags);
    texts.push(match (&host.result, host.alert(), host.current()) {
        (Some(result), ..) => result.outcome.spoken(),
        (None, Some(alert), _) => alert.to_owned(),
        (None, None, Some((phase, _))) if host.waiting.is_none() => phase.word().to_owned(),
        (None, None, _) => WAITING.to_owned(),
    });
    texts.extend(host.result.iter().flat_map(|result| codes(&result.findings)));
    texts
}

/// Returns the texts of an event; `tags` knows those of a host.
pub(in crate::dash) fn past<'a>(
    event: &PastEvent,
    tags: impl Fn(&str) -> &'a [String],
) -> Vec<String> {
    let with_tags = |name: &String| named(name, tags(name));
    match &event.what {
        PastWhat::Trouble { of, on_host, code, words, severity, .. } => {
            let is_over = event.ended_at().is_some();
            let mut texts = match of {
                OverTimeOf::Host(host) => with_tags(host),
                OverTimeOf::Tier(tier) => vec![tier.clone()],
            };
            texts.extend(on_host.iter().flat_map(with_tags));
            texts.extend([code.clone(), words.clone(), severity.word().to_owned()]);
            texts.push(if is_over { "over" } else { "goes on" }.to_owned());
            texts
        }
        PastWhat::Restart { host } => {
            let mut texts = with_tags(host);
            texts.push("restarted".to_owned());
            texts
        }
        PastWhat::OtherSystem { host, version, .. } => {
            let mut texts = with_tags(host);
            texts.push("other system".to_owned());
            texts.extend(version.clone());
            texts
        }
        PastWhat::Run { run, title, hosts, .. } => {
            let mut texts = vec![format!("#{run}"), title.clone()];
            texts.extend(hosts.iter().flat_map(|(host, _)| with_tags(host)));
            texts.extend(hosts.iter().filter_map(|(_, outcome)| Some((*outcome)?.spoken())));
            texts
        }
    }
}

fn named(name: &str, tags: &[String]) -> Vec<String> {
    let tags = tags.iter().map(|tag| format!("@{tag}"));
    std::iter::once(name.to_owned()).chain(tags).collect()
}

fn codes(findings: &[Finding]) -> impl Iterator<Item = String> {
    findings.iter().map(|finding| finding.code.word().to_owned())
}
