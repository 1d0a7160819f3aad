//! The generations of a host's system profile.

use crate::fleet::{BootChoice, StorePath, in_a_list, printable_line};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// One numbered entry of the system profile.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Generation {
    /// Its number.
    pub number: u64,
    /// When it was made.
    pub made_at: Timestamp,
    /// The system.
    pub system: StorePath,
    /// NixOS's version text; none where the system does not say.
    pub nixos_version: Option<String>,
    /// The kernel's version.
    pub kernel: Option<String>,
    /// The revision of the configuration; none where neither the host remembers it nor the configuration sets it.
    pub revision: Option<String>,
    /// Whether its system did not do well there; none: nothing of that is known.
    #[serde(default)]
    pub mark: Option<GenerationMark>,
    /// Its specialisations by name, each a system of its own.
    pub specialisations: BTreeMap<String, StorePath>,
    /// The size of its closure in bytes, unpacked.
    pub bytes: Option<u64>,
}

/// What a host remembers of a system that did not do well there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GenerationMark {
    /// What became of it.
    pub what: MarkedAs,
    /// The run, on the machine of whoever began it.
    pub run: String,
    /// Who began that run, login name and machine.
    pub by: String,
}

/// What became of a system that did not do well.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MarkedAs {
    /// A run that had brought it took it back.
    Withdrawn,
    /// It became permanent, and something was wrong with it.
    Failed,
}

impl GenerationMark {
    /// Reads `WORD<TAB>RUN<TAB>WHO<TAB>SECONDS`, as a host remembers it.
    pub fn parse(text: &str) -> Option<Self> {
        let mut fields = text.split('\t').map(printable_line);
        let what = match fields.next()?.as_str() {
            "withdrawn" => MarkedAs::Withdrawn,
            "failed" => MarkedAs::Failed,
            _ => return None,
        };
        Some(Self { what, run: fields.next()?, by: fields.next()? })
    }
}

impl fmt::Display for GenerationMark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.what {
            MarkedAs::Withdrawn => "withdrawn",
            MarkedAs::Failed => "failed",
        };
        write!(f, "{what} in run {} of {}", self.run, self.by)
    }
}

impl Generation {
    /// Returns whether a system is this generation's, itself or as a specialisation.
    pub fn has(&self, system: &StorePath) -> bool {
        self.system == *system || self.specialisations.values().any(|special| special == system)
    }

    /// Returns the name of the specialisation that a system is of this generation's.
    fn name_of(&self, system: &StorePath) -> Option<&str> {
        let mut named = self.specialisations.iter();
        named.find(|(_, special)| *special == system).map(|(name, _)| name.as_str())
    }
}

/// Every generation of a host, and which of them is in use for what.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Generations {
    /// The generations, by number.
    pub all: Vec<Generation>,
    /// The system that runs now.
    pub running: Option<StorePath>,
    /// The system that the host was started with.
    pub booted: Option<StorePath>,
    /// The number of the generation that the profile names.
    pub profile: Option<u64>,
    /// What the boot loader starts next.
    pub next_boot: BootChoice,
}

/// What a rollback goes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RollbackTarget {
    /// The number of the generation.
    pub generation: u64,
    /// Its system.
    pub system: StorePath,
    /// The generation that runs now; none where what runs is no generation.
    pub from: Option<u64>,
    /// The specialisation that runs now and that the generation lacks.
    pub lacks: Option<String>,
    /// Whether it did not do well there.
    pub mark: Option<GenerationMark>,
}

