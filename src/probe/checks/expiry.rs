//! Until when the certificate of a tier is good, and the token that it is asked with.

use crate::fleet::words::{kinds, tiers};
use crate::fleet::{
    Code, Login, SecretSource, TierFacts, TierState, Validity, ValidityState, duration,
};
use crate::probe::asking::Asking;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jiff::Timestamp;
use serde::Deserialize;

/// Notes in what a look found until when certificate and token are good, with what is wrong.
pub(in crate::probe) async fn note(asking: &Asking<'_>, facts: &mut TierFacts) {
    facts.certificate = asking.web.certificate(asking.tier);
    if let Some(certificate) = facts.certificate {
        match certificate.at(asking.now) {
            ValidityState::EndsIn(left) => {
                let until = certificate.until.strftime("%Y-%m-%d").to_string();
                let left = duration(left.unsigned_abs());
                facts.findings.push(tiers::certificate_expires(asking.tier, &left, &until));
                asking.web.forget_old_client(asking.tier);
            }
            // A new connection sees what hosts see.
            ValidityState::Ended(_) => asking.web.forget_client(asking.tier),
            ValidityState::Good | ValidityState::BeginsIn(_) => {}
        }
    }
    if asking.tier.access.login == Login::Nobody {
        return;
    }
    let header = asking.web.authorization(asking.tier, asking.kind.rules()).await;
    if facts.state == TierState::Unauthorized {
        // What was refused is read here once more, and must not be kept for the next look.
        asking.web.forget_client(asking.tier);
    }
    let Some(token) = header.and_then(|header| token_of(header.expose())) else { return };
    facts.token = Some(token);
    // A kind that knows its own tokens has said more.
    let is_told = facts
        .findings
        .iter()
        .any(|finding| matches!(finding.code, Code::TokenExpired | Code::TokenExpiresSoon));
    if is_told {
        return;
    }
    match token.at(asking.now) {
        // A program that makes tokens makes the next one by itself.
        ValidityState::EndsIn(_) if is_made(&asking.tier.access.login) => {}
        ValidityState::EndsIn(left) => {
            let left = duration(left.unsigned_abs());
            facts.findings.push(kinds::token_expires(asking.tier, &left));
        }
        ValidityState::Ended(_) => {
            let when = token.until.strftime(" on %Y-%m-%d %H:%M UTC").to_string();
            facts.findings.push(kinds::token_expired(asking.tier, &when));
        }
        ValidityState::Good | ValidityState::BeginsIn(_) => {}
    }
}

/// Returns whether a program makes a new token whenever it is asked.
fn is_made(login: &Login) -> bool {
    matches!(login, Login::Token(SecretSource::Command { .. }))
}

/// What a token says of its own time (RFC 7519).
#[derive(Deserialize)]
struct Times {
    exp: Option<i64>,
    nbf: Option<i64>,
    iat: Option<i64>,
}

/// Reads the times of the token in an authorization header: `Bearer TOKEN`, or `Basic` with the
/// token as password, as a netrc gives it. Nothing where there is no JSON web token in it, or one
/// without an end.
fn token_of(header: &str) -> Option<Validity> {
    if let Some(token) = header.strip_prefix("Bearer ") {
        return times_of(token);
    }
    let pair = STANDARD.decode(header.strip_prefix("Basic ")?).ok()?;
    times_of(String::from_utf8(pair).ok()?.split_once(':')?.1)
}

/// Reads the times of a token.
fn times_of(token: &str) -> Option<Validity> {
    let mut parts = token.trim().split('.');
    let (_, middle, _) = (parts.next()?, parts.next()?, parts.next()?);
    let json = URL_SAFE_NO_PAD.decode(middle.trim_end_matches('=')).ok()?;
    let times: Times = serde_json::from_slice(&json).ok()?;
    let from = times.nbf.or(times.iat).and_then(|second| Timestamp::from_second(second).ok());
    Some(Validity { from, until: Timestamp::from_second(times.exp?).ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Makes a token of its middle part.
    fn token(claims: &str) -> String {
        format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims))
    }

    #[test]
    fn a_token_says_until_when_it_is_good_as_bearer_and_as_password() {
        let token = token(r#"{"iat":1790000000,"exp":1796000000,"sub":"x"}"#);
        let found = token_of(&format!("Bearer {token}")).unwrap();
        assert_eq!(
            (found.from.unwrap().as_second(), found.until.as_second()),
            (1_790_000_000, 1_796_000_000)
        );
        let basic = STANDARD.encode(format!("me:{token}"));
        assert_eq!(token_of(&format!("Basic {basic}")), Some(found));
    }

    #[test]
    fn what_is_no_such_token_has_no_times() {
        for header in [
            "Bearer ghp_abcdef".to_owned(),
            "Bearer a.b.c".to_owned(),
            format!("Bearer {}", token("{}")),
            format!("Bearer {}", token(r#"{"exp":"soon"}"#)),
            format!("Bearer {}", token(r#"{"exp":99999999999999999}"#)),
            "Basic !!".to_owned(),
            "Digest x".to_owned(),
        ] {
            assert_eq!(token_of(&header), None, "{header}");
        }
    }
}
