//! An S3 bucket as Nix names it: `s3://BUCKET/PREFIX?endpoint=…&region=…&profile=…&scheme=…`.
//!
//! Settings as in Nix's `s3-binary-cache-store.hh`. A bucket on an endpoint of its own is reached
//! by path (`https://ENDPOINT/BUCKET`), one of AWS by host name, unless `addressing-style` says
//! otherwise. Settings that only matter for writing are ignored.
//!
//! What follows the bucket is a prefix of its keys from Nix 2.33 on ([`PREFIX_SINCE`]). Older ones
//! take the whole for the name of a bucket, which no server has.

use crate::fleet::{Tier, TierKind};
use crate::nix::version::Version;
use std::borrow::Cow;

/// The region where none is written, as in Nix.
pub const REGION: &str = "us-east-1";

/// The profile of AWS credentials where none is written.
pub const PROFILE: &str = "default";

/// The first release that takes what follows the bucket for a prefix
/// (`S3BinaryCacheStore`, rewritten on curl).
pub const PREFIX_SINCE: Version = Version::new(2, 33, 0);

/// A bucket, and where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct S3Url {
    /// The bucket's name.
    pub bucket: String,
    /// What the keys of the cache begin with, without slashes around it; none where the whole bucket
    /// is the cache.
    pub prefix: Option<String>,
    /// The URL of the bucket itself, without a trailing slash.
    pub root: String,
    /// The URL below which the objects of the cache are read; without a trailing slash.
    pub base: String,
    /// The region that signatures are made for.
    pub region: String,
    /// The profile in the AWS credentials file, where one is named.
    pub profile: Option<String>,
}

impl S3Url {
    /// Parses it; returns what is wrong and a hint.
    pub fn parse(text: &str) -> Result<Self, (String, String)> {
        const SHAPE: &str =
            "write s3://BUCKET?endpoint=https://…&region=…, or s3://BUCKET/PREFIX?…";
        let fail = |what: String| Err((what, SHAPE.to_owned()));
        let Ok(url) = reqwest::Url::parse(text) else {
            return fail("it is not an address".to_owned());
        };
        let bucket = url.host_str().unwrap_or_default().to_owned();
        if url.scheme() != "s3" || bucket.is_empty() {
            return fail("it names no bucket".to_owned());
        }
        let prefix = Some(url.path().trim_matches('/')).filter(|path| !path.is_empty());
        let value = |name: &str| {
            let found = url.query_pairs().find(|(key, _)| key == name);
            found.map(|(_, value)| value.into_owned()).filter(|value| !value.is_empty())
        };
        let region = value("region").unwrap_or_else(|| REGION.to_owned());
        let plain = |text: &str| {
            text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
        };
        let is_prefix = |text: &str| {
            text.split('/').all(|part| !part.is_empty() && plain(part) && part != "..")
        };
        if prefix.is_some_and(|prefix| !is_prefix(prefix)) {
            return fail(format!("what follows the bucket {bucket} is not a prefix"));
        }
        if !plain(&region) || !plain(&bucket) {
            return fail("bucket or region have characters that no server takes".to_owned());
        }
        let scheme = value("scheme").unwrap_or_else(|| "https".to_owned());
        if !matches!(scheme.as_str(), "http" | "https") {
            return fail(format!("scheme is {scheme:?}, and neither http nor https"));
        }
        let endpoint = value("endpoint");
        let own = endpoint.is_some();
        let endpoint = match endpoint {
            // Nix before 2.33 takes a host name, and the scheme apart.
            Some(endpoint) if endpoint.contains("://") => endpoint,
            Some(endpoint) => format!("{scheme}://{endpoint}"),
            None => format!("{scheme}://s3.{region}.amazonaws.com"),
        };
        let endpoint = match reqwest::Url::parse(&endpoint) {
            Ok(found) if matches!(found.scheme(), "http" | "https") && found.has_host() => found,
            Ok(_) | Err(_) => return fail("its endpoint is not an address".to_owned()),
        };
        if !endpoint.username().is_empty() || endpoint.password().is_some() {
            let hint = "write access_key = { env = \"…\" } and secret_key = { env = \"…\" }";
            return Err((
                "there is a user or a password in the endpoint".to_owned(),
                hint.to_owned(),
            ));
        }
        let by_path = match value("addressing-style").as_deref() {
            Some("path") => true,
            Some("virtual") => false,
            // A name with a dot fits no certificate.
            Some(_) | None => own || bucket.contains('.'),
        };
        let place = endpoint.as_str().trim_end_matches('/');
        let root = if by_path {
            format!("{place}/{bucket}")
        } else {
            place.replacen("://", &format!("://{bucket}."), 1)
        };
        let prefix = prefix.map(str::to_owned);
        let base = prefix.as_ref().map_or_else(|| root.clone(), |path| format!("{root}/{path}"));
        Ok(Self { bucket, prefix, root, base, region, profile: value("profile") })
    }
}

