//! What probes remember of each tier from look to look, and what of it outlives nixdash.
//!
//! Everything that all tiers have is a field of [`TierMemory`]. What only one kind or one check
//! remembers is a [`MemoryPart`], a type of its own beside the code that uses it, so that this file knows
//! no kinds. A few values cannot be measured again: those are kept in the history under a name.

use crate::fleet::{Finding, SignatureState, StoreDepth, StoreFacts, StorePath, Tier};
use crate::fleet::{TierFacts, TierHistory, TierState};
use crate::probe::signed::SignedNarinfo;
use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value as Json;
use std::any::{Any, TypeId};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The name under which the history keeps the probe path.
const PROBE_PATH: &str = "canary";

/// The name under which the history keeps the narinfo that hosts judge a tier by.
const SIGNED: &str = "witness";

/// The name under which the history keeps what close looks at stores found.
pub(super) const DEPTHS: &str = "depths";

/// What probes remember, by name of the tier; all but a few values is gone when nixdash ends.
#[derive(Default)]
pub struct Memory {
    tiers: Mutex<HashMap<String, TierMemory>>,
    /// What is remembered of the whole fleet: it is gone when nixdash ends.
    fleet: Mutex<MemoryParts>,
    stores: Mutex<BTreeMap<String, StoreFacts>>,
}

/// Parts of what is remembered, by their types.
type MemoryParts = HashMap<TypeId, Box<dyn AnyMemoryPart>>;

/// Returns a part; at first what was kept.
fn part_of<'a, T: MemoryPart>(
    parts: &'a mut MemoryParts,
    kept: &BTreeMap<String, Json>,
) -> &'a mut T {
    let part = parts.entry(TypeId::of::<T>()).or_insert_with(|| Box::new(T::recall(kept)));
    part.as_any().downcast_mut().expect("a part is found by its own type")
}

/// A value, and when it was found.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Dated<T> {
    pub(super) at: Timestamp,
    pub(super) value: T,
}

/// A verdict on a tier's signature that is believed for a while.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ProvenSignature {
    pub(super) signature: SignatureState,
    pub(super) proof: String,
    pub(super) nar_proof: Option<String>,
    /// Hashes of what there was to prove with.
    pub(super) candidates: Vec<String>,
}

/// What is remembered of one tier.
#[derive(Default)]
pub(super) struct TierMemory {
    /// The path that proved the tier's signature last: it is asked first. Kept.
    pub(super) probe_path: Option<StorePath>,
    /// The narinfo that the tier was last seen to serve, for hosts to judge. Kept.
    pub(super) signed: Option<SignedNarinfo>,
    /// What close looks at hosts' stores found, by host; of the kind `local` only. Kept.
    pub(super) depths: BTreeMap<String, StoreDepth>,
    /// Whether the probe path could be read no more: then nothing is believed that the tier said
    /// before. Whoever keeps those answers takes note of it and resets it.
    pub(super) is_probe_path_lost: bool,
    /// What a look itself found, before anybody asked what hosts make of it.
    pub(super) found: Option<(TierState, Vec<Finding>)>,
    /// What the tier was when it asked to be left alone, and until when that is.
    pub(super) resting: Option<(Timestamp, TierFacts)>,
    /// What the last look found, when all was well.
    pub(super) well: Option<Dated<TierFacts>>,
    /// The last verdict on its signature.
    pub(super) proven: Option<Dated<ProvenSignature>>,
    /// The last proof that a nar is served.
    pub(super) content: Option<Dated<String>>,
    /// Why there is no such proof, where asking again so soon would tell nothing else.
    pub(super) content_unproven: Option<Dated<Finding>>,
    /// What closures and past fetches say of it; none before that was looked at.
    pub(super) history: Option<TierHistory>,
    /// What kinds and checks remember beside that.
    parts: MemoryParts,
    /// What the history keeps of it, as far as is known.
    kept: BTreeMap<String, Json>,
}

