//! Addresses of servers, and what to write instead of what must not be in them.

use crate::config::value::Meaning;
use crate::fleet::KindName;
use crate::nix::s3_url::S3Url;

/// What an address is of: that decides how it begins and where a password belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RawServer {
    /// A tier of a kind.
    Tier(KindName),
    /// A tier that does not say of which kind it is.
    AnyTier,
    /// A master of SeaweedFS, or its metrics: nixdash sends no password there.
    Cluster,
    /// A proxy on the way to a tier.
    Proxy,
    /// The Prometheus server that trends are drawn from.
    Prometheus,
    /// What a gate of a rollout asks.
    Gate,
}

impl RawServer {
    /// Returns how its address may begin.
    fn schemes(self) -> &'static [&'static str] {
        match self {
            Self::Tier(KindName::S3) => &["s3://"],
            Self::Tier(
                KindName::NixServe
                | KindName::Harmonia
                | KindName::Http
                | KindName::Cachix
                | KindName::Seaweedfs
                | KindName::Local
                | KindName::GithubActions
                | KindName::Attic
                | KindName::Ncps
                | KindName::Niks3,
            )
            | Self::Cluster
            | Self::Prometheus
            | Self::Gate => &["http://", "https://"],
            Self::AnyTier => &["http://", "https://", "s3://"],
            Self::Proxy => &["http://", "https://", "socks5://", "socks5h://"],
        }
    }

    /// Returns what to do instead of writing a user or a password into the address.
    fn login(self) -> &'static str {
        match self {
            Self::Tier(KindName::S3 | KindName::Seaweedfs) => {
                "write access_key = { env = \"…\" } and secret_key = { env = \"…\" }"
            }
            Self::Tier(KindName::GithubActions | KindName::Cachix | KindName::Attic) => {
                "write token = { env = \"…\" }"
            }
            Self::Tier(
                KindName::NixServe
                | KindName::Harmonia
                | KindName::Http
                | KindName::Local
                | KindName::Ncps
                | KindName::Niks3,
            )
            | Self::AnyTier => {
                "write netrc = { file = \"…\" }, or user = \"…\" and password = { env = \"…\" }"
            }
            Self::Cluster => {
                "nixdash logs in to the gateway only: name an address that asks for no login"
            }
            Self::Proxy => "nixdash does not log in to a proxy: name one that asks for no password",
            Self::Prometheus => {
                "nixdash does not log in to Prometheus: name an address that asks for no password, \
                 such as that of a proxy that adds it"
            }
            Self::Gate => "a gate does not log in: name an address that asks for no password",
        }
    }

    /// Returns what to do instead of writing more behind a `?` or `#`.
    fn query(self) -> &'static str {
        match self {
            Self::Tier(KindName::GithubActions) => {
                "write only where GitHub's interface begins; a token goes into token = { env = \"…\" }"
            }
            Self::Tier(
                KindName::NixServe
                | KindName::Harmonia
                | KindName::Http
                | KindName::Cachix
                | KindName::S3
                | KindName::Seaweedfs
                | KindName::Local
                | KindName::Attic
                | KindName::Ncps
                | KindName::Niks3,
            )
            | Self::AnyTier => "settings such as ?priority= belong in the hosts' own nix.conf",
            Self::Cluster | Self::Proxy | Self::Prometheus | Self::Gate => {
                "remove what follows the address"
            }
        }
    }
}

/// Checks the address of a server and returns it without a trailing slash. Anything that looks
/// like a password in it is refused, and not repeated.
pub(super) fn url(text: &str, server: RawServer) -> Meaning<String> {
    let schemes = server.schemes();
    let shape = || format!("it begins with {}", schemes.join(" or "));
    let fail = |message: &str, hint: String| Err((message.to_owned(), hint));
    if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return fail("there is a space or control character in it", shape());
    }
    let found = schemes.iter().find_map(|scheme| Some((scheme, text.strip_prefix(scheme)?)));
    let Some((scheme, rest)) = found else {
        return fail("it is not an address of such a server", shape());
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.contains('@') {
        return fail("there is a user or a password in it", server.login().to_owned());
    }
    // A bucket's settings stand behind a question mark, and what a gate asks for may too.
    let has_query = *scheme == "s3://" || server == RawServer::Gate;
    if !has_query && rest.contains(['?', '#']) {
        return fail("it goes on after a ? or #", server.query().to_owned());
    }
    if authority.is_empty() || reqwest::Url::parse(text).is_err() {
        return fail("it is not an address", shape());
    }
    if server == RawServer::Gate {
        return Ok(text.to_owned());
    }
    let url = text.trim_end_matches('/').to_owned();
    if *scheme == "s3://" { S3Url::parse(&url).map(|_| url) } else { Ok(url) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_in_an_address_belongs_where_that_server_takes_it() {
        for (server, text, words) in [
            (RawServer::Tier(KindName::Http), "http://u:hunter2@x", "netrc"),
            (RawServer::Tier(KindName::S3), "s3://u:hunter2@x", "access_key"),
            (RawServer::Tier(KindName::S3), "s3://x?endpoint=https://u:hunter2@y", "access_key"),
            (RawServer::Tier(KindName::GithubActions), "https://hunter2@x/api/v3", "token"),
            (RawServer::Proxy, "socks5://u:hunter2@x", "to a proxy"),
            (RawServer::Prometheus, "http://u:hunter2@x", "to Prometheus"),
        ] {
            let (message, hint) = url(text, server).unwrap_err();
            assert!(hint.contains(words) && message.contains("password"), "{message}; {hint}");
            assert!(!format!("{message}{hint}").contains("hunter2"), "{message}; {hint}");
        }
    }
}
