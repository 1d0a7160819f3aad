//! Proof that a cache signs what it serves.
//!
//! A narinfo is fetched and its signature checked against the tier's key. The path that proved it is
//! the tier's probe path: it is asked first from then on, and when it can be read no more, something
//! happened: a token ran out, or the cache was emptied.

use crate::fleet::words::tiers;
use crate::fleet::{
    Finding, PublicKey, SignatureState, StorePath, TierFacts, TierState, printable_line,
};
use crate::nix::narinfo::{NarInfo, NarInfoError, refused_since};
use crate::nix::version::Version;
use crate::probe::asking::Asking;
use crate::probe::checks::served;
use crate::probe::memory::{Dated, ProvenSignature};
use crate::probe::signed::SignedNarinfo;
use crate::probe::transport::{HttpReply, HttpRequest, RequestError};
use futures_util::stream::StreamExt as _;
use jiff::SignedDuration;

/// Most narinfos that are asked for one proof.
const LIMIT: usize = 20;

/// How many of them are asked at once, after the first.
const WIDTH: usize = 4;

/// How long a verdict on somebody else's tier is believed: such a one is asked one thing a minute.
const PUBLIC_AGE: SignedDuration = SignedDuration::from_mins(10);

/// What an answer for the narinfo of a path says.
pub(in crate::probe) enum NarinfoAnswer {
    /// It holds the path.
    Narinfo {
        /// What it says of it.
        narinfo: Box<NarInfo>,
        /// From which version of Nix on that is refused, and why.
        refused_since: Option<(Version, NarInfoError)>,
    },
    /// It says something that Nix cannot read, or that is about another path.
    Malformed(String),
    /// It does not hold it.
    Missing,
    /// It does not let us in (401), or says 403, which means either.
    Refused(u16),
    /// It says something else.
    Odd(String),
}

impl NarinfoAnswer {
    /// Reads an answer.
    pub(in crate::probe) fn read(path: &StorePath, reply: &HttpReply) -> Self {
        match reply.status {
            // Nix takes 204 for an empty narinfo, which it refuses.
            200 | 204 => Self::read_text(path, &reply.text()),
            404 | 410 => Self::Missing,
            status @ (401 | 403) => Self::Refused(status),
            status => Self::Odd(format!("answered {status} for a narinfo")),
        }
    }
}

impl NarinfoAnswer {
    /// Reads the body of an answer that says that the narinfo is there.
    fn read_text(path: &StorePath, text: &str) -> Self {
        match NarInfo::parse(text) {
            Ok(narinfo) if narinfo.store_path == *path => {
                Self::Narinfo { narinfo: Box::new(narinfo), refused_since: refused_since(text) }
            }
            Ok(narinfo) => {
                Self::Malformed(format!("it is about another path, {}", narinfo.store_path))
            }
            Err(error) => Self::Malformed(error.to_string()),
        }
    }
}

/// What the search for a proof has found so far.
pub(in crate::probe) struct Search<'a> {
    asking: &'a Asking<'a>,
    key: &'a PublicKey,
    probe_path: Option<StorePath>,
    /// A path that the tier's key signed, but that needs no signature.
    content_addressed: Option<NarInfo>,
    unsigned: Option<(String, NarInfo)>,
    trouble: Option<String>,
    denied: Option<Finding>,
    /// What Nix makes of what was served, where that is trouble: one finding of each code.
    unreadable: Vec<Finding>,
    count: usize,
}

/// A verdict on a tier's signature.
pub(in crate::probe) struct SignatureVerdict {
    pub(in crate::probe) signature: SignatureState,
    /// What it was made with, or why there is none.
    pub(in crate::probe) proof: String,
    /// The narinfo that it was made with.
    pub(in crate::probe) narinfo: Option<NarInfo>,
    /// That the tier does not let us read, whatever else was found.
    pub(in crate::probe) denied: Option<Finding>,
    /// What Nix cannot read of what was served.
    pub(in crate::probe) unreadable: Vec<Finding>,
}

impl<'a> Search<'a> {
    /// Begins to search; a tier without a key cannot be proven.
    pub(in crate::probe) fn begin(asking: &'a Asking<'a>) -> Option<Self> {
        let key = asking.tier.public_key.as_ref()?;
        Some(Self {
            asking,
            key,
            probe_path: asking.memory.with(asking.tier, |memory| memory.probe_path.clone()),
            content_addressed: None,
            unsigned: None,
            trouble: None,
            denied: None,
            unreadable: Vec::new(),
            count: 0,
        })
    }

