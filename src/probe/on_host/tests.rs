//! Settings of hosts, and what they mean for tiers.

mod as_nix;

use super::verdicts::{VerdictBasis, host_verdict};
use super::*;
use crate::fleet::{Code, KindName, SignatureState, TierFacts, TierOnHost, TierState};
use crate::nix::narinfo::NarInfo;
use crate::nix::signature::parse_public_key;
use crate::probe::kinds::kind_of;
use crate::probe::memory::Memory;
use crate::probe::server::NARINFO;
use crate::probe::transport::{Asker, HttpReply, RequestError, RequestTrouble};
use crate::remote::{FakeRunner, NotRoot, RemoteError};
use std::collections::{BTreeMap, HashMap};

const KEY: &str = "p620-1:84lYE1B4WYBhgRnr4i3CGQuBrqMejfmimNytE5731+M=";
const OTHER: &str = "p620-1:NiNfYW82Gw9o49ng/jhUKy3RmtBlesa/LQ0HuCcuSeU=";
const NIXOS: &str = "cache.nixos.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY=";

/// A fleet that means to ask p620, then cache.nixos.org, then a bucket.
fn fleet() -> Fleet {
    let tier = |name: &str, kind, url: &str, key: Option<&str>| Tier {
        public_key: key.and_then(|key| parse_public_key(key).ok()),
        ..Tier::new(name, kind, url)
    };
    let mut fleet = crate::config::fallback();
    fleet.tiers = vec![
        tier("p620", KindName::NixServe, "http://p620:5000", Some(KEY)),
        tier("nixos", KindName::Http, "https://cache.nixos.org", Some(NIXOS)),
        tier("bucket", KindName::S3, "s3://b?endpoint=http://s:1", None),
    ];
    fleet.tiers[0].host = Some("p620".to_owned());
    fleet
}

/// What settings print, with these substituters and keys.
fn printed(substituters: &str, keys: &str) -> String {
    format!(
        "root\tyes\ncurl\tyes\n---\nrequire-sigs = true\nnetrc-file = /etc/nix/netrc\n\
         substituters = {substituters}\ntrusted-public-keys = {keys}\n"
    )
}

/// An answer of a cache with that priority.
#[expect(clippy::unnecessary_wraps, reason = "answers are kept as results")]
fn seen(priority: Option<u32>) -> Result<HttpReply, RequestError> {
    let priority = priority.map(|number| format!("Priority: {number}\n")).unwrap_or_default();
    let reply = HttpReply {
        status: 200,
        headers: HashMap::new(),
        body: format!("StoreDir: /nix/store\n{priority}").into_bytes(),
        first_byte: Duration::from_millis(1),
        connect: None,
        is_http2: false,
    };
    Ok(reply)
}

/// A view of a host that gets these answers, in the order of its list.
fn view(substituters: &str, keys: &str, answers: &[Result<HttpReply, RequestError>]) -> HostView {
    with(parse("razer", &printed(substituters, keys), Timestamp::UNIX_EPOCH), answers)
}

/// Puts answers into a view, in the order of its list.
fn with(mut view: HostView, answers: &[Result<HttpReply, RequestError>]) -> HostView {
    for (listed, seen) in view.listed.iter_mut().zip(answers) {
        listed.seen = Some(seen.clone());
    }
    view
}

/// No answer of a cache.
fn down() -> Result<HttpReply, RequestError> {
    Err(RequestError::new("http://p620:5000", "nothing listens there", ""))
}

/// What a tier serves that the key of [`KEY`] signed, under a name.
fn signed_by(name: &str) -> SignedNarinfo {
    let text = NARINFO.replace("Sig: test-1:", &format!("Sig: {name}:"));
    SignedNarinfo::of(&NarInfo::parse(&text).unwrap())
}

/// What razer makes of the tiers, in the fleet's order; only p620 was seen to serve something.
fn judged(view: &HostView) -> Vec<TierOnHost> {
    let (fleet, witness) = (fleet(), signed_by("p620-1"));
    let judge = |tier: &Tier| {
        let witness = (tier.name == "p620").then_some(&witness);
        host_verdict(VerdictBasis { fleet: &fleet, witness, advises: true }, tier, "razer", view)
    };
    fleet.tiers.iter().map(judge).collect()
}

