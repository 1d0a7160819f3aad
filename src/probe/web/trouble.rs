//! Why a tier could not be asked, and what to do about it.

use crate::fleet::{Tier, TierState, printable_line};
use crate::probe::web::names::Refused;
use crate::remote::SecretError;

/// What kind of trouble kept a tier from answering.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WebTrouble {
    /// It did not answer, or not in HTTP.
    NoAnswer,
    /// The proxy on the way is to blame.
    Proxy,
    /// It sent us to where nixdash does not follow.
    Redirect,
    /// It was not asked: it said 429 or 503 and wants to be left alone.
    Rest,
    /// It was not asked: the month's requests are used.
    Spent,
    /// It was not asked: a secret, certificate or setting that it takes could not be had here.
    Setup,
}

/// Why a tier could not be asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{url}: {cause}; {hint}")]
pub struct WebError {
    /// What was asked, without query and credentials.
    pub url: String,
    /// What was observed, printable.
    pub cause: String,
    /// What to do about it.
    pub hint: String,
    /// What kind of trouble it is.
    pub trouble: WebTrouble,
}

impl WebError {
    /// Makes an error of a tier's answer.
    pub fn new(url: &str, cause: &str, hint: &str) -> Self {
        Self {
            url: printable_line(url.split('?').next().unwrap_or_default()),
            cause: printable_line(cause),
            hint: hint.to_owned(),
            trouble: WebTrouble::NoAnswer,
        }
    }

    /// Makes an error of what is missing here before a tier can be asked.
    pub fn setup(url: &str, cause: &str, hint: &str) -> Self {
        Self { trouble: WebTrouble::Setup, ..Self::new(url, cause, hint) }
    }

    /// Makes an error of a redirect that is not followed.
    pub fn of_redirect(url: &str, target: &str, why: &str) -> Self {
        let cause = format!("redirects to {target}, where nixdash does not follow: {why}");
        let hint = "find out who answers at this address, and let the cache answer itself";
        Self { trouble: WebTrouble::Redirect, ..Self::new(url, &cause, hint) }
    }

    /// Makes an error of a secret that could not be read.
    pub fn of_secret(url: &str, error: &SecretError) -> Self {
        Self::setup(url, &error.to_string(), error.hint())
    }

    /// Returns the state of a tier that this befell.
    pub fn state(&self) -> TierState {
        match self.trouble {
            WebTrouble::NoAnswer => TierState::Down,
            WebTrouble::Proxy => TierState::Proxy,
            WebTrouble::Rest | WebTrouble::Redirect => TierState::Degraded,
            WebTrouble::Spent | WebTrouble::Setup => TierState::Unknown,
        }
    }
}

/// Says what went wrong and what to do.
pub(super) fn explain(tier: &Tier, url: &str, error: &reqwest::Error) -> WebError {
    let cause = innermost(error);
    let machine = tier.host.as_deref().unwrap_or("the server");
    let place = tier.host.as_ref().map_or(String::new(), |host| format!(" on {host}"));
    let lower = cause.to_lowercase();
    let is_proxy = tier.access.proxy.is_some() && (error.is_connect() || lower.contains("proxy"));
    let (cause, hint) = if is_proxy {
        (cause, "the proxy on the way does not let us through; check `proxy`".to_owned())
    } else if error.is_timeout() {
        ("no answer in time".to_owned(), format!("is {machine} asleep, or a firewall between?"))
    } else if cause.contains("certificate") || cause.contains("UnknownIssuer") {
        (
            cause,
            "its certificate is not trusted here; a private authority goes into ca_file".to_owned(),
        )
    } else if lower.contains("dns") || lower.contains("lookup") || lower.contains("resolve") {
        (cause, "its name does not resolve here; is the name right, is there a network?".to_owned())
    } else if lower.contains("refused") {
        (cause, format!("nothing listens there; is the cache running{place}?"))
    } else if error.is_connect() {
        (cause, format!("is {machine} on and in this network?"))
    } else {
        (cause, "it does not speak HTTP as a cache does".to_owned())
    };
    let trouble = if is_proxy { WebTrouble::Proxy } else { WebTrouble::NoAnswer };
    WebError { trouble, ..WebError::new(url, &cause, &hint) }
}

/// Returns why an address was refused that a redirect led to, when that is what went wrong.
pub(super) fn refused(error: &reqwest::Error) -> Option<String> {
    let mut next: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = next {
        if let Some(Refused(why)) = error.downcast_ref::<Refused>() {
            return Some(why.clone());
        }
        next = error.source();
    }
    None
}

/// Returns the cause at the bottom, printable: the upper ones only say that sending failed.
pub(super) fn innermost(error: &dyn std::error::Error) -> String {
    let mut bottom = error;
    while let Some(source) = bottom.source() {
        bottom = source;
    }
    printable_line(&bottom.to_string())
}
