//! Fetches a nar of a tier whole and compares it with its narinfo, when somebody asks.

use crate::fleet::{RunId, StorePath, Tier, VerifyError, can_be_verified};
use crate::probe::candidates::candidates;
use crate::probe::checks::verify::{NarChoice, NarVerification, last_verified, verify};
use crate::probe::kinds::kind_of;
use crate::probe::poller::tier::known_of;
use crate::probe::poller::{Shared, lock};
use jiff::{SignedDuration, Timestamp};
use std::time::Duration;

/// How far back it counts that a tier was seen to hold a path.
const SEEN: SignedDuration = SignedDuration::from_hours(7 * 24);

/// How long it may take.
const LIMIT: Duration = Duration::from_secs(5 * 60);

impl Shared {
    /// Verifies the nar of one signed path of about 1 MB, keeps the result and sends it; nothing
    /// when everything ends meanwhile, or of a tier that the fleet does not have.
    pub(super) async fn verify(&self, tier: &str) -> Option<Result<NarVerification, VerifyError>> {
        let tier = self.fleet.tier(tier)?;
        if let Err(error) = self.may_be_verified(tier) {
            return Some(Err(error));
        }
        let work = tokio::time::timeout(LIMIT, self.verify_default(tier));
        let minutes = LIMIT.as_secs() / 60;
        let late = VerifyError::Late { tier: tier.name.clone(), minutes };
        let found = self.unless_ended(work).await?.unwrap_or(Err(late));
        self.remember(tier);
        let last = last_verified(&self.memory, tier);
        self.amend(tier, |facts| facts.verified = last).await?;
        // What the result makes of the tier is judged with all the rest.
        if let Some(signal) = self.tiers.get(&tier.name) {
            signal.notify_one();
        }
        Some(found)
    }

    /// Says why a tier is not verified now.
    fn may_be_verified(&self, tier: &Tier) -> Result<(), VerifyError> {
        can_be_verified(tier)?;
        let fetching: Option<RunId> =
            lock(&self.fetching).iter().next().map(|(run, _)| run.clone());
        match fetching.filter(|_| kind_of(tier).bears_no_fetches()) {
            Some(run) => Err(VerifyError::Busy { tier: tier.name.clone(), run }),
            None => Ok(()),
        }
    }

    /// Fetches and compares.
    async fn verify_default(&self, tier: &Tier) -> Result<NarVerification, VerifyError> {
        let no_http = |why: String| VerifyError::NoHttp { tier: tier.name.clone(), why };
        let tools = self.tools().map_err(|error| no_http(error.to_string()))?;
        let held = self.paths_of(tier).await;
        let asking = tools.asking(tier, &[], &[], Timestamp::now());
        let found = verify(&asking, &NarChoice::Default, &held).await;
        found.into_iter().next().ok_or_else(|| VerifyError::NoPath(tier.name.clone()))
    }

    /// Returns paths that a tier was seen to hold, here or by another nixdash, or can hold.
    async fn paths_of(&self, tier: &Tier) -> Vec<StorePath> {
        let now = Timestamp::now();
        let since = now.checked_sub(SEEN).unwrap_or(Timestamp::UNIX_EPOCH);
        let mut held: Vec<StorePath> = match &self.record.recorder {
            Some(recorder) => recorder
                .answers(&tier.name, since)
                .await
                .into_iter()
                .filter(|answer| answer.holds)
                .map(|answer| answer.path)
                .collect(),
            None => Vec::new(),
        };
        if held.is_empty() {
            let systems = self.systems();
            let answers = lock(&self.answers);
            held = candidates(tier, &known_of(&systems), |path| {
                answers.get(&tier.name, path, now) == Some(true)
            });
        }
        held
    }
}