/// What a kind or a check remembers of a tier, as a type of its own.
pub(super) trait MemoryPart: Default + Send + 'static {
    /// Returns what the history keeps, and under which name; nothing where everything can be measured
    /// again.
    fn kept(&self) -> Option<(&'static str, Json)> {
        None
    }

    /// Makes it of what the history kept under names; what another version kept and cannot be read is
    /// not known.
    fn recall(kept: &BTreeMap<String, Json>) -> Self {
        let _ = kept;
        Self::default()
    }
}

/// A [`MemoryPart`] whose type is not known.
trait AnyMemoryPart: Send {
    fn kept(&self) -> Option<(&'static str, Json)>;
    fn as_any(&mut self) -> &mut dyn Any;
}

impl<T: MemoryPart> AnyMemoryPart for T {
    fn kept(&self) -> Option<(&'static str, Json)> {
        MemoryPart::kept(self)
    }

    fn as_any(&mut self) -> &mut dyn Any {
        self
    }
}

/// Reads a value that the history kept under a name; one that cannot be read is not known.
pub(super) fn read_kept<T: DeserializeOwned>(
    kept: &BTreeMap<String, Json>,
    name: &str,
) -> Option<T> {
    serde_json::from_value(kept.get(name)?.clone()).ok()
}

/// Returns a value as the history keeps it; what has no JSON form is not kept.
pub(super) fn to_kept(value: &impl Serialize) -> Option<Json> {
    serde_json::to_value(value).ok()
}

impl TierMemory {
    /// Returns what a kind or a check remembers; at first what was kept.
    pub(super) fn part<T: MemoryPart>(&mut self) -> &mut T {
        part_of(&mut self.parts, &self.kept)
    }

    /// Takes in what was kept of the tier before this nixdash began; what was found since stays.
    fn recall(&mut self, kept: Vec<(String, Json)>) {
        for (name, value) in kept {
            self.kept.entry(name).or_insert(value);
        }
        let probe_path = self.probe_path.take();
        self.probe_path = probe_path.or_else(|| read_kept(&self.kept, PROBE_PATH));
        let signed = self.signed.take();
        self.signed = signed.or_else(|| read_kept(&self.kept, SIGNED));
        if self.depths.is_empty() {
            self.depths = read_kept(&self.kept, DEPTHS).unwrap_or_default();
        }
    }

    /// Returns what is to be kept now, by name; none for what is forgotten.
    fn to_keep(&self) -> Vec<(&'static str, Option<Json>)> {
        let depths = Some(&self.depths).filter(|depths| !depths.is_empty());
        let mut all = vec![
            (PROBE_PATH, self.probe_path.as_ref().and_then(to_kept)),
            (SIGNED, self.signed.as_ref().and_then(to_kept)),
            (DEPTHS, depths.and_then(to_kept)),
        ];
        let parts = self.parts.values().filter_map(|part| part.kept());
        all.extend(parts.map(|(name, value)| (name, Some(value))));
        all
    }

    /// Returns what is to be kept and has changed since it was kept last; none where it was forgotten.
    fn take_changes(&mut self) -> Vec<(&'static str, Option<Json>)> {
        let mut changes = self.to_keep();
        changes.retain(|(name, value)| self.kept.get(*name) != value.as_ref());
        for (name, value) in &changes {
            match value {
                Some(value) => drop(self.kept.insert((*name).to_owned(), value.clone())),
                None => drop(self.kept.remove(*name)),
            }
        }
        changes
    }
}

impl Memory {
    /// Does something with what is remembered of a tier.
    pub(super) fn with<R>(&self, tier: &Tier, work: impl FnOnce(&mut TierMemory) -> R) -> R {
        let mut tiers = lock(&self.tiers);
        work(tiers.entry(tier.name.clone()).or_default())
    }

    /// Does something with what a kind or a check remembers of a tier.
    pub(super) fn part<T: MemoryPart, R>(&self, tier: &Tier, work: impl FnOnce(&mut T) -> R) -> R {
        self.with(tier, |memory| work(memory.part()))
    }

