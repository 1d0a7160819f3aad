//! Proof that a cache signs what it serves, and that it serves what it says it has.
//!
//! A narinfo is fetched and its signature checked against the tier's key. The path that proved it
//! is the tier's canary: it is asked first from then on, and when it can be read no more, something
//! happened: a token ran out, or the cache was emptied.

use crate::fleet::words::tiers;
use crate::fleet::{PublicKey, SignatureState, StorePath, TierFacts, TierState, printable_line};
use crate::nix::narinfo::NarInfo;
use crate::nix::s3_url::web_url;
use crate::probe::kinds::thrift::is_thrifty;
use crate::probe::kinds::{nar, served};
use crate::probe::tier::Asking;
use crate::probe::web::{Ask, Declared, Reply, WebError};
use crate::probe::witness::Witness;
use futures_util::stream::{self, StreamExt as _};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// Most narinfos that are asked for one proof.
const LIMIT: usize = 20;

/// How many of them are asked at once, after the first.
const WIDTH: usize = 4;

/// How long a verdict on somebody else's tier is believed: such a one is asked one thing a minute.
const PUBLIC_AGE: SignedDuration = SignedDuration::from_mins(10);

/// The name of what is remembered of a tier's signature.
const PROOF: &str = "proof";

/// The path that proved the tier's signature last; it is looked at first.
pub(in crate::probe) const CANARY: &str = "canary";

/// That the canary could not be read any more: what the tier was seen to hold is not believed.
pub(in crate::probe) const CANARY_FAILED: &str = "canary-failed";

/// That the tier does not let us read: a finding.
pub(in crate::probe) const REFUSED: &str = "refused";

/// What an answer for the narinfo of a path says.
pub(in crate::probe) enum Look {
    /// It holds the path.
    Found(Box<NarInfo>),
    /// It does not hold it.
    Missing,
    /// It does not let us in (401), or says 403, which means either.
    Refused(u16),
    /// It says something else.
    Odd(String),
}

impl Look {
    /// Reads an answer.
    pub(in crate::probe) fn read(path: &StorePath, reply: &Reply) -> Self {
        match reply.status {
            200 => match NarInfo::parse(&reply.text()) {
                Ok(narinfo) if narinfo.store_path == *path => Self::Found(Box::new(narinfo)),
                Ok(_) => Self::Odd(format!("the narinfo of {} is of another path", path.name())),
                Err(error) => Self::Odd(format!("{}: {error}", path.name())),
            },
            404 => Self::Missing,
            status @ (401 | 403) => Self::Refused(status),
            status => Self::Odd(format!("answered {status} for a narinfo")),
        }
    }
}

/// What the search for a proof has found so far.
pub(in crate::probe) struct Search<'a> {
    asking: &'a Asking<'a>,
    key: &'a PublicKey,
    canary: Option<StorePath>,
    /// A path that the tier's key signed, but that needs no signature.
    content_addressed: Option<NarInfo>,
    unsigned: Option<(String, NarInfo)>,
    trouble: Option<String>,
    count: usize,
}

/// A verdict on a tier's signature, what it was made with, and the narinfo.
pub(in crate::probe) type Proof = (SignatureState, String, Option<NarInfo>);

impl<'a> Search<'a> {
    /// Begins to search; a tier without a key cannot be proven.
    pub(in crate::probe) fn begin(asking: &'a Asking<'a>) -> Option<Self> {
        let key = asking.tier.public_key.as_ref()?;
        let canary = asking.memory.get(asking.tier, CANARY);
        Some(Self {
            asking,
            key,
            canary,
            content_addressed: None,
            unsigned: None,
            trouble: None,
            count: 0,
        })
    }

    /// Returns the path that proved the tier before.
    pub(in crate::probe) fn canary(&self) -> Option<&StorePath> {
        self.canary.as_ref()
    }

    /// Returns the paths to look at, the canary first.
    pub(in crate::probe) fn paths(&self) -> Vec<StorePath> {
        let others =
            self.asking.candidates.iter().filter(|path| Some(*path) != self.canary.as_ref());
        self.canary.iter().chain(others).take(LIMIT).cloned().collect()
    }

