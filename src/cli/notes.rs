//! What is wrong with tiers and what to do, as lines below a table.

use crate::probe::Snapshot;
use std::collections::BTreeMap;

/// Returns a line per tier that is in trouble or has something to say, and one per trouble that
/// hosts have with it; hosts that have the same are named together.
pub(super) fn of_tiers(found: &Snapshot) -> Vec<String> {
    let mut notes = Vec::new();
    for (name, facts) in &found.tiers {
        notes.extend(facts.error.as_ref().map(|error| format!("{name}: {error}")));
        let alarms = facts.details.iter().filter(|detail| detail.alarm);
        // What the error says already need not be said again.
        let fresh = alarms
            .filter(|alarm| !facts.error.as_ref().is_some_and(|error| error.contains(&alarm.text)));
        notes.extend(fresh.map(|alarm| format!("{name}: {}: {}", alarm.label, alarm.text)));
        let mut by_error: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (host, on_host) in &facts.hosts {
            if let Some(error) = &on_host.error {
                by_error.entry(error).or_default().push(host);
            }
        }
        let mut grouped: Vec<_> = by_error.into_iter().collect();
        grouped.sort_by(|(_, a), (_, b)| a.cmp(b));
        let line =
            |(error, hosts): (&str, Vec<&str>)| format!("{name} on {}: {error}", hosts.join(", "));
        notes.extend(grouped.into_iter().map(line));
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::{Detail, TierFacts, TierOnHost};

    #[test]
    fn hosts_with_the_same_trouble_are_named_together() {
        let on_host =
            |error: &str| TierOnHost { error: Some(error.to_owned()), ..TierOnHost::default() };
        let alarm =
            |text: &str| Detail { label: "servers".to_owned(), text: text.to_owned(), alarm: true };
        let facts = TierFacts {
            error: Some("2 of 3 volume servers".to_owned()),
            details: vec![alarm("2 of 3"), alarm("a disk is full")],
            hosts: [
                ("razer".to_owned(), on_host("asks it too late")),
                ("p510".to_owned(), on_host("is asleep")),
                ("samsung".to_owned(), on_host("asks it too late")),
            ]
            .into(),
            ..TierFacts::default()
        };
        let found = Snapshot { tiers: vec![("weed".to_owned(), facts)], ..Snapshot::default() };
        assert_eq!(
            of_tiers(&found),
            [
                "weed: 2 of 3 volume servers",
                "weed: servers: a disk is full",
                "weed on p510: is asleep",
                "weed on razer, samsung: asks it too late",
            ]
        );
    }
}
