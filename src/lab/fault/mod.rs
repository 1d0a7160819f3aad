//! Faults on demand, each a real one: what a person asks for, as data. [`host`] and [`cache`] carry it out.

pub(crate) mod cache;
pub(crate) mod host;
mod latency;
pub(crate) mod seaweed;

use super::error::LabError;
use super::names::{self, LabHost};

/// What `lab fault` can be asked for, for a host or for p620's cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum FaultName {
    /// Cut a host off from every other; its cable stays in.
    Partition,
    /// Make every round trip of a host so many milliseconds longer.
    Latency,
    /// Lose so many percent of the packets of a host, each way.
    Loss,
    /// Stop a host's sshd.
    SshdStop,
    /// Cut a host's power.
    PowerOff,
    /// Cut a host's power and give it back.
    PowerCycle,
    /// Leave one megabyte on a host's /nix.
    DiskFull,
    /// Leave no byte on a host's /run.
    RunFull,
    /// Leave no byte in a host's /var/lib/nixdash, where the logs of jobs are.
    VarFull,
    /// Pin what a host boots to what it boots now, as `bootctl set-default` does.
    BootPinned,
    /// Take the key of a host's secrets away: `setupSecrets` fails in every activation of every system.
    NoSecretsKey,
    /// Let a host's login shell print a greeting, and its sudo a lecture.
    Chatty,
    /// Take p620's key from what a host trusts.
    Untrust,
    /// Stop the cache.
    Down,
    /// Let the cache answer so many milliseconds later.
    Slow,
    /// Let the cache change a byte of every nar.
    CorruptNar,
    /// Let the cache answer for a path, and have no nar of it.
    NarMissing,
    /// Let the cache sign with another key of the same name.
    WrongKey,
    /// Let the cache answer 401 to everybody, as it would to a token that has expired.
    TokenExpired,
    /// Cut the power of one of the cluster's volume servers: 1, 2 or 3.
    VolumeServerDown,
    /// Take every fault back.
    Clear,
}

/// A fault of one host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostFault {
    /// No frame reaches it, none leaves it.
    Partition,
    /// Milliseconds on every round trip.
    Latency(u32),
    /// Packets lost of a hundred, each way: 1 to 100.
    Loss(u32),
    /// No sshd.
    SshdStop,
    /// No power.
    PowerOff,
    /// No power for a moment.
    PowerCycle,
    /// No room in /nix.
    DiskFull,
    /// No room in /run.
    RunFull,
    /// No room in /var/lib/nixdash.
    VarFull,
    /// One boot entry that always wins.
    BootPinned,
    /// No key for the host's secrets.
    NoSecretsKey,
    /// Login shells and a sudo that print.
    Chatty,
    /// No trust in p620's key.
    Untrust,
    /// Nothing wrong any more.
    Clear,
}

/// A fault of p620's cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CacheFault {
    /// Not running.
    Down,
    /// Milliseconds before each answer.
    Slow(u32),
    /// Nars that are not what their narinfo says.
    CorruptNar,
    /// Narinfos without their nars.
    NarMissing,
    /// Signatures that nobody can verify.
    WrongKey,
    /// 401 for everything.
    TokenExpired,
    /// Nothing wrong any more.
    Clear,
}

/// A fault of the SeaweedFS cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SeaweedFault {
    /// One volume server without power, by its number.
    VolumeServerDown(u32),
    /// Nothing wrong any more.
    Clear,
}

/// A fault and what it befalls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// One host.
    Host(LabHost, HostFault),
    /// p620's cache.
    LabCache(CacheFault),
    /// The SeaweedFS cluster.
    Seaweed(SeaweedFault),
}

