//! Settings as Nix reads them: keys, addresses, order, records, daemons.

use super::super::verdicts::nix_facts;
use super::*;
use crate::fleet::{HostFacts, HostState};

#[test]
fn one_key_that_is_none_breaks_every_check_but_two() {
    let (up, broken) = ([seen(Some(30))], format!("{KEY} broken"));
    let found = judged(&view("http://p620:5000", &broken, &up));
    assert_eq!((found[0].trusted, found[0].state), (Some(false), TierState::Untrusted));
    assert_eq!(codes(&found[0]), [Code::TrustedKeyMalformed]);
    let found = judged(&view("http://p620:5000?trusted=1", &broken, &up));
    assert_eq!((found[0].trusted, found[0].state), (Some(true), TierState::Up));
    let unsigned = printed("http://p620:5000", &broken).replace("sigs = true", "sigs = false");
    let view = with(parse("razer", &unsigned, Timestamp::UNIX_EPOCH), &up);
    assert_eq!(judged(&view)[0].trusted, Some(true));
    assert_eq!(nix_facts(&fleet(), "razer", &view).1, []);
}

#[test]
fn a_row_of_a_breaks_nothing_and_verifies_nothing() {
    let (up, zeros) = ([seen(Some(30))], format!("p620-1:{}=", "A".repeat(43)));
    let found = judged(&view("http://p620:5000", &format!("{zeros} {NIXOS}"), &up));
    assert_eq!((found[0].trusted, codes(&found[0])), (Some(false), vec![Code::KeyReplaced]));
    assert!(found[0].findings[0].cause.contains("placeholder"), "{found:?}");
    let other = zeros.replace("p620-1", "other-1");
    let found = judged(&view("http://p620:5000", &format!("{other} {KEY}"), &up));
    assert_eq!((found[0].trusted, codes(&found[0])), (Some(true), vec![]));
}

#[test]
fn of_two_keys_with_one_name_the_first_decides() {
    let up = [seen(Some(30))];
    let first = judged(&view("http://p620:5000", &format!("{KEY} {OTHER}"), &up));
    assert_eq!((first[0].trusted, codes(&first[0])), (Some(true), vec![]));
    let second = judged(&view("http://p620:5000", &format!("{OTHER} {KEY}"), &up));
    assert_eq!((second[0].trusted, codes(&second[0])), (Some(false), vec![Code::KeyReplaced]));
    assert!(second[0].findings[0].cause.contains("uses only the first"), "{second:?}");
}

#[test]
fn what_is_no_http_takes_part_in_the_order_and_a_cache_counts_by_its_lowest_priority() {
    let listed = "http://p620:5000 https://cache.nixos.org daemon ssh-ng://p510 /mnt/store?priority=35 \
                  file:///var/cache/nix?priority=50 http://p620:5000?priority=5";
    let view = view(listed, NIXOS, &[seen(Some(30)), seen(Some(40))]);
    let with_second =
        [seen(Some(30)), seen(Some(40)), down(), down(), down(), down(), seen(Some(30))];
    let found = judged(&with(view.clone(), &with_second));
    // daemon and ssh-ng have Nix's 0, then p620 by its second entry, the path, cache.nixos.org.
    assert_eq!((found[0].rank, found[1].rank), (Some(3), Some(6)));
    let (facts, wrong) = nix_facts(&fleet(), "razer", &with(view, &with_second));
    let unlisted: Vec<_> = facts.unlisted.iter().map(|it| (it.url.as_str(), it.rank)).collect();
    assert_eq!(
        unlisted,
        [
            ("daemon", Some(1)),
            ("ssh-ng://p510", Some(2)),
            ("/mnt/store?priority=35", Some(5)),
            ("file:///var/cache/nix?priority=50", Some(7)),
        ]
    );
    assert_eq!(wrong[0].code, Code::CacheUnlisted);
}

