//! Reads what an attic token says of itself: when it expires, and what it may do. Pure.
//!
//! A token is three parts of URL-safe base64 with dots between; the second is JSON. Its signature
//! is the server's to check: what is read here is only shown.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jiff::Timestamp;
use serde::Deserialize;
use std::collections::BTreeMap;

/// What a token says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Token {
    /// From when on it is not taken any more; none for one without an end.
    pub(super) expires: Option<Timestamp>,
    /// What it may do, by patterns of names of caches.
    caches: BTreeMap<String, Rights>,
}

/// What a token may do with a cache; attic writes 1 for true.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Rights {
    pub(super) pull: bool,
    pub(super) push: bool,
}

/// The part in the middle of a token.
#[derive(Deserialize)]
struct Claims {
    exp: Option<i64>,
    #[serde(rename = "https://jwt.attic.rs/v1")]
    attic: Option<AtticClaim>,
}

/// Attic's own part of it.
#[derive(Deserialize)]
struct AtticClaim {
    #[serde(default)]
    caches: BTreeMap<String, BTreeMap<String, serde_json::Value>>,
}

impl Token {
    /// Reads the token out of an authorization header: `Bearer TOKEN`, or `Basic` with the token
    /// as password, as a netrc gives it. Nothing when there is no such token in it.
    pub(super) fn of_header(header: &str) -> Option<Self> {
        if let Some(token) = header.strip_prefix("Bearer ") {
            return Self::parse(token);
        }
        let pair = STANDARD.decode(header.strip_prefix("Basic ")?).ok()?;
        let pair = String::from_utf8(pair).ok()?;
        Self::parse(pair.split_once(':')?.1)
    }

    /// Reads a token.
    pub(super) fn parse(token: &str) -> Option<Self> {
        let mut parts = token.trim().split('.');
        let (_, middle, _) = (parts.next()?, parts.next()?, parts.next()?);
        let json = URL_SAFE_NO_PAD.decode(middle.trim_end_matches('=')).ok()?;
        let claims: Claims = serde_json::from_slice(&json).ok()?;
        let given = |value: Option<&serde_json::Value>| {
            value.is_some_and(|value| value.as_i64() == Some(1) || value.as_bool() == Some(true))
        };
        let caches = claims.attic.map(|attic| attic.caches).unwrap_or_default();
        let rights = |map: &BTreeMap<String, serde_json::Value>| Rights {
            pull: given(map.get("r")),
            push: given(map.get("w")),
        };
        Some(Self {
            expires: claims.exp.and_then(|seconds| Timestamp::from_second(seconds).ok()),
            caches: caches.iter().map(|(name, map)| (name.clone(), rights(map))).collect(),
        })
    }

    /// Returns what it may do with a cache: the cache's own entry counts before any pattern.
    pub(super) fn rights(&self, cache: &str) -> Rights {
        self.caches
            .get(cache)
            .or_else(|| {
                let fitting = self.caches.iter().find(|(pattern, _)| fits(pattern, cache));
                fitting.map(|(_, rights)| rights)
            })
            .copied()
            .unwrap_or_default()
    }
}

/// Returns whether a name fits a pattern, in which `*` stands for any text.
fn fits(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((before, after)) => name.strip_prefix(before).is_some_and(|rest| {
            (0..=rest.len())
                .filter(|at| rest.is_char_boundary(*at))
                .any(|at| fits(after, &rest[at..]))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The claim that attic keeps its permissions in.
    const CLAIM: &str = "https://jwt.attic.rs/v1";

    /// Makes a token of claims.
    fn token(claims: &str) -> String {
        let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
        format!("{}.{}.{}", part("{\"alg\":\"HS256\",\"typ\":\"JWT\"}"), part(claims), "c2ln")
    }

    #[test]
    fn a_token_tells_its_end_and_its_rights() {
        let claims = format!(
            "{{\"sub\":\"fleet\",\"exp\":1795255200,\"{CLAIM}\":{{\"caches\":{{\
             \"fleet\":{{\"r\":1,\"w\":1}},\"team-*\":{{\"r\":1}},\"*\":{{\"w\":0}}}}}}}}"
        );
        let text = token(&claims);
        let found = Token::parse(&text).unwrap();
        assert_eq!(found.expires, "2026-11-21T10:00:00Z".parse().ok());
        assert_eq!(found.rights("fleet"), Rights { pull: true, push: true });
        assert!(!found.rights("other").push);
        let basic = STANDARD.encode(format!("nixdash:{text}"));
        for header in [format!("Bearer {text}"), format!("Basic {basic}")] {
            assert_eq!(Token::of_header(&header).as_ref(), Some(&found));
        }
    }

    #[test]
    fn patterns_stand_for_any_name() {
        for (pattern, name, expected) in [
            ("team-*", "team-a", true),
            ("*", "x", true),
            ("a*c", "abc", true),
            ("a*c", "abd", false),
            ("team", "team-a", false),
        ] {
            assert_eq!(fits(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn what_is_no_token_is_none() {
        for text in ["", "abc", "a.b.c", "Basic !!!", "Bearer x.y.z"] {
            assert_eq!(Token::of_header(text), None, "{text}");
        }
        assert_eq!(Token::parse(&token("{}")), Some(Token::default()));
    }

    proptest! {
        #[test]
        fn no_text_breaks_the_reader(text in any::<String>()) {
            let _ = Token::of_header(&format!("Bearer a.{text}.c"));
        }
    }
}