/// The codes of what is wrong with a tier for a host.
fn codes(found: &TierOnHost) -> Vec<Code> {
    found.findings.iter().map(|finding| finding.code).collect()
}

#[test]
fn a_host_as_meant_has_nothing_wrong() {
    let all = "http://p620:5000 https://cache.nixos.org/ s3://b?endpoint=http://s:1&region=x";
    let keys = format!("{KEY} {NIXOS}");
    let found = judged(&view(all, &keys, &[seen(Some(30)), seen(Some(40)), seen(Some(50))]));
    let ranks: Vec<_> = found.iter().map(|host| host.rank).collect();
    assert_eq!(ranks, [Some(1), Some(2), Some(3)]);
    for host in &found {
        assert_eq!((host.state, &host.findings[..]), (TierState::Up, &[][..]));
    }
    let trusted: Vec<_> = found.iter().map(|host| host.trusted).collect();
    assert_eq!(trusted, [Some(true), None, None], "what was not seen is not known");
}

#[test]
fn nix_sorts_by_priority_and_keeps_the_list_among_equals() {
    let listed = "https://cache.nixos.org http://x http://p620:5000?priority=40 daemon";
    let view = view(listed, NIXOS, &[seen(Some(40)), seen(Some(10)), seen(Some(30))]);
    let found = judged(&view);
    // The machine's own daemon has Nix's 0.
    assert_eq!((found[0].rank, found[1].rank), (Some(4), Some(3)));
    let error = found[0].error().unwrap();
    assert!(error.contains("nixos (priority 40) is asked before p620 (priority 40)"), "{error}");
    assert_eq!(found[1].findings, [], "said once, of the one that is asked too late");
    let error = found[2].error().unwrap();
    assert!(error.starts_with("this cache is not asked; add \"s3://b?"), "{error}");
    assert_eq!(found[2].configured, Some(false));
}

#[test]
fn a_cache_without_a_priority_is_asked_first_which_is_told() {
    let listed = "http://p620:5000 https://cache.nixos.org s3://b?endpoint=http://s:1";
    let keys = format!("{KEY} {NIXOS}");
    let found = judged(&view(listed, &keys, &[seen(Some(30)), seen(Some(40)), seen(None)]));
    assert_eq!(found[2].rank, Some(1));
    let error = found[2].error().unwrap();
    assert!(error.contains("no Priority") && error.contains("http://s:1&priority=45"), "{error}");
    let late = found[0].error().unwrap();
    assert!(late.starts_with("bucket (priority 0) is asked before p620 (priority 30)"), "{late}");
}

#[test]
fn a_key_counts_by_its_bytes_not_by_its_name() {
    let up = [seen(Some(30))];
    let found = judged(&view("http://p620:5000", OTHER, &up));
    assert_eq!((found[0].trusted, found[0].state), (Some(false), TierState::Untrusted));
    assert_eq!(codes(&found[0]), [Code::KeyReplaced]);
    let found = judged(&view("http://p620:5000?trusted=true", OTHER, &up));
    assert_eq!((found[0].trusted, found[0].state), (Some(true), TierState::Up));
}

#[test]
fn a_key_that_is_none_is_told_as_it_is_written() {
    let zeros = "p620-1:AAAA";
    let found = judged(&view("http://p620:5000", zeros, &[seen(Some(30))]));
    assert_eq!(
        (found[0].trusted, codes(&found[0])),
        (Some(false), vec![Code::TrustedKeyMalformed])
    );
    let finding = &found[0].findings[0];
    assert!(finding.cause.contains(zeros) && finding.fix.contains(KEY), "{finding:?}");
}

#[test]
fn what_one_look_finds_is_dated_by_it_and_about_the_host() {
    let found = judged(&view("", NIXOS, &[]));
    let finding = &found[0].findings[0];
    assert_eq!(finding.measured_at, Some(Timestamp::UNIX_EPOCH));
    assert_eq!(finding.subject.host_name(), Some("razer"));
    assert_eq!(finding.subject.tier_name(), Some("p620"));
}

