//! A binary cache and the key it signs with.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

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

    /// Returns whether hosts ask such a tier for paths, as Nix does: it has an address that they
    /// name, signs what it serves, and can be asked for a narinfo.
    pub fn is_substituter(self) -> bool {
        match self {
            Self::NixServe
            | Self::Harmonia
            | Self::Http
            | Self::Cachix
            | Self::S3
            | Self::Seaweedfs
            | Self::Attic
            | Self::Ncps => true,
            Self::Local | Self::GithubActions => false,
        }
    }

    /// Returns whether such a server, or the host that it runs on, can tell how many requests it
    /// was asked.
    pub fn counts_requests(self) -> bool {
        match self {
            Self::NixServe | Self::Harmonia | Self::Seaweedfs | Self::Ncps => true,
            Self::Http
            | Self::Cachix
            | Self::S3
            | Self::Local
            | Self::GithubActions
            | Self::Attic => false,
        }
    }

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
}

impl Tier {
    /// Makes a tier with nothing but what every tier has.
    pub fn new(name: &str, kind: TierKind, url: &str) -> Self {
        Self {
            name: name.to_owned(),
            kind,
            url: url.trim_end_matches('/').to_owned(),
            public_key: None,
            host: None,
            via: None,
            max_size: None,
            every: None,
            max_requests_per_month: None,
            access: Access::default(),
            seaweed: Seaweed::default(),
            repo: None,
            unit: None,
        }
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

/// Where a secret is; it is read as late as possible, and never shown.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SecretSource {
    /// A variable of the environment.
    Env(String),
    /// A file; its first line counts.
    File(PathBuf),
    /// A program that prints it; run without a shell.
    Command {
        /// The program and its arguments.
        words: Vec<String>,
        /// Where it runs, and relative paths among the words start: the folder of `hosts.toml`.
        folder: PathBuf,
    },
}

/// How a tier lets us in, and by which way it is reached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// A bearer token.
    pub token: Option<SecretSource>,
    /// The user of basic authentication.
    pub user: Option<String>,
    /// The password of basic authentication.
    pub password: Option<SecretSource>,
    /// A netrc file, as Nix's `netrc-file`.
    pub netrc: Option<SecretSource>,
    /// The access key of S3.
    pub access_key: Option<SecretSource>,
    /// The secret key of S3.
    pub secret_key: Option<SecretSource>,
    /// Certificates of a private authority, in PEM.
    pub ca_file: Option<PathBuf>,
    /// An HTTP proxy for this tier alone.
    pub proxy: Option<String>,
    /// The address of the tier's API, of kind cachix: besides the tier's own the only one that
    /// credentials are sent to.
    pub api: Option<String>,
}

/// A SeaweedFS cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seaweed {
    /// URLs of the masters, without a trailing slash.
    pub masters: Vec<String>,
    /// URL of the bucket on the S3 gateway.
    pub s3: Option<String>,
    /// URL of the filer's metrics.
    pub metrics: Option<String>,
    /// The replication that every volume should have, as SeaweedFS writes it: `001`.
    pub replication: Option<String>,
    /// How many volume servers there should be.
    pub volume_servers: Option<usize>,
}

/// One binary cache, as configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tier {
    /// The name in `hosts.toml`; unique in the fleet.
    pub name: String,
    /// What kind of server it is.
    pub kind: TierKind,
    /// The address that hosts name as substituter, without a trailing slash; of kind
    /// github-actions, which no host names, the repository's address in GitHub's interface; empty
    /// for kind local.
    pub url: String,
    /// The key its signatures must verify under.
    pub public_key: Option<PublicKey>,
    /// The host whose store it serves; a deploy publishes there by building there.
    pub host: Option<String>,
    /// The host from which it is probed; none means this machine.
    pub via: Option<String>,
    /// How big it may get, in bytes.
    pub max_size: Option<u64>,
    /// How often it is asked, instead of its kind's default.
    pub every: Option<Duration>,
    /// Requests per calendar month after which it is not asked any more.
    pub max_requests_per_month: Option<u64>,
    /// How it lets us in.
    pub access: Access,
    /// The cluster behind it, of kind seaweedfs.
    pub seaweed: Seaweed,
    /// `OWNER/NAME`, of kind github-actions.
    pub repo: Option<String>,
    /// The unit on its host that serves it, of kind nix-serve; none means `nix-serve.service`.
    pub unit: Option<String>,
}