    /// Returns the path that proved the tier before.
    pub(in crate::probe) fn probe_path(&self) -> Option<&StorePath> {
        self.probe_path.as_ref()
    }

    /// Returns the paths to look at, the probe path first.
    pub(in crate::probe) fn paths(&self) -> Vec<StorePath> {
        let others =
            self.asking.candidates.iter().filter(|path| Some(*path) != self.probe_path.as_ref());
        self.probe_path.iter().chain(others).take(LIMIT).cloned().collect()
    }

    /// Takes an answer; returns the verdict when it is one.
    ///
    /// A wrong signature ends the search. Narinfos without a signature of the key are passed over,
    /// since a cache may hold paths that others signed; and at first those that need none, since
    /// hosts take them whoever signed them.
    pub(in crate::probe) fn take(
        &mut self,
        path: &StorePath,
        found: NarinfoAnswer,
    ) -> Option<SignatureVerdict> {
        self.count += 1;
        let is_probe_path = self.probe_path.as_ref() == Some(path);
        let NarinfoAnswer::Narinfo { narinfo, refused_since } = found else {
            self.without(path, is_probe_path, found);
            return None;
        };
        if let Some((version, why)) = refused_since {
            let (tier, name, version) = (self.asking.tier, path.name(), version.to_string());
            self.note(tiers::narinfo_too_old(tier, name, &version, &why.to_string()));
        }
        match narinfo.verdict(self.key) {
            SignatureState::Valid if narinfo.content_address.is_some() => {
                self.content_addressed.get_or_insert(*narinfo);
                None
            }
            SignatureState::Valid => Some(self.valid(*narinfo)),
            SignatureState::Invalid => {
                self.show_hosts(Some(&narinfo));
                if is_probe_path {
                    self.lose_probe_path();
                }
                let proof = format!(
                    "{} carries a signature named {} that does not verify: another key of that \
                     name, or the narinfo was changed",
                    path.name(),
                    self.key.name
                );
                Some(self.verdict(SignatureState::Invalid, proof, Some(*narinfo)))
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

    /// Makes a verdict.
    fn verdict(
        &mut self,
        signature: SignatureState,
        proof: String,
        narinfo: Option<NarInfo>,
    ) -> SignatureVerdict {
        let proof = match self.asking.transport.asker() {
            Some(asker) => format!("{proof}, asked from {}", asker.host),
            None => proof,
        };
        let unreadable = std::mem::take(&mut self.unreadable);
        SignatureVerdict { signature, proof, narinfo, denied: self.denied.take(), unreadable }
    }

    /// Notes something that Nix does not take, once of each kind.
    fn note(&mut self, finding: Finding) {
        if self.unreadable.iter().all(|known| known.code != finding.code) {
            self.unreadable.push(finding);
        }
    }

    /// Returns the verdict on a path that the tier's key signed, which is the probe path from now on.
    fn valid(&mut self, narinfo: NarInfo) -> SignatureVerdict {
        let path = narinfo.store_path.clone();
        let proof = format!("{}, signed by {}", path.name(), self.key.name);
        self.asking.memory.with(self.asking.tier, |memory| memory.probe_path = Some(path));
        self.show_hosts(Some(&narinfo));
        self.verdict(SignatureState::Valid, proof, Some(narinfo))
    }

    /// Keeps what hosts judge the tier by; without any, they cannot.
    fn show_hosts(&self, narinfo: Option<&NarInfo>) {
        let signed = narinfo.map(SignedNarinfo::of);
        self.asking.memory.with(self.asking.tier, |memory| memory.signed = signed);
    }

    /// Takes an answer that is no narinfo. 401 is a refusal whatever it was asked for; 403 is one
    /// for what could be read before, else a miss: a bucket that may not be listed answers so.
    fn without(&mut self, path: &StorePath, is_probe_path: bool, found: NarinfoAnswer) {
        let status = match found {
            NarinfoAnswer::Refused(status) => Some(status),
            NarinfoAnswer::Narinfo { .. } | NarinfoAnswer::Missing => None,
            NarinfoAnswer::Malformed(why) => {
                self.note(tiers::narinfo_malformed(self.asking.tier, path.name(), &why));
                self.trouble.get_or_insert(format!("{}: {why}", path.name()));
                return;
            }
            NarinfoAnswer::Odd(why) => {
                self.trouble.get_or_insert(why);
                return;
            }
        };
        if let Some(status) = status
            && (status == 401 || is_probe_path)
        {
            let tier = self.asking.tier;
            self.denied = Some(tiers::narinfo_denied(tier, status, path.name(), is_probe_path));
        }
        // A refused probe path stays the probe path: it is what tells when we are let in again.
        if is_probe_path {
            self.lose_probe_path();
            if status.is_none() {
                self.asking.memory.with(self.asking.tier, |memory| memory.probe_path = None);
            }
        }
    }

    /// Notes that nothing the tier said before is to be believed, once per failure.
    fn lose_probe_path(&self) {
        self.asking.memory.with(self.asking.tier, |memory| {
            memory.is_probe_path_lost = true;
            (memory.proven, memory.content, memory.content_unproven) = (None, None, None);
        });
    }

    /// Returns the verdict when no answer was one.
    pub(in crate::probe) fn end(mut self) -> SignatureVerdict {
        if let Some(narinfo) = self.content_addressed.take() {
            return self.valid(narinfo);
        }
        self.show_hosts(self.unsigned.as_ref().map(|(_, narinfo)| narinfo));
        if let Some((proof, narinfo)) = self.unsigned.take() {
            return self.verdict(SignatureState::Untrusted, proof, Some(narinfo));
        }
        let why = match self.trouble.take() {
            Some(trouble) => format!("not proven: {trouble}"),
            None if self.count == 0 => "not proven: no host has told its paths yet".to_owned(),
            None => format!("not proven: it holds none of {} paths", self.count),
        };
        self.verdict(SignatureState::Unchecked, why, None)
    }
}

/// Searches for a path that the tier holds and its key signed, the likeliest first.
pub(in crate::probe) async fn search(asking: &Asking<'_>) -> SignatureVerdict {
    let Some(mut search) = Search::begin(asking) else {
        let proof = "not proven: hosts.toml has no public_key for it".to_owned();
        let signature = SignatureState::Unchecked;
        return SignatureVerdict {
            signature,
            proof,
            narinfo: None,
            denied: None,
            unreadable: Vec::new(),
        };
    };
    let paths = search.paths();
    // The first alone: it is likely enough, and opens the connection that the others share.
    let (first, rest) = paths.split_at(paths.len().min(1));
    for (batch, width) in [(first, 1), (rest, WIDTH)] {
        let asks =
            batch.iter().map(|path| HttpRequest::get(asking.narinfo_url(path)).follow()).collect();
        let mut answers = asking.transport.send_all(asking.tier, asking.kind.rules(), asks, width);
        for path in batch {
            let Some(answer) = answers.next().await else { break };
            if let Some(verdict) = search.take(path, read(asking, path, &answer)) {
                return verdict;
            }
        }
    }
    search.end()
}

/// Reads an answer for the narinfo of a path.
pub(super) fn read(
    asking: &Asking<'_>,
    path: &StorePath,
    answer: &Result<HttpReply, RequestError>,
) -> NarinfoAnswer {
    let reply = match answer {
        Ok(reply) => reply,
        Err(error) => return NarinfoAnswer::Odd(error.to_string()),
    };
    served::narinfo(asking, reply.status);
    // Without root a host's login is not read: a refusal says nothing about its daemon.
    let is_blind = asking.transport.asker().is_some_and(|asker| !asker.root);
    if is_blind && matches!(reply.status, 401 | 403) {
        return NarinfoAnswer::Missing;
    }
    NarinfoAnswer::read(path, reply)
}

/// Fills in a verdict that is still believed; returns whether there is one. Only those on tiers
/// that are asked one thing at a time are kept; one that is no proof only as long as there is
/// nothing else to prove with.
pub(in crate::probe) fn recall(asking: &Asking<'_>, facts: &mut TierFacts) -> bool {
    let proven = asking.memory.with(asking.tier, |memory| memory.proven.clone());
    let Some(Dated { at, value: proven }) = proven else { return false };
    let is_young = asking.now.duration_since(at) < PUBLIC_AGE;
    let is_proof = proven.signature == SignatureState::Valid;
    if !is_young || !is_proof && proven.candidates != hashes(asking) {
        return false;
    }
    facts.signature = proven.signature;
    (facts.proof, facts.nar_proof) = (Some(proven.proof), proven.nar_proof);
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
        && asking.kind.is_asked_one_thing(asking.tier)
    {
        let value = ProvenSignature {
            signature: facts.signature,
            proof: proof.clone(),
            nar_proof: facts.nar_proof.clone(),
            candidates: hashes(asking),
        };
        let proven = Some(Dated { at: asking.now, value });
        asking.memory.with(asking.tier, |memory| memory.proven = proven);
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