/// Returns the bucket that a tier is.
pub fn bucket_of(tier: &Tier) -> Option<S3Url> {
    (tier.kind == TierKind::S3).then(|| S3Url::parse(&tier.url).ok()).flatten()
}

/// Returns the URL below which a tier's `nix-cache-info` lies, without a trailing slash: of a
/// bucket that of its objects, of every other tier its own.
pub fn web_url(tier: &Tier) -> Cow<'_, str> {
    bucket_of(tier).map_or(Cow::Borrowed(tier.url.as_str()), |bucket| Cow::Owned(bucket.base))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_follows_the_bucket_is_a_prefix_of_its_keys() {
        let url = S3Url::parse("s3://c/nix/cache/?endpoint=https://x.example").unwrap();
        assert_eq!((url.bucket.as_str(), url.prefix.as_deref()), ("c", Some("nix/cache")));
        assert_eq!(url.root, "https://x.example/c");
        assert_eq!(url.base, "https://x.example/c/nix/cache");
        let amazon = S3Url::parse("s3://c/nix?region=eu-1").unwrap();
        assert_eq!(amazon.base, "https://c.s3.eu-1.amazonaws.com/nix");
        let whole = S3Url::parse("s3://c/?endpoint=https://x.example").unwrap();
        assert_eq!((whole.prefix, whole.root == whole.base), (None, true));
        for bad in ["s3://c/a//b", "s3://c/a b", "s3://c/a%00"] {
            assert!(S3Url::parse(bad).is_err(), "{bad}");
        }
    }

    fn base(text: &str) -> String {
        S3Url::parse(text).unwrap().base
    }

    #[test]
    fn an_endpoint_is_a_url_or_a_host_with_a_scheme() {
        for (text, expected) in [
            ("s3://c?endpoint=https://x.example&region=eu-1", "https://x.example/c"),
            ("s3://c?endpoint=http://127.0.0.1:8333/", "http://127.0.0.1:8333/c"),
            ("s3://c?endpoint=x.example:9000&scheme=http", "http://x.example:9000/c"),
            ("s3://c?endpoint=x.example", "https://x.example/c"),
            ("s3://c?endpoint=https://x.example&addressing-style=virtual", "https://c.x.example"),
            ("s3://c", "https://c.s3.us-east-1.amazonaws.com"),
            ("s3://c?region=eu-west-1", "https://c.s3.eu-west-1.amazonaws.com"),
            ("s3://c.d?region=eu-west-1", "https://s3.eu-west-1.amazonaws.com/c.d"),
        ] {
            assert_eq!(base(text), expected, "{text}");
        }
        let url = S3Url::parse("s3://c?region=eu-1&profile=nix&compression=zstd").unwrap();
        assert_eq!((url.region.as_str(), url.profile.as_deref()), ("eu-1", Some("nix")));
        assert_eq!(S3Url::parse("s3://c").unwrap().region, REGION);
    }

    #[test]
    fn what_is_no_bucket_says_why() {
        for (text, word) in [
            ("s3://", "bucket"),
            ("http://c", "bucket"),
            ("s3://c/path//x", "prefix"),
            ("s3://c?endpoint=ftp://x", "endpoint"),
            ("s3://c?endpoint=http://", "endpoint"),
            ("s3://c?endpoint=http://me:x@h", "password"),
            ("s3://c?scheme=gopher", "scheme"),
            ("s3://c?region=a%20b", "region"),
        ] {
            let (message, _) = S3Url::parse(text).unwrap_err();
            assert!(message.contains(word), "{text}: {message}");
        }
    }
}
