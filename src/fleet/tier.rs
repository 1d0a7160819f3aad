//! A binary cache and the key it signs with.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// The kinds of servers, as `hosts.toml` calls them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KindName {
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
    /// A niks3 server and the bucket that it fills.
    Niks3,
}

impl KindName {
    /// Every kind, in the order of the documentation.
    pub const ALL: [Self; 11] = [
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
        Self::Niks3,
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
            | Self::Ncps
            | Self::Niks3 => true,
            Self::Local | Self::GithubActions => false,
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
            Self::Niks3 => "niks3",
        }
    }
}

impl fmt::Display for KindName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// What kind of server a tier is, with what only that kind is told; each has a probe of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TierKind {
    /// nix-serve or nix-serve-ng: serves a host's live store.
    NixServe {
        /// The unit on its host that serves it; none means `nix-serve.service`.
        unit: Option<String>,
    },
    /// harmonia: serves a host's live store.
    Harmonia,
    /// Any static or public cache over HTTP, such as cache.nixos.org.
    Http,
    /// A hosted Cachix cache.
    Cachix {
        /// The address of its API: besides the tier's own the only one that credentials are sent to.
        api: Option<String>,
    },
    /// An S3 bucket.
    S3,
    /// A SeaweedFS cluster.
    Seaweedfs(Seaweed),
    /// Each machine's own store.
    Local,
    /// The caches of GitHub Actions.
    GithubActions {
        /// `OWNER/NAME`.
        repo: String,
    },
    /// An attic server.
    Attic,
    /// An ncps proxy.
    Ncps,
    /// A niks3 server and the bucket that it fills.
    Niks3 {
        /// The address of the server; none where hosts read from it itself.
        api: Option<String>,
    },
}

impl TierKind {
    /// Returns which kind it is.
    pub fn name(&self) -> KindName {
        match self {
            Self::NixServe { .. } => KindName::NixServe,
            Self::Harmonia => KindName::Harmonia,
            Self::Http => KindName::Http,
            Self::Cachix { .. } => KindName::Cachix,
            Self::S3 => KindName::S3,
            Self::Seaweedfs(_) => KindName::Seaweedfs,
            Self::Local => KindName::Local,
            Self::GithubActions { .. } => KindName::GithubActions,
            Self::Attic => KindName::Attic,
            Self::Ncps => KindName::Ncps,
            Self::Niks3 { .. } => KindName::Niks3,
        }
    }

    /// Does what [`KindName::is_substituter`] does.
    pub fn is_substituter(&self) -> bool {
        self.name().is_substituter()
    }

    /// Returns the word used in `hosts.toml`.
    pub fn word(&self) -> &'static str {
        self.name().word()
    }
}

impl From<KindName> for TierKind {
    /// Makes a kind that is told nothing but its name.
    fn from(name: KindName) -> Self {
        match name {
            KindName::NixServe => Self::NixServe { unit: None },
            KindName::Harmonia => Self::Harmonia,
            KindName::Http => Self::Http,
            KindName::Cachix => Self::Cachix { api: None },
            KindName::S3 => Self::S3,
            KindName::Seaweedfs => Self::Seaweedfs(Seaweed::default()),
            KindName::Local => Self::Local,
            KindName::GithubActions => Self::GithubActions { repo: String::new() },
            KindName::Attic => Self::Attic,
            KindName::Ncps => Self::Ncps,
            KindName::Niks3 => Self::Niks3 { api: None },
        }
    }
}

impl Tier {
    /// Returns the address that its login is for: its own, or that of a niks3 server beside its
    /// bucket, whose token no bucket gets.
    pub fn login_url(&self) -> &str {
        if let TierKind::Niks3 { api: Some(api) } = &self.kind { api } else { &self.url }
    }

    /// Makes a tier with nothing but what every tier has.
    pub fn new(name: &str, kind: impl Into<TierKind>, url: &str) -> Self {
        Self {
            name: name.to_owned(),
            kind: kind.into(),
            url: url.trim_end_matches('/').to_owned(),
            public_key: None,
            host: None,
            via: None,
            max_size: None,
            every: None,
            max_requests_per_month: None,
            access: Access::default(),
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

/// What stands at the place of a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretText {
    /// The secret alone.
    Secret,
    /// A netrc, with passwords among other words.
    Netrc,
}

impl SecretSource {
    /// Returns the files that it names; words of a program are among them where they could be one.
    pub fn named_files(&self) -> Vec<PathBuf> {
        match self {
            Self::Env(_) => Vec::new(),
            Self::File(path) => vec![path.clone()],
            Self::Command { words, folder } => words.iter().map(|word| folder.join(word)).collect(),
        }
    }
}

impl fmt::Display for SecretSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(variable) => write!(f, "variable {variable}"),
            Self::File(file) => write!(f, "file {}", file.display()),
            Self::Command { words, .. } => write!(f, "runs {}", words.join(" ")),
        }
    }
}

/// What a tier is shown before it lets us in: one of these, and where the secret in it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Login {
    /// Nothing: it lets everybody in.
    #[default]
    Nobody,
    /// A bearer token.
    Token(SecretSource),
    /// Basic authentication.
    Password {
        /// The user.
        user: String,
        /// The password.
        password: SecretSource,
    },
    /// A netrc file, as Nix's `netrc-file`.
    Netrc(SecretSource),
    /// Keys of S3, which sign each request.
    Keys {
        /// The access key.
        access: SecretSource,
        /// The secret key.
        secret: SecretSource,
    },
}

impl Login {
    /// Returns where the secrets are, each with the key of `hosts.toml` that names it.
    pub fn secrets(&self) -> Vec<(&'static str, &SecretSource)> {
        match self {
            Self::Nobody => Vec::new(),
            Self::Token(source) => vec![("token", source)],
            Self::Password { password, user: _ } => vec![("password", password)],
            Self::Netrc(source) => vec![("netrc", source)],
            Self::Keys { access, secret } => vec![("access_key", access), ("secret_key", secret)],
        }
    }

    /// Returns what stands at the places of its secrets.
    pub fn text(&self) -> SecretText {
        match self {
            Self::Netrc(_) => SecretText::Netrc,
            Self::Nobody | Self::Token(_) | Self::Password { .. } | Self::Keys { .. } => {
                SecretText::Secret
            }
        }
    }

    /// Returns whether it is a token.
    pub fn is_token(&self) -> bool {
        matches!(self, Self::Token(_))
    }
}

/// How a tier lets us in, and by which way it is reached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// What it is shown.
    pub login: Login,
    /// Certificates of a private authority, in PEM.
    pub ca_file: Option<PathBuf>,
    /// An HTTP proxy for this tier alone.
    pub proxy: Option<String>,
}

/// A SeaweedFS cluster; the bucket on its S3 gateway is the tier's own address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seaweed {
    /// URLs of the masters, without a trailing slash.
    pub masters: Vec<String>,
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
}