    /// Takes in what was kept of a tier before this nixdash began; what was found since stays.
    pub fn recall(&self, tier: &Tier, kept: Vec<(String, Json)>) {
        self.with(tier, |memory| memory.recall(kept));
    }

    /// Returns what is to be kept of a tier and has changed since the last call; nothing where it
    /// was forgotten.
    pub fn take_changes(&self, tier: &Tier) -> Vec<(&'static str, Option<Json>)> {
        self.with(tier, TierMemory::take_changes)
    }

    /// Does something with what is remembered of the whole fleet.
    pub(super) fn fleet_part<T: MemoryPart, R>(&self, work: impl FnOnce(&mut T) -> R) -> R {
        work(part_of(&mut lock(&self.fleet), &BTreeMap::new()))
    }

    /// Keeps how big a host's store is.
    pub(super) fn put_store(&self, host: &str, facts: StoreFacts) {
        lock(&self.stores).insert(host.to_owned(), facts);
    }

    /// Returns how big the stores of hosts are, as far as they were counted.
    pub(super) fn stores(&self) -> BTreeMap<String, StoreFacts> {
        lock(&self.stores).clone()
    }
}

/// Locks; a panic elsewhere leaves what is remembered usable.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::KindName;

    /// What a kind remembers: one number is kept, the other is not.
    #[derive(Default)]
    struct Numbers {
        kept: u64,
        counted: u64,
    }

    impl MemoryPart for Numbers {
        fn kept(&self) -> Option<(&'static str, Json)> {
            Some(("numbers", self.kept.into()))
        }

        fn recall(kept: &BTreeMap<String, Json>) -> Self {
            Self { kept: read_kept(kept, "numbers").unwrap_or_default(), counted: 0 }
        }
    }

    fn path(name: &str) -> StorePath {
        StorePath::parse(&format!("/nix/store/p21fy4sc5b87h3ma8y0mbiph36v5yfk7-{name}")).unwrap()
    }

    #[test]
    fn only_what_cannot_be_measured_anew_is_kept_and_only_when_it_changed() {
        let memory = Memory::default();
        let weed = Tier::new("weed", KindName::Seaweedfs, "http://weed:8333/b");
        memory.part(&weed, |numbers: &mut Numbers| (numbers.kept, numbers.counted) = (1, 1));
        assert_eq!(memory.take_changes(&weed), [("numbers", Some(1.into()))]);
        memory.part(&weed, |numbers: &mut Numbers| numbers.counted += 1);
        assert_eq!(memory.take_changes(&weed), []);
        memory.with(&weed, |weed| weed.probe_path = Some(path("a")));
        assert_eq!(memory.take_changes(&weed).len(), 1);
        memory.with(&weed, |weed| weed.probe_path = None);
        assert_eq!(memory.take_changes(&weed), [("canary", None)]);
    }

    #[test]
    fn what_was_found_since_is_not_replaced_by_what_was_kept_before() {
        let memory = Memory::default();
        let weed = Tier::new("weed", KindName::Seaweedfs, "http://weed:8333/b");
        memory.with(&weed, |weed| weed.probe_path = Some(path("new")));
        let kept = [
            ("canary", Json::from(path("old").as_str())),
            ("numbers", 7.into()),
            ("witness", "of another version".into()),
            ("of another version", 1.into()),
        ];
        memory.recall(&weed, kept.map(|(name, value)| (name.to_owned(), value)).into());
        memory.with(&weed, |weed| {
            assert_eq!(weed.probe_path, Some(path("new")));
            assert_eq!(weed.signed, None);
            assert_eq!(weed.part::<Numbers>().kept, 7);
        });
        let changes: Vec<&str> =
            memory.take_changes(&weed).into_iter().map(|(name, _)| name).collect();
        assert_eq!(changes, ["canary", "witness"], "what was kept already is not kept again");
    }
}
