//! Fetch: the target pulls its system from its own substituters, as a job.

use super::build::NixEar;
use super::lost::{lost, not_started};
use super::scripts::FETCH;
use super::step::{PlainLog, Step};
use crate::deploy::{Failure, Reason, Report};
use crate::fleet::{Code, Fetched, Fleet};
use crate::nix::activity_log::NixFailure;
use crate::nix::settings::bare_url;
use crate::remote::job::{Job, JobKind};
use std::collections::BTreeMap;
use std::time::Duration;

/// How long a target may be silent because the connection is lost.
const PATIENCE: Duration = Duration::from_secs(20);

/// Names the fetch's job.
pub(super) fn job(step: &Step) -> Job {
    step.job(&step.host.name, "fetch")
}

/// Pulls the system and says which tier served what.
pub(super) async fn fetch(step: &Step) -> Result<Report, Failure> {
    let mut job = step.job_to_start(&step.host.name, "fetch").await;
    let mut args = vec![step.toplevel()?.to_string(), step.fetch_root()];
    if step.shared.fleet.bootstrap_trust {
        let tier = step.tier()?;
        args.push(tier.url.clone());
        args.extend(tier.public_key.as_ref().map(|key| key.text.clone()));
    }
    job.start(JobKind::Work, FETCH, &args, PATIENCE, &mut PlainLog(step))
        .await
        .map_err(not_started)?;
    let mut lines = NixEar::new(step, step.read_before(&job));
    let state = job.follow("exit", PATIENCE, &mut lines).await.map_err(|error| {
        let Failure { outcome, reason } = lost(&error);
        let text = format!("the connection was lost during the fetch: {}", reason.text);
        Failure { outcome, reason: Reason { text, ..reason } }
    })?;
    let log = lines.finish().await;
    let host = &step.host.name;
    match state.exit {
        Some(0) => Ok(Report::Fetched(by_tier(&step.shared.fleet, log.fetched()))),
        Some(code) => {
            let (code, said) = why(log.failure(), code, Code::FetchFailed);
            let text = format!("{host} could not fetch its system: {said}");
            Err(Failure::failed(code, text))
        }
        None => {
            let text =
                format!("the fetch on {host} was ended from outside; was the host restarted?");
            Err(Failure::failed(Code::JobEnded, text))
        }
    }
}

/// Says why a process of Nix failed that ended with this exit code, and which kind of failure that
/// is: a cache that is down is no failed build.
pub(super) fn why(failure: Option<NixFailure>, exit: i32, code: Code) -> (Code, String) {
    match failure {
        Some(NixFailure { is_cache_down: true, text }) => (Code::NotReached, text),
        Some(NixFailure { is_cache_down: false, text }) => (code, text),
        None => (code, format!("nix-store exited with {exit}")),
    }
}

/// Names the tiers that served; a URL that no tier has stays a URL.
pub(super) fn by_tier(
    fleet: &Fleet,
    fetched: BTreeMap<String, Fetched>,
) -> BTreeMap<String, Fetched> {
    let mut named: BTreeMap<String, Fetched> = BTreeMap::new();
    for (url, got) in fetched {
        let tier = fleet.tiers.iter().find(|tier| bare_url(&tier.url) == url);
        let name = tier.map_or_else(|| url.clone(), |tier| tier.name.clone());
        named.entry(name).or_default().add(got);
    }
    named
}
