//! Of which tiers a nar can be fetched whole and compared with its narinfo, and why not of others.

use crate::fleet::{RunId, Tier, TierKind};

/// Nars of a tier cannot be verified.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// It serves none.
    #[error("{tier} is of kind {kind}, which serves no nars over HTTP")]
    ServesNone {
        /// The tier.
        tier: String,
        /// Its kind, as hosts.toml calls it.
        kind: &'static str,
    },
    /// It is asked from a host.
    #[error(
        "{tier} is asked from {host} (via in hosts.toml), and nixdash fetches whole nars from this \
         machine only; run nixdash on {host} for that"
    )]
    AskedFromHost {
        /// The tier.
        tier: String,
        /// The host.
        host: String,
    },
    /// No path is known of it.
    #[error(
        "nixdash knows no path that {0} holds; name one (nixdash caches --verify {0} \
         /nix/store/…). It learns paths from hosts of hosts.toml, when `nixdash caches` asks what the cache \
         holds of their systems"
    )]
    NoPath(String),
    /// A run fetches from it.
    #[error(
        "run #{run} fetches from caches, and {tier} answers few requests at once: verify it \
         when the run has ended"
    )]
    Busy {
        /// The tier.
        tier: String,
        /// The run.
        run: RunId,
    },
    /// It took too long.
    #[error("{tier}: the nar did not arrive within {minutes} minutes; is the cache slow?")]
    Late {
        /// The tier.
        tier: String,
        /// How long was waited.
        minutes: u64,
    },
    /// HTTP is not to be had on this machine.
    #[error("{tier}: {why}")]
    NoHttp {
        /// The tier.
        tier: String,
        /// Why not.
        why: String,
    },
}

/// Says why no nar of a tier can be fetched whole from this machine, where that is so.
pub fn can_be_verified(tier: &Tier) -> Result<(), VerifyError> {
    if matches!(tier.kind, TierKind::Local | TierKind::GithubActions { .. }) {
        let kind = tier.kind.word();
        return Err(VerifyError::ServesNone { tier: tier.name.clone(), kind });
    }
    match &tier.via {
        Some(host) => {
            Err(VerifyError::AskedFromHost { tier: tier.name.clone(), host: host.clone() })
        }
        None => Ok(()),
    }
}
