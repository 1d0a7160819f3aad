//! Findings that a person silences on the screen.

use crate::dash::demo::{self, model, now};
use crate::dash::tests::keys::press;
use crate::dash::tests::screens::{draw, look, snap, text};
use crate::dash::{Effect, Model, Msg, Overlay, update};
use crate::fleet::{
    Code, Event, Finding, HostFacts, HostState, Outcome, RunWhat, Silence, SilenceEnd,
    SilenceOrigin, Silenced,
};
use jiff::SignedDuration;

fn shown(model: &Model) -> String {
    text(&draw(model, &look(false)))
}

/// Returns the screen on which samsung is selected, in which much is wrong.
fn samsung(columns: u16, rows: u16) -> Model {
    let mut model = model(demo::troubled(), columns, rows);
    press(&mut model, "jj");
    model
}

/// Presses keys in the form and returns what is silenced by them.
fn silenced(model: &mut Model, keys: &str) -> Silence {
    match &press(model, keys)[..] {
        [Effect::Silence(silence)] => (**silence).clone(),
        other => unreachable!("{other:?}"),
    }
}

#[test]
fn a_finding_is_silenced_with_a_reason_and_an_end() {
    let mut model = samsung(110, 30);
    press(&mut model, "M");
    assert!(shown(&model).contains("Silence a finding of samsung"), "{}", shown(&model));
    assert_eq!(press(&mut model, "\n"), [], "without a reason nothing is silenced");
    assert!(model.toast.take().unwrap().text.starts_with("type why"));
    let silence = silenced(&mut model, "\tknown\n");
    assert_eq!((silence.host.as_deref(), silence.reason.as_str()), (Some("samsung"), "known"));
    assert_eq!(silence.until, SilenceEnd::At(now() + SignedDuration::from_hours(24)));
    assert_eq!(silence.severity, None);
    assert_eq!(model.overlay(), None);
}

#[test]
fn one_until_it_changes_remembers_how_bad_the_finding_is() {
    let mut model = samsung(110, 30);
    let silence = silenced(&mut model, "M\t\t\tfor good\n");
    assert_eq!(silence.severity, Some(crate::fleet::Severity::Warning));
}

/// Returns what is said of the silenced findings of a host.
fn silences_of(model: &Model, host: usize) -> Vec<String> {
    let findings = model.world.hosts[host].facts.findings.iter();
    let silenced = findings.filter(|finding| finding.is_silenced());
    silenced.filter_map(|finding| finding.silenced.as_ref().map(Silenced::words)).collect()
}

#[test]
fn what_is_silenced_is_counted_apart_and_loud_again_when_that_is_ended() {
    let mut model = samsung(110, 30);
    let header = |model: &Model| shown(model).lines().nth(1).map(str::to_owned);
    let before = header(&model);
    let silence = silenced(&mut model, "Ma bigger disk\n");
    update(&mut model, Msg::Silences(vec![silence.clone()]), now());
    assert!(header(&model).unwrap().contains("1 silenced"), "{}", shown(&model));
    let words = ["silenced until 2026-11-21 20:04 UTC: a bigger disk"];
    assert_eq!(silences_of(&model, 2), words);
    for event in demo::troubled() {
        demo::happen(&mut model, event);
    }
    assert_eq!(silences_of(&model, 2), words, "a new measurement does not make it loud again");
    press(&mut model, "M");
    let Some(Overlay::Silence(form)) = model.overlay_mut() else { unreachable!() };
    form.selected = form.findings.iter().position(|it| it.code == silence.code).unwrap();
    assert!(shown(&model).contains("enter end the silence"), "{}", shown(&model));
    let ended = press(&mut model, "\n");
    assert!(matches!(&ended[..], [Effect::EndSilence(ended)] if ended.code == silence.code));
    update(&mut model, Msg::Silences(Vec::new()), now());
    assert_eq!((silences_of(&model, 2), header(&model)), (Vec::new(), before));
}