    /// Takes an answer; returns the verdict when it is one.
    ///
    /// A wrong signature ends the search. Narinfos without a signature of the key are passed over,
    /// since a cache may hold paths that others signed; and at first those that need none, since
    /// hosts take them whoever signed them.
    pub(in crate::probe) fn take(&mut self, path: &StorePath, look: Look) -> Option<Proof> {
        self.count += 1;
        let is_canary = self.canary.as_ref() == Some(path);
        let Look::Found(narinfo) = look else {
            self.without(path, is_canary, look);
            return None;
        };
        match narinfo.verdict(self.key) {
            SignatureState::Valid if narinfo.content_address.is_some() => {
                self.content_addressed.get_or_insert(*narinfo);
                None
            }
            SignatureState::Valid => Some(self.valid(*narinfo)),
            SignatureState::Invalid => {
                self.witness(Some(&narinfo));
                if is_canary {
                    self.canary_failed();
                }
                let proof = format!(
                    "{} carries a signature named {} that does not verify: another key of that \
                     name, or the narinfo was changed",
                    path.name(),
                    self.key.name
                );
                Some((SignatureState::Invalid, proof, Some(*narinfo)))
            }
            SignatureState::Untrusted | SignatureState::Unchecked => {
                let signers = narinfo.signers().join(", ");
                let signers = if signers.is_empty() { "nobody".to_owned() } else { signers };
                let proof = printable_line(&format!(
                    "{} is signed by {signers}, not by {}",
                    path.name(),
                    self.key.name
                ));
                self.unsigned.get_or_insert((proof, *narinfo));
                None
            }
        }
    }

    /// Returns the verdict on a path that the tier's key signed, which is the canary from now on.
    fn valid(&self, narinfo: NarInfo) -> Proof {
        let path = &narinfo.store_path;
        self.asking.memory.put(self.asking.tier, CANARY, path);
        self.witness(Some(&narinfo));
        let proof = format!("{}, signed by {}", path.name(), self.key.name);
        (SignatureState::Valid, proof, Some(narinfo))
    }

    /// Keeps what hosts judge the tier by; without any, they cannot.
    fn witness(&self, narinfo: Option<&NarInfo>) {
        let (memory, tier) = (self.asking.memory, self.asking.tier);
        match narinfo {
            Some(narinfo) => Witness::of(narinfo).keep(memory, tier),
            None => Witness::forget(memory, tier),
        }
    }

    /// Takes an answer that is no narinfo. 401 is a refusal whatever it was asked for; 403 is one
    /// for what could be read before, else a miss: a bucket that may not be listed answers so.
    fn without(&mut self, path: &StorePath, is_canary: bool, look: Look) {
        let status = match look {
            Look::Refused(status) => Some(status),
            Look::Found(_) | Look::Missing => None,
            Look::Odd(why) => {
                self.trouble.get_or_insert(why);
                return;
            }
        };
        if let Some(status) = status
            && (status == 401 || is_canary)
        {
            let tier = self.asking.tier;
            let finding = tiers::narinfo_denied(tier, status, path.name(), is_canary);
            self.asking.memory.put(tier, REFUSED, &finding);
        }
        // A refused canary stays the canary: it is what tells when we are let in again.
        if is_canary {
            self.canary_failed();
            if status.is_none() {
                self.asking.memory.forget(self.asking.tier, CANARY);
            }
        }
    }

    /// Notes that nothing the tier said before is to be believed, once per failure.
    fn canary_failed(&self) {
        let (memory, tier) = (self.asking.memory, self.asking.tier);
        memory.put(tier, CANARY_FAILED, &true);
        memory.forget(tier, PROOF);
        nar::forget(memory, tier);
    }

    /// Returns the verdict when no answer was one.
    pub(in crate::probe) fn end(mut self) -> Proof {
        if let Some(narinfo) = self.content_addressed.take() {
            return self.valid(narinfo);
        }
        self.witness(self.unsigned.as_ref().map(|(_, narinfo)| narinfo));
        if let Some((proof, narinfo)) = self.unsigned {
            return (SignatureState::Untrusted, proof, Some(narinfo));
        }
        let why = match self.trouble {
            Some(trouble) => format!("nothing to prove with: {trouble}"),
            None if self.count == 0 => {
                "nothing to prove with: no host has told its paths yet".to_owned()
            }
            None => format!("nothing to prove with: it holds none of {} paths", self.count),
        };
        (SignatureState::Unchecked, why, None)
    }
}

