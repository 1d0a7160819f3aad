//! The whole proof of a nar, when somebody asks for it: it is fetched, unpacked, and compared with its
//! narinfo, as Nix does when it imports the path.
//!
//! Nothing of it is kept but the result. It costs the server a download and is never made by itself.

use crate::fleet::words::tiers;
use crate::fleet::{
    Finding, SignatureState, StorePath, Tier, TierFacts, TierState, VerifiedNar, printable_line,
};
use crate::nix::narinfo::NarInfo;
use crate::nix::unpack::{UnpackError, compare, unpack};
use crate::probe::asking::Asking;
use crate::probe::checks::content::nar_address;
use crate::probe::checks::proof::{self, NarinfoAnswer};
use crate::probe::memory::{Memory, MemoryPart, read_kept, to_kept};
use crate::probe::transport::HttpRequest;
use jiff::SignedDuration;
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, RandomState};

/// Largest file of a nar that is fetched, in bytes.
const FILE_LIMIT: u64 = 64 << 20;

/// Largest nar that is unpacked, in bytes.
const NAR_LIMIT: u64 = 1 << 30;

/// The size of nar that is looked for where no path is named, in bytes.
const WANTED_SIZE: u64 = 1 << 20;

/// How many narinfos are read to find such a one.
const NARINFOS: usize = 20;

/// How long a result is told.
const TOLD: SignedDuration = SignedDuration::from_hours(7 * 24);

/// The name under which the history keeps the last result.
const NAME: &str = "verified";

/// Which nars are to be verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NarChoice {
    /// This path's.
    Path(StorePath),
    /// Those of this many held paths, chosen at random.
    Sample(usize),
    /// That of one signed path of about 1 MB.
    Default,
}

/// What came of one nar.
#[derive(Clone, Debug, PartialEq)]
pub struct NarVerification {
    /// The path.
    pub path: StorePath,
    /// What its signature says under the tier's key.
    pub signature: SignatureState,
    /// Size of the nar in bytes, where it was fetched.
    pub nar_size: Option<u64>,
    /// Whether it matches its narinfo; none where that could not be checked.
    pub is_same: Option<bool>,
    /// What is wrong with it, or why it was not checked.
    pub finding: Option<Finding>,
    /// Why it was not checked.
    pub why_not: Option<String>,
}

/// The last result of a tier.
#[derive(Default)]
struct LastVerified(Option<VerifiedNar>);

impl MemoryPart for LastVerified {
    fn kept(&self) -> Option<(&'static str, Json)> {
        Some((NAME, to_kept(self.0.as_ref()?)?))
    }

    fn recall(kept: &BTreeMap<String, Json>) -> Self {
        Self(read_kept(kept, NAME))
    }
}

/// Fetches nars of a tier whole and compares them with their narinfos; `held` are paths that it was
/// seen to hold.
pub async fn verify(
    asking: &Asking<'_>,
    choice: &NarChoice,
    held: &[StorePath],
) -> Vec<NarVerification> {
    let mut found = Vec::new();
    for path in paths(asking, choice, held).await {
        found.push(verify_one(asking, &path).await);
    }
    if let Some(last) = worst(&found) {
        asking.memory.part(asking.tier, |memory: &mut LastVerified| {
            memory.0 = Some(VerifiedNar {
                path: last.path.clone(),
                nar_size: last.nar_size.unwrap_or_default(),
                count: found.iter().filter(|one| one.is_same.is_some()).count(),
                finding: last.finding.clone(),
                verified_at: asking.now,
            });
        });
    }
    found
}

/// Returns the result that is kept: one that is wrong, else any that was checked.
fn worst(found: &[NarVerification]) -> Option<&NarVerification> {
    let is_wrong = |one: &&NarVerification| one.is_same == Some(false);
    found.iter().find(is_wrong).or_else(|| found.iter().find(|one| one.is_same.is_some()))
}

/// Returns the last result of a tier.
pub(in crate::probe) fn last_verified(memory: &Memory, tier: &Tier) -> Option<VerifiedNar> {
    memory.part(tier, |memory: &mut LastVerified| memory.0.clone())
}

/// Puts the last result into the facts of a tier.
pub(in crate::probe) fn add_verified(asking: &Asking<'_>, facts: &mut TierFacts) {
    let last = last_verified(asking.memory, asking.tier)
        .filter(|last| asking.now.duration_since(last.verified_at) <= TOLD);
    if let Some(finding) = last.as_ref().and_then(|last| last.finding.clone()) {
        if finding.severity > crate::fleet::Severity::Warning && facts.state == TierState::Up {
            facts.state = TierState::Malformed;
        }
        facts.findings.push(finding);
    }
    facts.verified = last;
}