#[test]
fn a_folder_says_its_own_priority() {
    let text = printed("file:///c https://cache.nixos.org", NIXOS).replace(
        "---",
        "folder\tfile:///c StoreDir: /nix/store\nfolder\tfile:///c Priority: 41\n---",
    );
    let view = with(parse("razer", &text, Timestamp::UNIX_EPOCH), &[down(), seen(Some(40))]);
    assert_eq!(view.places(), [Some(2), Some(1)]);
}

#[test]
fn an_address_that_nix_cannot_read_is_left_out() {
    for query in ["trusted=on", "priority=first"] {
        let listed = format!("http://p620:5000?{query} https://cache.nixos.org");
        let found = judged(&view(&listed, KEY, &[seen(Some(30)), seen(Some(40))]));
        assert_eq!((found[0].rank, found[1].rank), (None, Some(1)), "{query}");
        assert_eq!(codes(&found[0]), [Code::CacheLeftOut], "{query}");
    }
}

/// A record of p620 with that priority, read so many days before now.
fn recorded(priority: i32, days: i64) -> Vec<RecordedCache> {
    let read_at = Timestamp::UNIX_EPOCH - SignedDuration::from_hours(24 * days);
    vec![RecordedCache { url: "http://p620:5000".to_owned(), read_at, priority }]
}

#[test]
fn a_host_goes_by_its_record_until_that_is_a_week_old() {
    let listed = "https://cache.nixos.org http://p620:5000";
    let all = format!("{KEY} {NIXOS}");
    let seen_by = |records| HostView {
        records: Some(records),
        ..view(listed, &all, &[seen(Some(40)), seen(Some(30))])
    };
    let found = judged(&seen_by(recorded(45, 3)));
    assert_eq!((found[0].rank, found[1].rank), (Some(2), Some(1)));
    let old = &found[0].findings;
    let record = old.iter().find(|finding| finding.code == Code::RecordOld).unwrap();
    assert!(record.cause.contains("takes effect on 1970-01-05 00:00 UTC"), "{record:?}");
    let found = judged(&seen_by(recorded(45, 8)));
    assert_eq!((found[0].rank, found[0].record, codes(&found[0])), (Some(1), None, vec![]));
    let found = judged(&seen_by(recorded(30, 3)));
    assert_eq!((found[0].rank, codes(&found[0])), (Some(1), vec![]));
}

#[test]
fn a_cache_that_is_down_keeps_its_place_while_the_host_has_a_record_of_it() {
    let listed = "http://p620:5000?priority=10 https://cache.nixos.org";
    for (records, rank) in [(Some(recorded(10, 1)), Some(1)), (Some(vec![]), None), (None, Some(1))]
    {
        let view = HostView { records, ..view(listed, KEY, &[down(), seen(Some(40))]) };
        assert_eq!(judged(&view)[0].rank, rank, "{:?}", view.records);
    }
}

/// A view of a host with this Nix and `fallback`, whose record of p620 is a day old.
fn with_nix(nix: &str, fallback: bool, p620: Result<HttpReply, RequestError>) -> HostView {
    let text = printed("http://p620:5000", KEY).replace("---", &format!("nix\t{nix}\n---"))
        + &format!("fallback = {fallback}\ndownload-attempts = 5\nconnect-timeout = 5\n");
    let view = parse("razer", &text, Timestamp::UNIX_EPOCH);
    with(HostView { records: Some(recorded(30, 1)), ..view }, &[p620])
}

#[test]
fn what_a_dead_cache_costs_is_said_before_it_is_dead_and_rated_when_it_is() {
    use crate::fleet::{Reaction, Severity};
    let cost = |nix, fallback, p620| {
        let found = judged(&with_nix(nix, fallback, p620)).remove(0);
        let costs = [Code::BuildsStop, Code::BuildsWait];
        let finding = found.findings.into_iter().find(|it| costs.contains(&it.code));
        (found.when_down.map(|when| when.reaction), finding.map(|it| (it.code, it.severity)))
    };
    let (old, new) = ("nix (Nix) 2.26.3", "nix (Nix) 2.34.8");
    let up = || seen(Some(30));
    let (stops, waits) = (Some(Reaction::Stops), Some(Reaction::NeedsAnother));
    assert_eq!(cost(old, false, up()), (stops, Some((Code::BuildsStop, Severity::Note))));
    assert_eq!(cost(old, false, down()), (stops, Some((Code::BuildsStop, Severity::Error))));
    assert_eq!(cost(new, false, down()), (waits, Some((Code::BuildsWait, Severity::Warning))));
    assert_eq!(cost(new, true, down()), (Some(Reaction::Skips), None));
    assert_eq!(cost("nix (Lix, like Nix) 2.99.0", false, down()), (None, None));
}