/// Why there is nothing to roll back to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RollbackError {
    /// The generation that was asked for is not there.
    #[error("{host} has no generation {wanted}; it has {known}")]
    NoSuch {
        /// The host.
        host: String,
        /// The number that was asked for.
        wanted: u64,
        /// The numbers there are.
        known: String,
    },
    /// Nothing is older than what runs.
    #[error(
        "{host} runs generation {running}, and no older generation with another system is left; \
         deploy an older revision of the flake instead"
    )]
    NothingOlder {
        /// The host.
        host: String,
        /// The number of what runs.
        running: u64,
    },
    /// What is older was withdrawn, or failed.
    #[error(
        "{host} runs generation {running}, and what is older and another system did not do well there: \
         {marked}; name the one that is meant with --to, or deploy an older revision of the flake"
    )]
    OlderAreMarked {
        /// The host.
        host: String,
        /// The number of what runs.
        running: u64,
        /// Those that are older, with what became of them.
        marked: String,
    },
    /// The host runs a specialisation, which the generation lacks.
    #[error(
        "{host} runs the specialisation {name}, and generation {wanted} has none of that name, so nothing was \
         begun; go to another generation with --to, or add --without-specialisation to activate the system itself"
    )]
    LacksSpecialisation {
        /// The host.
        host: String,
        /// The generation.
        wanted: u64,
        /// The name of what runs.
        name: String,
    },
    /// There are no generations at all.
    #[error(
        "{host} has no generations of the system profile, so there is nothing to roll back to; does \
         it run NixOS?"
    )]
    None {
        /// The host.
        host: String,
    },
}

impl Generations {
    /// Returns the generation of this number.
    pub fn get(&self, number: u64) -> Option<&Generation> {
        self.all.iter().find(|generation| generation.number == number)
    }

    /// Returns the number of the generation of a system, or of the system that it is a specialisation of:
    /// where several have it, the one that the profile names, else the newest.
    pub fn number_of(&self, system: &StorePath) -> Option<u64> {
        self.generation_of(system).map(|one| one.number)
    }

    /// Returns the generation that has a system, as [`Self::number_of`] finds it.
    fn generation_of(&self, system: &StorePath) -> Option<&Generation> {
        let named = self.profile.and_then(|number| self.get(number));
        let named = named.filter(|named| named.has(system));
        named.or_else(|| self.all.iter().rev().find(|one| one.has(system)))
    }

    /// Returns the number of the generation that runs now; none when what runs is no generation.
    pub fn running_number(&self) -> Option<u64> {
        self.running.as_ref().and_then(|system| self.number_of(system))
    }

    /// Returns the number of the generation that the host was started with.
    pub fn booted_number(&self) -> Option<u64> {
        self.booted.as_ref().and_then(|system| self.number_of(system))
    }

    /// Returns the number of the generation that the next boot starts; none when that is not known
    /// or is no generation.
    pub fn next_number(&self) -> Option<u64> {
        self.next_boot.system.as_ref().and_then(|system| self.number_of(system))
    }

    /// Chooses what a rollback of this host goes to: the generation that was asked for or, without
    /// one, the generation before the running one as numbers go, whatever was switched to in between.
    ///
    /// Generations with the system that runs, or to which what runs belongs, are passed over, since going
    /// there would change nothing; so are those that a run took back or that failed there.
    /// Where what runs is no generation (`test`), it is the one that the profile names.
    pub fn rollback_target(
        &self,
        host: &str,
        wanted: Option<u64>,
    ) -> Result<RollbackTarget, RollbackError> {
        let host = host.to_owned();
        let running = self.running.as_ref().and_then(|system| self.generation_of(system));
        let special = running.zip(self.running.as_ref()).and_then(|(of, it)| of.name_of(it));
        let target = |found: &Generation| RollbackTarget {
            generation: found.number,
            system: found.system.clone(),
            from: running.map(|one| one.number),
            lacks: special
                .filter(|name| !found.specialisations.contains_key(*name))
                .map(str::to_owned),
            mark: found.mark.clone(),
        };
        if self.all.is_empty() {
            return Err(RollbackError::None { host });
        }
        if let Some(wanted) = wanted {
            let known = self.numbers();
            let found = self.get(wanted).map(target);
            return found.ok_or(RollbackError::NoSuch { host, wanted, known });
        }
        let Some(running) = running else {
            let named = self.profile.and_then(|number| self.get(number));
            let newest = named.or(self.all.last()).map(target);
            return newest.ok_or(RollbackError::None { host });
        };
        let (system, running) = (&running.system, running.number);
        let other = |one: &&Generation| one.number < running && one.system != *system;
        let older = || self.all.iter().rev().filter(other);
        if let Some(found) = older().find(|one| one.mark.is_none()).map(target) {
            return Ok(found);
        }
        let marked =
            older().filter_map(|one| Some(format!("{} ({})", one.number, one.mark.as_ref()?)));
        let marked: Vec<String> = marked.collect();
        Err(if marked.is_empty() {
            RollbackError::NothingOlder { host, running }
        } else {
            RollbackError::OlderAreMarked { host, running, marked: in_a_list(&marked) }
        })
    }

