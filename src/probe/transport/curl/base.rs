//! Where a cache is, as a substituter names it.

use crate::nix::s3_url::PROFILE;
use reqwest::Url;
use std::collections::HashMap;

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
        let (bare, query) = substituter.split_once('?').unwrap_or((substituter, ""));
        let bare = bare.trim_end_matches('/');
        let base = match bare.strip_prefix("s3://") {
            Some(bucket) => Self::bucket(bucket, query),
            None => Self { url: bare.to_owned(), sign: None },
        };
        (base.url.starts_with("http://") || base.url.starts_with("https://")).then_some(base)
    }

    /// Reads a bucket and its parameters.
    fn bucket(bucket: &str, query: &str) -> Self {
        let parameters: HashMap<&str, &str> =
            query.split('&').filter_map(|pair| pair.split_once('=')).collect();
        let get = |name: &str| parameters.get(name).copied().filter(|text| !text.is_empty());
        let region = get("region").unwrap_or("us-east-1");
        let endpoint = get("endpoint").unwrap_or("s3.amazonaws.com").trim_end_matches('/');
        let scheme = get("scheme").unwrap_or("https");
        let endpoint = endpoint.replace("%3A", ":").replace("%2F", "/");
        let endpoint =
            if endpoint.contains("://") { endpoint } else { format!("{scheme}://{endpoint}") };
        let profile = get("profile").unwrap_or(PROFILE);
        Self {
            url: format!("{endpoint}/{bucket}"),
            sign: Some((profile.to_owned(), region.to_owned())),
        }
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
