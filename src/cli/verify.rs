//! `nixdash caches --verify TIER`: fetches nars whole and compares them with their narinfos.

use crate::cli::json::{self, FindingJson};
use crate::cli::status::{interrupted, or_unknown, table};
use crate::cli::{CliError, EXIT_FAILED, EXIT_INTERRUPTED, earlier, history};
use crate::fleet::{
    Finding, Fleet, SignatureState, StorePath, Tier, VerifyError, bytes, can_be_verified,
};
use crate::probe::{HttpClient, NarChoice, NarVerification, Tools, verify_nars};
use crate::remote::Remote;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use std::fmt::Write as _;
use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Arc;

/// How far back it counts that a tier was seen to hold a path.
const SEEN: SignedDuration = SignedDuration::from_hours(7 * 24);

/// What `caches --verify --json` prints.
#[derive(Serialize)]
struct VerificationsJson<'a> {
    tier: &'a str,
    measured_at: Timestamp,
    nars: Vec<VerificationJson<'a>>,
}

#[derive(Serialize)]
struct VerificationJson<'a> {
    path: &'a StorePath,
    /// `same`, `differs` or `not-checked`.
    result: &'static str,
    signature: SignatureState,
    nar_size: Option<u64>,
    findings: Vec<FindingJson<'a>>,
    why_not: Option<&'a str>,
}

/// Verifies nars of a tier: that of a path, of a sample, or of one path of about 1 MB.
pub(super) async fn run(
    fleet: Fleet,
    words: &[String],
    sample: Option<usize>,
    json: bool,
) -> Result<ExitCode, CliError> {
    let (tier, choice) = asked_for(&fleet, words, sample)?;
    let (fleet, tier) = (Arc::new(fleet.clone()), tier.clone());
    let now = Timestamp::now();
    let known = earlier::read(&fleet);
    let since = now.checked_sub(SEEN).unwrap_or(Timestamp::UNIX_EPOCH);
    let held: Vec<StorePath> = history::read(|history| history.answers(&tier, since))
        .unwrap_or_default()
        .into_iter()
        .filter(|answer| answer.holds)
        .map(|answer| answer.path)
        .collect();
    let runner = Remote::new(Arc::clone(&fleet));
    let web = HttpClient::new().map_err(|error| CliError::Verify(error.to_string()))?;
    let tools = Tools { web: &web, runner: &runner, fleet: &fleet, memory: &known.memory };
    let asking = tools.asking(&tier, &[], &[], now);
    let found = tokio::select! {
        found = verify_nars(&asking, &choice, &held) => found,
        () = interrupted() => return Ok(ExitCode::from(EXIT_INTERRUPTED)),
    };
    if found.is_empty() {
        return Err(CliError::Verify(VerifyError::NoPath(tier.name).to_string()));
    }
    keep(&fleet, &tier, &known.memory).await;
    let mut out = std::io::stdout().lock();
    if json {
        let nars = found.iter().map(to_json).collect();
        let document = VerificationsJson { tier: &tier.name, measured_at: now, nars };
        serde_json::to_writer_pretty(&mut out, &document).map_err(std::io::Error::from)?;
        writeln!(out)?;
    } else {
        write!(out, "{}", text(&found))?;
    }
    let all_same = found.iter().all(|one| one.is_same == Some(true));
    Ok(if all_same { ExitCode::SUCCESS } else { ExitCode::from(EXIT_FAILED) })
}

/// Returns which tier and which of its nars were asked for.
fn asked_for<'a>(
    fleet: &'a Fleet,
    words: &[String],
    sample: Option<usize>,
) -> Result<(&'a Tier, NarChoice), CliError> {
    let no = |why: String| CliError::Verify(why);
    let (name, path) = match words {
        [name] => (name, None),
        [name, path] => (name, Some(path)),
        _ => {
            return Err(no(
                "--verify takes the name of a cache, and one path of it at most".to_owned()
            ));
        }
    };
    let Some(tier) = fleet.tier(name) else {
        let names: Vec<&str> = fleet.tiers.iter().map(|tier| tier.name.as_str()).collect();
        return Err(no(format!("there is no cache {name:?}; hosts.toml has {}", names.join(", "))));
    };
    can_be_verified(tier).map_err(|error| no(error.to_string()))?;
    match (path, sample) {
        (Some(_), Some(_)) => Err(no("name a path or use --sample, not both".to_owned())),
        (Some(path), None) => {
            let path = StorePath::parse(path).map_err(|error| no(error.to_string()))?;
            Ok((tier, NarChoice::Path(path)))
        }
        (None, Some(count)) => Ok((tier, NarChoice::Sample(count.max(1)))),
        (None, None) => Ok((tier, NarChoice::Default)),
    }
}