    /// Returns the numbers there are, as people read them: `3, 5 to 9 and 12`.
    fn numbers(&self) -> String {
        let mut ranges: Vec<(u64, u64)> = Vec::new();
        for generation in &self.all {
            match ranges.last_mut() {
                Some((_, last)) if *last + 1 == generation.number => *last = generation.number,
                Some(_) | None => ranges.push((generation.number, generation.number)),
            }
        }
        let parts: Vec<String> = ranges
            .into_iter()
            .flat_map(|(first, last)| match last - first {
                0 => vec![first.to_string()],
                1 => vec![first.to_string(), last.to_string()],
                _ => vec![format!("{first} to {last}")],
            })
            .collect();
        if parts.is_empty() { "none".to_owned() } else { in_a_list(&parts) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(name: &str) -> StorePath {
        StorePath::from_base_name(&format!("l0znnv1nxsr0ry7gmadkh49s1d0hycgd-{name}")).unwrap()
    }

    /// Generations with these numbers and systems, of which one runs.
    fn generations(all: &[(u64, &str)], profile: u64, running: &str) -> Generations {
        let all = all.iter().map(|(number, system)| Generation {
            number: *number,
            made_at: Timestamp::UNIX_EPOCH,
            system: path(system),
            nixos_version: None,
            kernel: None,
            revision: None,
            mark: None,
            specialisations: BTreeMap::new(),
            bytes: None,
        });
        Generations {
            all: all.collect(),
            running: Some(path(running)),
            booted: Some(path("a")),
            profile: Some(profile),
            next_boot: BootChoice { system: Some(path(running)), pinned: None },
        }
    }

    #[test]
    fn a_rollback_goes_to_the_number_before_the_running_one_and_not_to_what_ran_before() {
        // 12 was made, then somebody rolled back to 7 and forward to 9: `nix-env --rollback` of the
        // profile would take 7 for what is before 9 only by luck, and 11 is what is below 12.
        let found = generations(&[(7, "a"), (9, "c"), (11, "d"), (12, "e")], 9, "c");
        let target = found.rollback_target("samsung", None).unwrap();
        assert_eq!((target.generation, target.from), (7, Some(9)));
        assert_eq!(found.rollback_target("samsung", Some(11)).unwrap().generation, 11);
    }

    #[test]
    fn a_generation_with_the_running_system_is_passed_over() {
        let found = generations(&[(4, "a"), (5, "b"), (6, "b")], 6, "b");
        assert_eq!(found.rollback_target("samsung", None).unwrap().generation, 4);
    }

    #[test]
    fn a_rollback_never_chooses_what_a_run_took_back_or_what_failed() {
        let mark = |what| {
            let (run, by) = ("9".to_owned(), "me@desk".to_owned());
            Some(GenerationMark { what, run, by })
        };
        // 4 was taken back, and the way back made 5; or 3 was gone back to and 5 is a later one.
        for systems in
            [[(2, "a"), (3, "b"), (4, "c"), (5, "b")], [(2, "a"), (3, "c"), (4, "c"), (5, "d")]]
        {
            let mut found = generations(&systems, 5, systems[3].1);
            for one in found.all.iter_mut().filter(|one| one.system == path("c")) {
                one.mark = mark(MarkedAs::Withdrawn);
            }
            assert_eq!(found.rollback_target("samsung", None).unwrap().generation, 2);
            let asked = found.rollback_target("samsung", Some(4)).unwrap();
            assert_eq!(asked.mark.unwrap().to_string(), "withdrawn in run 9 of me@desk");
        }
        let mut found = generations(&[(4, "a"), (5, "b")], 5, "b");
        found.all[0].mark = mark(MarkedAs::Failed);
        let error = found.rollback_target("samsung", None).unwrap_err().to_string();
        assert!(error.contains("4 (failed in run 9 of me@desk); name the one"), "{error}");
    }

    #[test]
    fn a_specialisation_that_runs_is_its_generation_and_what_lacks_it_is_told() {
        let mut found = generations(&[(4, "a"), (5, "b"), (6, "c"), (7, "c")], 7, "c-gaming");
        for number in [1, 2, 3] {
            let special = if number == 1 { "b-gaming" } else { "c-gaming" };
            found.all[number].specialisations.insert("gaming".to_owned(), path(special));
        }
        assert_eq!((found.running_number(), found.next_number()), (Some(7), Some(7)));
        let target = found.rollback_target("samsung", None).unwrap();
        assert_eq!((target.generation, target.from, target.lacks), (5, Some(7), None));
        let target = found.rollback_target("samsung", Some(4)).unwrap();
        assert_eq!((target.generation, target.lacks.as_deref()), (4, Some("gaming")));
        found.running = Some(path("c"));
        assert_eq!(found.rollback_target("samsung", Some(4)).unwrap().lacks, None);
    }

    #[test]
    fn what_runs_without_a_generation_goes_back_to_the_profile() {
        let found = generations(&[(4, "a"), (5, "b")], 5, "tested");
        let target = found.rollback_target("samsung", None).unwrap();
        assert_eq!((target.generation, target.from), (5, None));
    }

    #[test]
    fn a_rollback_without_a_target_says_what_there_is() {
        let found = generations(&[(3, "a"), (5, "b"), (6, "c"), (7, "d"), (9, "e")], 3, "a");
        let error = found.rollback_target("samsung", Some(8)).unwrap_err().to_string();
        assert_eq!(error, "samsung has no generation 8; it has 3, 5 to 7 and 9");
        for (numbers, said) in [
            (&[1, 2, 3, 6, 7, 8, 9, 11, 12][..], "it has 1 to 3, 6 to 9, 11 and 12"),
            (&[1, 2], "it has 1 and 2"),
            (&[1, 2, 4], "it has 1, 2 and 4"),
            (&[4], "it has 4"),
        ] {
            let all: Vec<(u64, &str)> = numbers.iter().map(|number| (*number, "a")).collect();
            let error = generations(&all, 1, "a").rollback_target("samsung", Some(99)).unwrap_err();
            assert!(error.to_string().ends_with(said), "{error}");
        }
        let error = found.rollback_target("samsung", None).unwrap_err().to_string();
        assert!(error.contains("generation 3, and no older generation"), "{error}");
        let none = Generations::default();
        assert!(none.rollback_target("samsung", None).is_err());
    }

    #[test]
    fn of_several_generations_with_one_system_the_profile_s_is_meant() {
        let found = generations(&[(4, "a"), (5, "b"), (6, "a")], 4, "a");
        assert_eq!(found.running_number(), Some(4));
        assert_eq!(found.booted_number(), Some(4));
        let found = generations(&[(4, "a"), (5, "b"), (6, "a")], 5, "b");
        assert_eq!(found.booted_number(), Some(6));
    }
}