#[test]
fn a_refused_login_is_told_by_the_program_and_version_of_the_host() {
    let refused = || Ok(HttpReply { status: 401, ..seen(None).unwrap() });
    for (nix, said) in [
        ("nix (Nix) 2.26.3", "Nix 2.26.3 skips this cache silently"),
        ("nix (Lix, like Nix) 2.93.0", "Lix 2.93.0 skips this cache silently"),
        ("nix (Nix) 2.35.0", "Nix 2.35.0 prints an error and asks the next cache"),
    ] {
        let found = judged(&with_nix(nix, false, refused())).remove(0);
        assert_eq!(found.state, TierState::Unauthorized);
        let finding = found.findings.iter().find(|it| it.code == Code::AccessDenied).unwrap();
        assert!(finding.cause.contains(said), "{finding:?}");
    }
}

#[test]
fn a_daemon_that_started_before_its_settings_changed_is_judged_by_the_older_ones() {
    let read = |files: &str, substituters: &str| {
        let head = format!("daemon\tabc 100\nfiles\t{files}\n---");
        parse("razer", &printed(substituters, KEY).replace("---", &head), Timestamp::UNIX_EPOCH)
    };
    let first = read("one 99", "http://p620:5000");
    assert_eq!(first.view, Some(SettingsView::Daemon));
    let later = read("two 150", "https://cache.nixos.org").after(first.start.as_ref());
    let found = judged(&later);
    assert_eq!((found[0].configured, found[1].configured), (Some(true), Some(false)));
    assert_eq!(found[0].view, Some(SettingsView::Daemon));
    let (_, wrong) = nix_facts(&fleet(), "razer", &later);
    assert_eq!(wrong[0].code, Code::DaemonSettingsOld);
    assert!(wrong[0].cause.contains("substituters changed after it started"), "{wrong:?}");
    let unseen = read("two 150", "https://cache.nixos.org");
    assert_eq!(unseen.view, Some(SettingsView::File), "nothing is remembered of that daemon");
}

#[test]
fn what_a_daemon_started_with_is_remembered_and_told_of_the_host() {
    let read = |files: &str, substituters: &str| {
        let head = format!("daemon\tabc 100\nfiles\t{files}\n---");
        parse("razer", &printed(substituters, KEY).replace("---", &head), Timestamp::UNIX_EPOCH)
    };
    let (fleet, memory) = (fleet(), Memory::default());
    remember(&memory, &fleet, "razer", read("one 99", "http://p620:5000"));
    let kept = memory.take_changes(&fleet.tiers[0]);
    let (_, kept) = kept.into_iter().find(|(name, _)| *name == "daemons").unwrap();
    // The next nixdash knows it too.
    let memory = Memory::default();
    memory.recall(&fleet.tiers[0], vec![("daemons".to_owned(), kept.unwrap())]);
    remember(&memory, &fleet, "razer", read("two 150", "https://cache.nixos.org"));
    let mut facts = HostFacts { state: HostState::Up, ..HostFacts::default() };
    for _ in 0..2 {
        add_nix_facts(&mut facts, &fleet, "razer", &memory);
        let codes: Vec<Code> = facts.findings.iter().map(|finding| finding.code).collect();
        assert_eq!(codes, [Code::DaemonSettingsOld], "and only once");
    }
    assert_eq!(facts.nix.unwrap().view, Some(SettingsView::Daemon));
}
