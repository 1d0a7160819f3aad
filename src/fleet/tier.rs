//! A binary cache and the key it signs with.

use serde::{Deserialize, Serialize};
use std::fmt;

/// What kind of server a tier is; each has a probe of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TierKind {
    /// nix-serve or nix-serve-ng: serves a host's live store.
    NixServe,
    /// harmonia: serves a host's live store.
    Harmonia,
    /// Any static or public cache over HTTP, such as cache.nixos.org.
    Http,
    /// A hosted Cachix cache.
    Cachix,
    /// An S3 bucket.
    S3,
    /// A SeaweedFS cluster.
    Seaweedfs,
    /// Each machine's own store.
    Local,
    /// The caches of GitHub Actions.
    GithubActions,
    /// An attic server.
    Attic,
    /// An ncps proxy.
    Ncps,
}

impl TierKind {
    /// Every kind, in the order of the documentation.
    pub const ALL: [Self; 10] = [
        Self::NixServe,
        Self::Harmonia,
        Self::Http,
        Self::Cachix,
        Self::S3,
        Self::Seaweedfs,
        Self::Local,
        Self::GithubActions,
        Self::Attic,
        Self::Ncps,
    ];

    /// Returns the word used in `hosts.toml`.
    pub fn word(self) -> &'static str {
        match self {
            Self::NixServe => "nix-serve",
            Self::Harmonia => "harmonia",
            Self::Http => "http",
            Self::Cachix => "cachix",
            Self::S3 => "s3",
            Self::Seaweedfs => "seaweedfs",
            Self::Local => "local",
            Self::GithubActions => "github-actions",
            Self::Attic => "attic",
            Self::Ncps => "ncps",
        }
    }

    /// Returns whether this version of nixdash probes the kind; the others are shown as unknown.
    pub fn is_probed(self) -> bool {
        matches!(self, Self::NixServe | Self::Harmonia | Self::Http)
    }

    /// Returns whether the server serves a host's store, so that building there publishes.
    pub fn serves_a_store(self) -> bool {
        matches!(self, Self::NixServe | Self::Harmonia)
    }
}

impl fmt::Display for TierKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// A public signing key of Nix: `name:base64` of 32 bytes (ed25519).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PublicKey {
    /// The name before the colon, such as `cache.nixos.org-1`.
    pub name: String,
    /// The ed25519 key.
    pub bytes: [u8; 32],
    /// The key as it was written.
    pub text: String,
}

/// One binary cache, as configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tier {
    /// The name in `hosts.toml`; unique in the fleet.
    pub name: String,
    /// What kind of server it is.
    pub kind: TierKind,
    /// The address that hosts name as substituter, without a trailing slash.
    pub url: String,
    /// The key its signatures must verify under.
    pub public_key: Option<PublicKey>,
    /// The host whose store it serves; a deploy publishes there by building there.
    pub host: Option<String>,
}