/// Returns the verdict on a tier without a key.
pub(in crate::probe) fn without_key() -> Proof {
    let why = "nothing to prove with: hosts.toml has no public_key for it";
    (SignatureState::Unchecked, why.to_owned(), None)
}

/// Proves the signature with the first candidate that the tier holds and its key signed; returns
/// that narinfo too.
pub(in crate::probe) async fn prove(asking: &Asking<'_>, declared: &[Declared]) -> Proof {
    let Some(mut search) = Search::begin(asking) else { return without_key() };
    let paths = search.paths();
    // The first alone: it is likely enough, and opens the connection that the others share.
    let first = stream::iter(paths.iter().take(1)).map(|path| look(asking, declared, path));
    let rest = stream::iter(paths.iter().skip(1)).map(|path| look(asking, declared, path));
    let mut answers = first.buffered(1).chain(rest.buffered(WIDTH)).boxed();
    while let Some((path, answer)) = answers.next().await {
        if let Some(verdict) = search.take(path, answer) {
            return verdict;
        }
    }
    drop(answers);
    search.end()
}

/// Fetches and reads the narinfo of a candidate.
async fn look<'a>(
    asking: &Asking<'_>,
    declared: &[Declared],
    path: &'a StorePath,
) -> (&'a StorePath, Look) {
    let look = match narinfo(asking, declared, path).await {
        Ok(reply) => Look::read(path, &reply),
        Err(error) => Look::Odd(error.to_string()),
    };
    (path, look)
}

/// Asks for the narinfo of a path.
pub(super) async fn narinfo(
    asking: &Asking<'_>,
    declared: &[Declared],
    path: &StorePath,
) -> Result<Reply, WebError> {
    let url = format!("{}/{}.narinfo", web_url(asking.tier), path.hash());
    let answer = asking.web.send(asking.tier, declared, Ask::get(url).follow()).await;
    answer.inspect(|reply| served::narinfo(asking, reply.status))
}

/// A verdict that is believed for a while.
#[derive(Serialize, Deserialize)]
struct Kept {
    at: Timestamp,
    signature: SignatureState,
    proof: String,
    nar: Option<String>,
    /// What there was to prove with.
    candidates: Vec<String>,
}

/// Fills in a verdict that is still believed; returns whether there is one. Only those on tiers
/// that are asked one thing at a time are kept; one that is no proof only as long as there is
/// nothing else to prove with.
pub(in crate::probe) fn recall(asking: &Asking<'_>, facts: &mut TierFacts) -> bool {
    let Some(kept) = asking.memory.get::<Kept>(asking.tier, PROOF) else { return false };
    let is_young = asking.now.duration_since(kept.at) < PUBLIC_AGE;
    let is_proof = kept.signature == SignatureState::Valid;
    if !is_young || !is_proof && kept.candidates != hashes(asking) {
        return false;
    }
    facts.signature = kept.signature;
    (facts.proof, facts.nar_proof) = (Some(kept.proof), kept.nar);
    true
}

/// Keeps a verdict, where asking again would be bad manners. A signature that is wrong and a nar
/// that is missing are looked at every time.
pub(in crate::probe) fn remember(asking: &Asking<'_>, facts: &TierFacts) {
    let is_whole = match facts.signature {
        SignatureState::Valid => facts.nar_proof.is_some(),
        SignatureState::Untrusted | SignatureState::Unchecked => true,
        SignatureState::Invalid => false,
    };
    let is_up = matches!(facts.state, TierState::Up | TierState::Slow);
    if let Some(proof) = &facts.proof
        && is_up
        && is_whole
        && is_thrifty(asking.tier)
    {
        let kept = Kept {
            at: asking.now,
            signature: facts.signature,
            proof: proof.clone(),
            nar: facts.nar_proof.clone(),
            candidates: hashes(asking),
        };
        asking.memory.put(asking.tier, PROOF, &kept);
    }
}

/// Returns what there is to prove with, in an order of its own.
fn hashes(asking: &Asking<'_>) -> Vec<String> {
    let mut all: Vec<String> =
        asking.candidates.iter().map(|path| path.hash().to_owned()).collect();
    all.sort();
    all
}

#[cfg(test)]
mod tests;