/// Returns the paths whose nars are to be verified.
async fn paths(asking: &Asking<'_>, choice: &NarChoice, held: &[StorePath]) -> Vec<StorePath> {
    let chance = RandomState::new();
    let mut known = held.to_vec();
    known.sort_by_cached_key(|path| chance.hash_one(path));
    match choice {
        NarChoice::Path(path) => vec![path.clone()],
        NarChoice::Sample(count) => {
            known.truncate(*count);
            known
        }
        NarChoice::Default => {
            let probe_path = asking.memory.with(asking.tier, |memory| memory.probe_path.clone());
            let all = probe_path.into_iter().chain(known).take(NARINFOS);
            let mut best: Option<(bool, u64, StorePath)> = None;
            for path in all {
                let Ok(narinfo) = narinfo(asking, &path).await else { continue };
                let is_unsigned = signature(asking, &narinfo) != SignatureState::Valid;
                let rank = (is_unsigned, narinfo.nar_size.abs_diff(WANTED_SIZE));
                if best.as_ref().is_none_or(|(unsigned, off, _)| rank < (*unsigned, *off)) {
                    best = Some((rank.0, rank.1, path));
                }
            }
            best.into_iter().map(|(_, _, path)| path).collect()
        }
    }
}

fn signature(asking: &Asking<'_>, narinfo: &NarInfo) -> SignatureState {
    let key = asking.tier.public_key.as_ref();
    key.map_or(SignatureState::Unchecked, |key| narinfo.verdict(key))
}

/// Fetches the narinfo of a path; says why there is none.
async fn narinfo(asking: &Asking<'_>, path: &StorePath) -> Result<NarInfo, Refusal> {
    let answer = asking.send(HttpRequest::get(asking.narinfo_url(path)).follow()).await;
    match proof::read(asking, path, &answer) {
        NarinfoAnswer::Narinfo { narinfo, .. } => Ok(*narinfo),
        NarinfoAnswer::Malformed(why) => {
            Err(Refusal::Wrong(Box::new(tiers::narinfo_malformed(asking.tier, path.name(), &why))))
        }
        NarinfoAnswer::Missing => Err(Refusal::NotChecked("the cache does not hold it".to_owned())),
        NarinfoAnswer::Refused(status) => {
            Err(Refusal::NotChecked(format!("the cache answered {status} for its narinfo")))
        }
        NarinfoAnswer::Odd(why) => Err(Refusal::NotChecked(why)),
    }
}

/// Why a nar is not what its narinfo says, or could not be compared.
enum Refusal {
    Wrong(Box<Finding>),
    NotChecked(String),
}

/// Verifies the nar of one path.
async fn verify_one(asking: &Asking<'_>, path: &StorePath) -> NarVerification {
    let mut one = NarVerification {
        path: path.clone(),
        signature: SignatureState::Unchecked,
        nar_size: None,
        is_same: None,
        finding: None,
        why_not: None,
    };
    let found = match narinfo(asking, path).await {
        Ok(narinfo) => {
            one.signature = signature(asking, &narinfo);
            let found = compared(asking, &narinfo).await;
            if !matches!(found, Err(Refusal::NotChecked(_))) {
                one.nar_size = Some(narinfo.nar_size);
            }
            found
        }
        Err(refusal) => Err(refusal),
    };
    match found {
        Ok(finding) => (one.is_same, one.finding) = (Some(true), finding),
        Err(Refusal::Wrong(finding)) => (one.is_same, one.finding) = (Some(false), Some(*finding)),
        Err(Refusal::NotChecked(why)) => one.why_not = Some(printable_line(&why)),
    }
    one.finding = one.finding.map(|finding| finding.at(asking.now));
    one
}