#[test]
fn any_signature_that_a_host_trusts_is_enough_but_the_tiers_own_key_is_named() {
    let fleet = fleet();
    let copied = KEY.replace("p620-1", "builder-1");
    let view = view("http://p620:5000", &copied, &[seen(Some(30))]);
    let judge = |witness: &SignedNarinfo| {
        let by = VerdictBasis { fleet: &fleet, witness: Some(witness), advises: true };
        host_verdict(by, &fleet.tiers[0], "razer", &view)
    };
    let found = judge(&signed_by("builder-1"));
    assert_eq!((found.trusted, found.state), (Some(true), TierState::Up));
    let error = found.error().unwrap();
    assert!(error.contains("p620-1") && error.contains("signature of builder-1"), "{error}");
    let found = judge(&signed_by("p620-1"));
    assert_eq!((found.trusted, found.state), (Some(false), TierState::Untrusted));
}

#[test]
fn a_key_that_is_trusted_helps_nothing_where_another_signed() {
    let (fleet, witness) = (fleet(), signed_by("old-1"));
    let by = VerdictBasis { fleet: &fleet, witness: Some(&witness), advises: true };
    let view = view("http://p620:5000", KEY, &[seen(Some(30))]);
    let found = host_verdict(by, &fleet.tiers[0], "razer", &view);
    assert_eq!((found.trusted, found.state), (Some(false), TierState::Untrusted));
    assert!(found.error().unwrap().contains("none of the keys that signed a-1.0 (old-1)"));
}

#[test]
fn a_cache_that_the_host_does_not_reach_has_no_rank() {
    let down = Err(RequestError::new("http://c", "nothing listens there", ""));
    let listed = "http://p620:5000 https://cache.nixos.org";
    let found = judged(&view(listed, &format!("{KEY} {NIXOS}"), &[down, seen(Some(40))]));
    assert_eq!((found[0].rank, found[0].state), (None, TierState::Down));
    assert_eq!(found[1].rank, Some(1));
    assert_eq!(codes(&found[0]), [Code::NotReached]);
}

#[test]
fn a_key_that_nobody_trusts_makes_a_tier_that_is_up_untrusted() {
    let fleet = fleet();
    let views = |keys: &str| -> BTreeMap<String, HostView> {
        let view = view("http://p620:5000", keys, &[seen(Some(30))]);
        [("razer".to_owned(), view.clone()), ("p620".to_owned(), view)].into()
    };
    let settled_with = |keys: &str, signature| {
        let mut facts = TierFacts { state: TierState::Up, signature, ..TierFacts::default() };
        let tier = &fleet.tiers[0];
        let memory = Memory::default();
        for (host, view) in views(keys) {
            put_view(&memory, &host, view);
        }
        add_host_verdicts(&mut facts, tier, &fleet, &memory);
        facts
    };
    let settled = |keys: &str| settled_with(keys, SignatureState::Unchecked);
    let facts = settled(NIXOS);
    assert_eq!(facts.state, TierState::Untrusted);
    assert!(facts.error().unwrap().contains("no host trusts the key p620-1"));
    assert_eq!(settled(KEY).state, TierState::Up);
    // The tier does not sign with that key: nobody is told to trust it.
    let facts = settled_with(OTHER, SignatureState::Invalid);
    let said = facts.error().unwrap();
    assert!(said.contains("fix public_key in hosts.toml") && !said.contains("add \""), "{said}");
}

/// Settles facts of p620 by what is remembered.
fn settled(
    facts: TierFacts,
    views: &[(&str, HostView)],
    witness: Option<&SignedNarinfo>,
) -> TierFacts {
    let (fleet, memory, mut facts) = (fleet(), Memory::default(), facts);
    for (host, view) in views {
        put_view(&memory, host, view.clone());
    }
    if let Some(witness) = witness {
        memory.with(&fleet.tiers[0], |memory| memory.signed = Some(witness.clone()));
    }
    add_host_verdicts(&mut facts, &fleet.tiers[0], &fleet, &memory);
    facts
}

#[test]
fn what_another_nixdash_saw_of_a_host_counts_when_it_looked_later() {
    let mut view = view("http://p620:5000", KEY, &[seen(Some(30))]);
    view.measured_at = Timestamp::from_second(100).unwrap();
    let told = |second| TierOnHost {
        configured: Some(true),
        trusted: Some(false),
        state: TierState::Untrusted,
        measured_at: Timestamp::from_second(second).ok(),
        ..TierOnHost::default()
    };
    for (second, state) in [(99, TierState::Up), (101, TierState::Untrusted)] {
        let mut facts = TierFacts { state: TierState::Up, ..TierFacts::default() };
        facts.hosts.insert("razer".to_owned(), told(second));
        let facts = settled(facts, &[("razer", view.clone())], Some(&signed_by("p620-1")));
        assert_eq!(facts.hosts["razer"].state, state, "{second}");
    }
}