/// Keeps the result, so that the dashboard shows it with its age.
async fn keep(fleet: &Arc<Fleet>, tier: &Tier, memory: &crate::probe::Memory) {
    let Some(recorder) = history::recorder(fleet, |line| tell_aside!("nixdash: {line}")) else {
        return;
    };
    for (name, value) in memory.take_changes(tier) {
        recorder.remember(&tier.name, name, value);
    }
    recorder.flush().await;
}

fn result(one: &NarVerification) -> &'static str {
    match one.is_same {
        Some(true) => "same",
        Some(false) => "differs",
        None => "not-checked",
    }
}

/// Returns the result of one nar of a tier as a sentence, and whether it is bad news.
pub(super) fn told(tier: &str, one: &NarVerification) -> (String, bool) {
    let name = one.path.name();
    if let Some(finding) = &one.finding {
        return (format!("{tier}: {}", finding.sentence()), true);
    }
    match (&one.why_not, one.nar_size) {
        (Some(why), _) => (format!("{tier}: {name} was not checked: {why}"), true),
        (None, size) => {
            let size = size.map(|size| format!(" ({})", bytes(size))).unwrap_or_default();
            (format!("{tier}: the content of {name}{size} matches its narinfo"), false)
        }
    }
}

fn signature(state: SignatureState) -> &'static str {
    match state {
        SignatureState::Valid => "valid",
        SignatureState::Invalid => "invalid",
        SignatureState::Untrusted => "of another key",
        SignatureState::Unchecked => "not checked",
    }
}

fn to_json(one: &NarVerification) -> VerificationJson<'_> {
    VerificationJson {
        path: &one.path,
        result: result(one),
        signature: one.signature,
        nar_size: one.nar_size,
        findings: one
            .finding
            .as_ref()
            .map(|one| json::findings(std::slice::from_ref(one)))
            .unwrap_or_default(),
        why_not: one.why_not.as_deref(),
    }
}

/// Returns the results as a table, and below it what is wrong.
fn text(found: &[NarVerification]) -> String {
    let mut rows = vec![["PATH", "NAR", "CONTENT", "SIGNATURE"].map(str::to_owned).to_vec()];
    rows.extend(found.iter().map(|one| {
        vec![
            one.path.name().to_owned(),
            or_unknown(one.nar_size.map(bytes)),
            result(one).replace('-', " "),
            signature(one.signature).to_owned(),
        ]
    }));
    let mut text = table(&rows);
    for one in found {
        let not_checked = |why: &String| format!("{}: {why}", one.path.name());
        let told = one.finding.as_ref().map(Finding::sentence);
        if let Some(why) = told.or_else(|| one.why_not.as_ref().map(not_checked)) {
            // Writing into a string does not fail.
            let _ = writeln!(text, "{why}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::{KindName, words::tiers};

    #[test]
    fn a_result_is_one_sentence_that_says_whether_it_is_bad() {
        let path = "/nix/store/p21fy4sc5b87h3ma8y0mbiph36v5yfk7-a-1.0";
        let same = NarVerification {
            path: StorePath::parse(path).unwrap(),
            signature: SignatureState::Valid,
            nar_size: Some(1_200_000),
            is_same: Some(true),
            finding: None,
            why_not: None,
        };
        let text = "weed: the content of a-1.0 (1.20 MB) matches its narinfo";
        assert_eq!(told("weed", &same), (text.to_owned(), false));
        let why_not = Some("nixdash does not unpack br".to_owned());
        let unknown = NarVerification { is_same: None, why_not, ..same.clone() };
        let text = "weed: a-1.0 was not checked: nixdash does not unpack br";
        assert_eq!(told("weed", &unknown), (text.to_owned(), true));
        let tier = Tier::new("weed", KindName::Http, "http://weed");
        let finding = Some(tiers::nar_differs(&tier, "a-1.0", "it has another hash"));
        let wrong = NarVerification { is_same: Some(false), finding, ..same };
        let (text, bad) = told("weed", &wrong);
        assert!(bad && text.contains("it has another hash"), "{text}");
    }
}
