//! Trying the screen by hand: the demonstration's fleet in this terminal.

use crate::dash::demo_logs::failed_build;
use crate::dash::{Depth, Effect, Look, Model, Msg, ThemePair, ascii_from, demo, depth_from, run};
use crate::fleet::{Event, Phase, RunId, RunWhat};
use jiff::{SignedDuration, Timestamp};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::{Sender, channel};

/// Returns an event of the demonstration as if it happened now.
fn shifted(event: Event, by: SignedDuration) -> Event {
    let later = |at: Option<Timestamp>| at.map(|at| at + by);
    match event {
        Event::Host { host, mut facts } => {
            facts.measured_at = later(facts.measured_at);
            facts.asked_at = later(facts.asked_at);
            Event::Host { host, facts }
        }
        Event::Tier { tier, mut facts } => {
            facts.measured_at = later(facts.measured_at);
            Event::Tier { tier, facts }
        }
        Event::Run(mut event) => {
            event.at += by;
            Event::Run(event)
        }
        other @ (Event::Asking { .. }
        | Event::Store { .. }
        | Event::Coverage { .. }
        | Event::Next { .. }) => other,
    }
}

/// Sends events as if they happened now, with a pause between those of a run.
async fn play(sender: &Sender<Msg>, events: Vec<Event>, pause: Duration) {
    for event in events {
        let by = Timestamp::now().duration_since(demo::now());
        let mut event = shifted(event, by);
        if let Event::Run(event) = &mut event {
            event.at = Timestamp::now();
            if matches!(event.what, RunWhat::Phase { .. } | RunWhat::Progress { .. }) {
                tokio::time::sleep(pause).await;
            }
        }
        for message in demo::messages(event) {
            if sender.send(message).await.is_err() {
                return;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "run by hand: shows the demonstration's fleet in this terminal"]
async fn show_the_demonstration() {
    let var = |name: &str| std::env::var(name).ok();
    let depth = if var("NO_COLOR").is_some() { Depth::None } else { depth_from(var) };
    let theme = ThemePair::named(&var("TRIAL_THEME").unwrap_or("terminal".to_owned())).unwrap();
    let look = Look::new(theme, depth, ascii_from(var), jiff::tz::TimeZone::system());
    let (sender, events) = channel(1024);
    let (effects, mut asked) = channel(16);
    let model = Model::new(Arc::new(demo::fleet()), Timestamp::now());
    let runtime = tokio::spawn(async move {
        play(&sender, demo::troubled(), Duration::ZERO).await;
        if var("TRIAL_PANIC").is_some() {
            tokio::time::sleep(Duration::from_secs(2)).await;
            tokio::spawn(async { panic!("on purpose") });
        }
        if var("TRIAL_FLOOD").is_some() {
            play(&sender, demo::run_until_plan(), Duration::ZERO).await;
            let flood = sender.clone();
            tokio::spawn(async move {
                for number in 0_u64.. {
                    let (host, line) = ("p620".to_owned(), format!("line {number}"));
                    let what = RunWhat::log(host, Phase::Build, line);
                    for message in demo::messages(demo::run_event("41", 0, what)) {
                        if flood.send(message).await.is_err() {
                            return;
                        }
                    }
                }
            });
        }
        while let Some(effect) = asked.recv().await {
            match effect {
                Effect::StartRun { .. } => {
                    drop(sender.send(Msg::RunNumber(RunId("41".to_owned()))).await);
                    play(&sender, demo::run_until_plan(), Duration::from_millis(200)).await;
                }
                Effect::Answer { yes: true, .. } => {
                    play(&sender, demo::run_in_fetch(), Duration::from_millis(500)).await;
                    play(&sender, demo::run_ended(), Duration::from_millis(500)).await;
                }
                Effect::ShowLogs(Some(wanted)) => {
                    for news in failed_build().answer(&wanted) {
                        drop(sender.send(Msg::Logs(news)).await);
                    }
                }
                Effect::ViewLogs(_)
                | Effect::ShowLogs(None)
                | Effect::CopyRows { .. }
                | Effect::SaveRows { .. } => {}
                Effect::Quit { .. } => return,
                effect => {
                    drop(sender.send(Msg::Notice(format!("{effect:?}"))).await);
                }
            }
        }
    });
    run(model, look, events, effects, tokio::time::Instant::now()).await.unwrap();
    runtime.abort();
}
