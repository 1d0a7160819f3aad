//! `nixdash exporter`: measures without end, without a screen, and serves the figures to Prometheus.
//!
//! It polls as the dashboard does and writes the history as the dashboard does.

mod exposition;
mod families;

mod per_host;
mod server;

use crate::cli::caches::Remembered;
use crate::cli::live::{Nobody, count_requests, watch_runs};
use crate::cli::silence::{self, SilenceError};
use crate::cli::{CliError, history};
use crate::fleet::{Event, Fleet};
use crate::probe::{Poller, Record};
use crate::record::{KeptSilences, Recorder, RunWatch, Runs, state_home};
use crate::remote::{Remote, ScriptRunner};
use clap::Args;
use families::FleetFigures;
use jiff::{SignedDuration, Timestamp};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// How often figures are read from the history.
const PAST_EVERY: Duration = Duration::from_secs(30);

/// Arguments of `nixdash exporter`.
#[derive(Debug, Args)]
pub(super) struct ExporterArgs {
    /// The address to listen on; another than this machine's own lets others read
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9632")]
    listen: SocketAddr,
}

pub(super) async fn run(fleet: Fleet, args: ExporterArgs) -> Result<ExitCode, CliError> {
    let failed = |source| CliError::Listen { address: args.listen, source };
    let listener = TcpListener::bind(args.listen).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let mut terminate = signal(SignalKind::terminate())?;
    let fleet = Arc::new(fleet);
    let remote = Remote::new(Arc::clone(&fleet));
    let runner: Arc<dyn ScriptRunner> = Arc::new(remote.clone());
    let recorder = history::recorder(&fleet, |line| tell_aside!("nixdash: {line}"));
    let figures = Arc::new(Mutex::new(FleetFigures::with(fleet.alarms.clone())));
    let kept = KeptSilences::of(&state_home(), fleet.file.as_deref());
    let stop = CancellationToken::new();
    let (events, measured) = mpsc::channel(1024);
    let runs = Runs::open(&state_home()).ok();
    let record = Record { recorder: recorder.clone(), runs: runs.clone() };
    let handle = Poller::spawn(Arc::clone(&fleet), runner, events, record, stop.clone());
    if let Some(recorder) = recorder.clone() {
        tokio::spawn(count_requests(Arc::clone(&fleet), handle.clone(), recorder));
    }
    if let Some(runs) = runs {
        let news = RunWatch::new(runs, fleet.file.clone());
        tokio::spawn(watch_runs(news, handle, Nobody, Arc::default()));
    }
    tokio::spawn(keep(measured, Arc::clone(&figures), recorder.clone(), kept.clone()));
    let hearer = Arc::clone(&figures);
    tokio::spawn(silence::watch(kept, move |all| {
        lock(&hearer).set_silences(all, Timestamp::now());
        std::future::ready(true)
    }));
    tokio::spawn(look_back(Arc::clone(&fleet), Arc::clone(&figures)));
    tell_aside!("nixdash: serving http://{address}/metrics");
    let page = move |format| lock(&figures).page(&fleet, format);
    tokio::select! {
        () = server::serve(listener, page) => {}
        // A signal that cannot be heard ends it too.
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
    stop.cancel();
    remote.close().await;
    if let Some(recorder) = recorder {
        recorder.flush().await;
    }
    Ok(ExitCode::SUCCESS)
}

/// Locks; a panic in another task leaves what is shared usable.
fn lock(figures: &Mutex<FleetFigures>) -> MutexGuard<'_, FleetFigures> {
    figures.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Keeps what is measured, for the next scrape and in the history.
async fn keep(
    mut measured: mpsc::Receiver<Event>,
    figures: Arc<Mutex<FleetFigures>>,
    recorder: Option<Recorder>,
    kept: KeptSilences,
) {
    while let Some(event) = measured.recv().await {
        if let Some(recorder) = &recorder {
            recorder.record(&event);
        }
        let over = lock(&figures).take(event, Timestamp::now());
        for silence in over {
            let now = Timestamp::now();
            match kept.end(&silence, now) {
                Ok(all) => lock(&figures).set_silences(all, now),
                Err(error) => tell_aside!("nixdash: {}", SilenceError::Keep(error)),
            }
        }
    }
}

/// Reads what the history knows, again and again.
async fn look_back(fleet: Arc<Fleet>, figures: Arc<Mutex<FleetFigures>>) {
    loop {
        let reading = Arc::clone(&fleet);
        let read = tokio::task::spawn_blocking(move || {
            history::read(|history| {
                let week = SignedDuration::from_hours(7 * 24);
                let known = Remembered::read(history, &reading, Timestamp::now(), week)?;
                Ok((known, history.outcomes()?))
            })
        });
        // What cannot be read now is served without; the recorder has said why.
        lock(&figures).past = match read.await {
            Ok(read) => read.ok(),
            Err(_) => None,
        };
        tokio::time::sleep(PAST_EVERY).await;
    }
}