/// Fetches and unpacks a nar; returns a finding where only its file is not what the narinfo says.
async fn compared(asking: &Asking<'_>, narinfo: &NarInfo) -> Result<Option<Finding>, Refusal> {
    let (tier, name) = (asking.tier, narinfo.store_path.name());
    let no = |why: String| Refusal::NotChecked(why);
    if narinfo.file_size.is_some_and(|size| size > FILE_LIMIT) || narinfo.nar_size > NAR_LIMIT {
        return Err(no(
            "it is bigger than nixdash fetches (64 MB packed, 1 GB unpacked)".to_owned()
        ));
    }
    let base = asking.kind.files_url(tier);
    let url = nar_address(&base, asking.kind.rules().requests, &narinfo.url).map_err(no)?;
    let limit = usize::try_from(FILE_LIMIT).unwrap_or(usize::MAX);
    let reply = asking.send(HttpRequest::get(url).limit(limit).follow()).await;
    let reply = reply.map_err(|error| no(error.to_string()))?;
    let what = format!("the cache answered {} for its nar", reply.status);
    match reply.status {
        200 => {}
        // These may be gone in a minute, and say nothing of the nar.
        401 | 408 | 429 | 502..=504 => return Err(no(what)),
        _ => return Err(Refusal::Wrong(Box::new(tiers::nar_missing(tier, name, &what)))),
    }
    if reply.body.len() >= limit {
        return Err(no("its file is bigger than the 64 MB that nixdash fetches".to_owned()));
    }
    let (narinfo, body) = (narinfo.clone(), reply.body);
    let check = tokio::task::spawn_blocking(move || {
        let nar = unpack(narinfo.compression.as_deref(), &body, narinfo.nar_size)?;
        Ok(compare(&narinfo, &nar))
    });
    let check = match check.await {
        Ok(Ok(check)) => check,
        Ok(Err(error @ UnpackError::FormatUnknown(_))) => return Err(no(error.to_string())),
        Ok(Err(error @ UnpackError::Damaged { .. })) => {
            return Err(Refusal::Wrong(Box::new(tiers::nar_differs(
                tier,
                name,
                &error.to_string(),
            ))));
        }
        Err(error) => return Err(no(format!("it could not be unpacked to the end: {error}"))),
    };
    if let Some(fault) = check.fault {
        return Err(Refusal::Wrong(Box::new(tiers::nar_differs(tier, name, &fault.to_string()))));
    }
    Ok(check.file.map(|why| tiers::file_differs(tier, name, &why)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::{Code, KindName};
    use crate::nix::hash::NixHash;
    use crate::probe::asking::Tools;
    use crate::probe::server::{PATH, Server};
    use crate::probe::transport::http::HttpClient;
    use crate::remote::FakeRunner;
    use jiff::Timestamp;
    use sha2::{Digest as _, Sha256};

    const NAR: &str = "\r\0\0\0\0\0\0\0nix-archive-1\0\0\0(\0 and so on";

    /// Verifies a path of a cache whose narinfo says this of its nar.
    async fn verified(nar: &str, more: &str) -> (NarVerification, TierFacts) {
        let hash = NixHash::sha256(Sha256::digest(NAR).into());
        let narinfo = format!(
            "StorePath: {PATH}\nURL: nar/x.nar\nCompression: none\nNarHash: {hash}\n\
             NarSize: {}\nReferences: \n{more}",
            NAR.len()
        );
        let server = Server::start(&[
            ("/p21fy4sc5b87h3ma8y0mbiph36v5yfk7.narinfo", 200, &narinfo),
            ("/nar/x.nar", 200, nar),
        ])
        .await;
        let (fleet, runner) = (crate::config::fallback(), FakeRunner::unreachable());
        let (web, memory) = (HttpClient::new().unwrap(), Memory::default());
        let tools = Tools { web: &web, runner: &runner, fleet: &fleet, memory: &memory };
        let tier = Tier::new("x", KindName::Http, &server.url);
        let asking = tools.asking(&tier, &[], &[], Timestamp::now());
        let path = StorePath::parse(PATH).unwrap();
        for choice in [NarChoice::Default, NarChoice::Sample(3)] {
            assert_eq!(verify(&asking, &choice, std::slice::from_ref(&path)).await.len(), 1);
        }
        let found = verify(&asking, &NarChoice::Path(path), &[]).await.remove(0);
        let mut facts = TierFacts { state: TierState::Up, ..TierFacts::default() };
        add_verified(&asking, &mut facts);
        (found, facts)
    }

    #[tokio::test]
    async fn a_nar_is_compared_whole() {
        let (found, facts) = verified(NAR, "").await;
        assert_eq!((found.is_same, found.finding), (Some(true), None));
        assert_eq!(facts.verified.unwrap().nar_size, NAR.len() as u64);
        assert_eq!(facts.state, TierState::Up);
        let (found, facts) = verified(&NAR.replace("and so on", "and so no"), "").await;
        assert_eq!(found.is_same, Some(false));
        assert_eq!(found.finding.unwrap().code, Code::NarDiffers);
        assert_eq!((facts.state, facts.findings[0].code), (TierState::Malformed, Code::NarDiffers));
        let (found, _) = verified(&NAR[..20], "").await;
        assert_eq!(found.is_same, Some(false));
    }

    #[tokio::test]
    async fn what_nix_ignores_is_a_warning() {
        let (found, facts) = verified(NAR, "FileSize: 3\n").await;
        assert_eq!(found.is_same, Some(true));
        assert_eq!(found.finding.unwrap().code, Code::FileDiffers);
        assert_eq!((facts.state, facts.findings[0].code), (TierState::Up, Code::FileDiffers));
    }

    #[tokio::test]
    async fn what_cannot_be_unpacked_here_is_not_checked() {
        let (found, _) = verified(NAR, "Compression: br\n").await;
        assert_eq!(
            (found.is_same, found.why_not.as_deref()),
            (None, Some("nixdash does not unpack br"))
        );
    }
}