impl Fault {
    /// Puts together what was typed: `cache`, `seaweed` or a host's name, a word, and a number where the word needs one.
    pub fn from_words(
        target: &str,
        word: FaultName,
        amount: Option<u32>,
    ) -> Result<Self, LabError> {
        let needed = |what: &str| {
            amount
                .ok_or_else(|| LabError::Usage(format!("{} needs a number: {what}", name_of(word))))
        };
        let fault = if target == "cache" {
            Self::LabCache(match word {
                FaultName::Down => CacheFault::Down,
                FaultName::Slow => CacheFault::Slow(needed("the milliseconds before each answer")?),
                FaultName::CorruptNar => CacheFault::CorruptNar,
                FaultName::NarMissing => CacheFault::NarMissing,
                FaultName::WrongKey => CacheFault::WrongKey,
                FaultName::TokenExpired => CacheFault::TokenExpired,
                FaultName::Clear => CacheFault::Clear,
                _ => {
                    return Err(misplaced(
                        word,
                        "a host",
                        "down, slow MS, corrupt-nar, nar-missing, wrong-key, token-expired, clear",
                    ));
                }
            })
        } else if target == "seaweed" {
            Self::Seaweed(match word {
                FaultName::VolumeServerDown => SeaweedFault::VolumeServerDown(number_of_server(
                    needed("which volume server")?,
                )?),
                FaultName::Clear => SeaweedFault::Clear,
                _ => return Err(misplaced(word, "another part", "volume-server-down N, clear")),
            })
        } else {
            let host = names::host(target)?;
            let fault = match word {
                FaultName::Partition => HostFault::Partition,
                FaultName::Latency => HostFault::Latency(needed(
                    "the milliseconds that every round trip takes longer",
                )?),
                FaultName::Loss => {
                    HostFault::Loss(percentage(needed("the percentage of packets that are lost")?)?)
                }
                FaultName::SshdStop => HostFault::SshdStop,
                FaultName::PowerOff => HostFault::PowerOff,
                FaultName::PowerCycle => HostFault::PowerCycle,
                FaultName::DiskFull => HostFault::DiskFull,
                FaultName::RunFull => HostFault::RunFull,
                FaultName::VarFull => HostFault::VarFull,
                FaultName::BootPinned => HostFault::BootPinned,
                FaultName::NoSecretsKey => HostFault::NoSecretsKey,
                FaultName::Chatty => HostFault::Chatty,
                FaultName::Untrust => HostFault::Untrust,
                FaultName::Clear => HostFault::Clear,
                FaultName::VolumeServerDown => {
                    return Err(LabError::Usage(
                        "volume-server-down is a fault of seaweed; the hosts have no volume servers"
                            .to_owned(),
                    ));
                }
                FaultName::Down
                | FaultName::Slow
                | FaultName::CorruptNar
                | FaultName::NarMissing
                | FaultName::WrongKey
                | FaultName::TokenExpired => {
                    let known = "partition, latency MS, loss PCT, sshd-stop, power-off, power-cycle, disk-full, run-full, \
                                 var-full, boot-pinned, no-secrets-key, chatty, untrust, clear";
                    return Err(misplaced(word, "the cache", known));
                }
            };
            Self::Host(host, fault)
        };
        let takes_number = matches!(
            word,
            FaultName::Latency | FaultName::Loss | FaultName::Slow | FaultName::VolumeServerDown
        );
        if amount.is_some() && !takes_number {
            return Err(LabError::Usage(format!("{} takes no number", name_of(word))));
        }
        Ok(fault)
    }
}

fn percentage(amount: u32) -> Result<u32, LabError> {
    if (1..=100).contains(&amount) {
        Ok(amount)
    } else {
        Err(LabError::Usage(format!("{amount} % of packets cannot be lost; give 1 to 100")))
    }
}

fn number_of_server(number: u32) -> Result<u32, LabError> {
    let last = crate::lab::seaweed::VOLUME_SERVERS;
    if (1..=last).contains(&number) {
        Ok(number)
    } else {
        Err(LabError::Usage(format!("there is no volume server {number}; they are 1 to {last}")))
    }
}

fn name_of(word: FaultName) -> String {
    use clap::ValueEnum;
    word.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}

fn misplaced(word: FaultName, whose: &str, known: &str) -> LabError {
    LabError::Usage(format!("{} is a fault of {whose}; here it can be {known}", name_of(word)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_put_together_from_words() {
        let samsung = names::host("samsung").unwrap();
        assert_eq!(
            Fault::from_words("samsung", FaultName::Latency, Some(20)).unwrap(),
            Fault::Host(samsung, HostFault::Latency(20))
        );
        assert_eq!(
            Fault::from_words("cache", FaultName::Slow, Some(300)).unwrap(),
            Fault::LabCache(CacheFault::Slow(300))
        );
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_what_would() {
        for (target, word, amount, says) in [
            ("cache", FaultName::Partition, None, "is a fault of a host"),
            ("samsung", FaultName::WrongKey, None, "is a fault of the cache"),
            ("samsung", FaultName::Latency, None, "latency needs a number"),
            ("samsung", FaultName::Loss, Some(101), "cannot be"),
            ("samsung", FaultName::Clear, Some(1), "takes no number"),
            ("seaweed", FaultName::VolumeServerDown, Some(4), "no volume server 4"),
            ("seaweed", FaultName::VolumeServerDown, None, "needs a number"),
            ("seaweed", FaultName::Down, None, "volume-server-down N"),
            ("samsung", FaultName::VolumeServerDown, Some(1), "fault of seaweed"),
            ("nobody", FaultName::Clear, None, "has no host 'nobody'"),
        ] {
            let error = Fault::from_words(target, word, amount).unwrap_err();
            assert!(error.to_string().contains(says), "{error}");
            assert!(error.is_usage());
        }
    }
}