#[test]
fn one_until_it_changes_is_forgotten_when_its_finding_is_gone_or_says_something_else() {
    let of_samsung = |model: &Model, change: fn(&mut HostFacts)| {
        let mut facts = model.world.hosts[2].facts.clone();
        facts.asked_at = Some(now());
        change(&mut facts);
        Event::Host { host: "samsung".to_owned(), facts: Box::new(facts) }
    };
    let mut model = samsung(110, 30);
    let silence = silenced(&mut model, "M\t\t\tfor good\n");
    update(&mut model, Msg::Silences(vec![silence.clone()]), now());
    let forgets = Effect::ForgetSilence(Box::new(silence));
    let gone = of_samsung(&model, |facts| facts.findings.clear());
    assert_eq!(
        demo::happen(&mut model.clone(), gone.clone()),
        [],
        "what was found before may differ"
    );
    let same = of_samsung(&model, |facts| facts.measured_at = Some(now()));
    assert_eq!(demo::happen(&mut model, same), []);
    assert_eq!(demo::happen(&mut model.clone(), gone.clone()), std::slice::from_ref(&forgets));
    let changed = of_samsung(&model, |facts| {
        for finding in &mut facts.findings {
            finding.cause = format!("{} and more", finding.cause);
        }
    });
    assert_eq!(demo::happen(&mut model.clone(), changed), [forgets]);
    let away = of_samsung(&model, |facts| {
        facts.findings.clear();
        facts.state = HostState::Offline;
    });
    assert_eq!(demo::happen(&mut model.clone(), away), [], "who is away says nothing");
    let mut fleet = (*model.world.fleet).clone();
    fleet.read_only = true;
    model.world.fleet = std::sync::Arc::new(fleet);
    assert_eq!(demo::happen(&mut model, gone), [], "with --read-only nothing is forgotten");
    assert_eq!(model.toast, None);
}

#[test]
fn that_the_newest_run_failed_stays_silenced_until_it_changes() {
    let mut events = demo::well();
    let begin = RunWhat::begin(vec!["samsung".to_owned()], "switch via-cache".to_owned());
    events.push(demo::run_event("52", 9, begin));
    events.push(demo::run_event("52", 8, demo::result("samsung", Outcome::RolledBack, Some("no"))));
    let mut model = model(events, 110, 30);
    let at = model.world.fleet.hosts.iter().position(|host| host.name == "samsung").unwrap();
    let mut facts = model.world.hosts[at].facts.clone();
    facts.asked_at = Some(now());
    let run = model.world.runs.iter_mut().find(|run| run.id.0 == "52").unwrap();
    run.hosts[0].result.as_mut().unwrap().previous.clone_from(&facts.system.running);
    let measured = Event::Host { host: "samsung".to_owned(), facts: Box::new(facts) };
    assert_eq!(demo::happen(&mut model, measured.clone()), []);
    press(&mut model, "jj");
    let silence = silenced(&mut model, "M\t\t\tknown\n");
    assert_eq!(silence.code, Code::LastRunFailed);
    update(&mut model, Msg::Silences(vec![silence]), now());
    assert_eq!(demo::happen(&mut model, measured), [], "the next measurement changes nothing");
    assert!(model.world.hosts[at].facts.findings.iter().all(Finding::is_silenced));
}

#[test]
fn what_hosts_toml_silences_is_ended_there_and_outlives_what_is_said_here() {
    let mut fleet = demo::fleet();
    fleet.alarms.silences.push(Silence {
        code: Code::AccessDenied,
        host: None,
        tier: Some("community".to_owned()),
        reason: "known".to_owned(),
        until: SilenceEnd::Day(jiff::civil::Date::constant(2026, 12, 24)),
        severity: None,
        detail: None,
        origin: SilenceOrigin::HostsToml,
    });
    let mut model = demo::model_of(fleet, demo::troubled(), 110, 30);
    press(&mut model, "2jj");
    update(&mut model, Msg::Silences(Vec::new()), now());
    let finding = &model.selected_tier().unwrap().1.facts.findings[0];
    assert!(finding.sentence().ends_with("silenced until 2026-12-24: known"), "{finding:?}");
    press(&mut model, "M");
    let told = shown(&model);
    assert!(told.contains("It is silenced in hosts.toml"), "{told}");
    assert!(!told.contains("enter silence it"), "{told}");
    assert_eq!(press(&mut model, "\n"), []);
}

#[test]
fn with_nothing_wrong_there_is_nothing_to_silence() {
    let mut model = model(demo::well(), 110, 30);
    press(&mut model, "M");
    assert_eq!(model.overlay(), None);
}

#[test]
fn the_form_at_every_size() {
    snap("silence", |columns, rows| {
        let mut model = samsung(columns, rows);
        press(&mut model, "Ma bigger disk is on its way");
        model
    });
}