#[test]
fn nobody_is_told_to_ask_a_tier_that_is_of_no_use_and_each_is_told_only_where_others_ask() {
    let (asks, not) = (view("http://p620:5000", KEY, &[seen(Some(30))]), view("", KEY, &[]));
    let of = |state, first: &HostView| {
        let facts = TierFacts { state, ..TierFacts::default() };
        settled(facts, &[("razer", first.clone()), ("samsung", not.clone())], None)
    };
    let told = |facts: &TierFacts| codes(&facts.hosts["samsung"]);
    assert_eq!(told(&of(TierState::Up, &asks)), [Code::NotConfigured]);
    assert_eq!(told(&of(TierState::Down, &asks)), []);
    let nobody = of(TierState::Up, &not);
    assert_eq!(told(&nobody), [], "it is said once, of the tier");
    let not_used = |facts: &TierFacts| facts.findings.iter().any(|it| it.code == Code::NotUsed);
    assert!(not_used(&nobody) && !not_used(&of(TierState::Down, &not)));
}

#[test]
fn what_no_host_takes_is_not_called_up() {
    let view = view("http://p620:5000", KEY, &[seen(Some(30))]);
    let facts = |signature| TierFacts {
        state: TierState::Up,
        signature,
        proof: Some("a-1.0 was changed".to_owned()),
        ..TierFacts::default()
    };
    let stranger = signed_by("old-1");
    let invalid = facts(SignatureState::Invalid);
    let changed = settled(invalid.clone(), &[("razer", view.clone())], Some(&stranger));
    assert_eq!(changed.state, TierState::Untrusted);
    assert!(changed.error().unwrap().contains("hosts refuse what it serves: a-1.0 was changed"));
    let ours = settled(invalid, &[("razer", view.clone())], Some(&signed_by("p620-1")));
    assert!(ours.error().unwrap().contains("fix public_key"), "hosts know its key, we do not");
    let foreign = facts(SignatureState::Untrusted);
    let refused = settled(foreign.clone(), &[("razer", view.clone())], Some(&stranger));
    assert_eq!(refused.state, TierState::Untrusted);
    let copied = signed_by("p620-1");
    assert_eq!(settled(foreign, &[("razer", view)], Some(&copied)).state, TierState::Up);
}

#[tokio::test]
async fn settings_are_read_by_the_login_user_where_there_is_no_root() {
    let runner = FakeRunner::new(|_, script| {
        if script.root {
            return Err(RemoteError::not_root(
                "razer",
                NotRoot::PasswordNeeded,
                "sudo: a password is required",
            ));
        }
        let stdout = printed("", NIXOS).replace("root\tyes\ncurl\tyes\n", "");
        Ok(Output { stdout, ..Output::default() })
    });
    let view = look(&runner, "razer", Timestamp::UNIX_EPOCH).await;
    assert!(!view.root && view.error.is_none());
    assert!(view.no_curl.as_deref().unwrap().contains("razer has no curl"));
    let gone = look(&FakeRunner::unreachable(), "razer", Timestamp::UNIX_EPOCH).await;
    let fleet = fleet();
    let by = VerdictBasis { fleet: &fleet, witness: None, advises: true };
    let found = host_verdict(by, &fleet.tiers[0], "razer", &gone);
    assert_eq!((found.configured, found.trusted), (None, None));
    assert_eq!(codes(&found), [Code::SettingsUnreadable]);
}

#[test]
fn a_curl_that_could_not_ask_says_nothing_of_the_cache() {
    let fleet = fleet();
    let state = |trouble| {
        let seen = Err(RequestError { trouble, ..RequestError::new("http://c", "why", "") });
        let (tier, asker) = (&fleet.tiers[1], Asker { host: "razer", root: true });
        let facts = crate::probe::checks::up::seen_from(kind_of(tier), tier, asker, &seen);
        (facts.state, facts.findings[0].code)
    };
    assert_eq!(state(RequestTrouble::Setup), (TierState::Unknown, Code::CurlCannotAsk));
    assert_eq!(state(RequestTrouble::Redirect), (TierState::Unknown, Code::RedirectRefused));
    assert_eq!(state(RequestTrouble::NoAnswer), (TierState::Down, Code::NotReached));
}
