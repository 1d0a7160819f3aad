//! Where a cache is, as a substituter names it.

use crate::nix::s3_url::{PROFILE, S3Url};
use reqwest::Url;

/// A cache as a substituter names it: over HTTP, or a bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::probe) struct CacheAddress {
    /// The address that files are below, without a trailing slash.
    pub(in crate::probe) url: String,
    /// Profile and region to sign requests with.
    pub(super) sign: Option<(String, String)>,
}

impl CacheAddress {
    /// Reads a substituter's address: `http://…`, `https://…`, or `s3://BUCKET?endpoint=…`; nothing
    /// of one that is reached by anything else than HTTP.
    pub(in crate::probe) fn parse(substituter: &str) -> Option<Self> {
        let bare = substituter.split('?').next().unwrap_or(substituter).trim_end_matches('/');
        let base = if bare.starts_with("s3://") {
            let bucket = S3Url::parse(substituter).ok()?;
            let profile = bucket.profile.unwrap_or_else(|| PROFILE.to_owned());
            Self { url: bucket.base, sign: Some((profile, bucket.region)) }
        } else {
            Self { url: bare.to_owned(), sign: None }
        };
        (base.url.starts_with("http://") || base.url.starts_with("https://")).then_some(base)
    }

    /// Returns the address of a file of the cache; one that is an address already is that.
    pub(super) fn address(&self, file: &str) -> String {
        let is_address = file.starts_with("http://") || file.starts_with("https://");
        if is_address { file.to_owned() } else { format!("{}/{file}", self.url) }
    }

    /// Returns scheme, host, port and path in one way of writing: what makes two caches the same.
    pub(in crate::probe) fn identity(&self) -> String {
        match Url::parse(&self.url) {
            Ok(url) => {
                let host = url.host_str().unwrap_or_default().to_ascii_lowercase();
                let port = url.port_or_known_default().unwrap_or(0);
                let path = url.path().trim_end_matches('/');
                format!("{}://{host}:{port}{path}", url.scheme())
            }
            Err(_) => self.url.clone(),
        }
    }
}
