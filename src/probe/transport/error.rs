//! Why a tier could not be asked, and what to do about it.

use crate::fleet::{TierState, printable_line};
use crate::remote::SecretError;

/// What kind of trouble kept a tier from answering.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestTrouble {
    /// It did not answer, or not in HTTP.
    NoAnswer,
    /// Its TLS certificate has expired, or is not good yet.
    Certificate,
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
#[error("{}", self.sentence())]
pub struct RequestError {
    /// What was asked, without query and credentials.
    pub url: String,
    /// What was observed, printable.
    pub cause: String,
    /// What to do about it.
    pub hint: String,
    /// What kind of trouble it is.
    pub trouble: RequestTrouble,
}

impl RequestError {
    /// Returns all of it in one sentence.
    fn sentence(&self) -> String {
        let Self { url, cause, hint, .. } = self;
        let hint = if hint.is_empty() { String::new() } else { format!("; {hint}") };
        format!("{url}: {cause}{hint}")
    }

    /// Makes an error of a tier's answer.
    pub fn new(url: &str, cause: &str, hint: &str) -> Self {
        Self {
            url: printable_line(url.split('?').next().unwrap_or_default()),
            cause: printable_line(cause),
            hint: hint.to_owned(),
            trouble: RequestTrouble::NoAnswer,
        }
    }

    /// Makes an error of what is missing here before a tier can be asked.
    pub fn setup(url: &str, cause: &str, hint: &str) -> Self {
        Self { trouble: RequestTrouble::Setup, ..Self::new(url, cause, hint) }
    }

    /// Makes an error of a redirect that is not followed.
    pub fn of_redirect(url: &str, target: &str, why: &str) -> Self {
        let cause = format!("redirects to {target}, where nixdash does not follow: {why}");
        let hint = "find out who answers at this address, and let the cache answer itself";
        Self { trouble: RequestTrouble::Redirect, ..Self::new(url, &cause, hint) }
    }

    /// Makes an error of a secret that could not be read.
    pub fn of_secret(url: &str, error: &SecretError) -> Self {
        Self::setup(url, &error.to_string(), error.hint())
    }

    /// Returns the state of a tier that this befell.
    pub fn state(&self) -> TierState {
        match self.trouble {
            RequestTrouble::NoAnswer | RequestTrouble::Certificate => TierState::Down,
            RequestTrouble::Proxy => TierState::Proxy,
            RequestTrouble::Rest | RequestTrouble::Redirect => TierState::Degraded,
            RequestTrouble::Spent | RequestTrouble::Setup => TierState::Unknown,
        }
    }
}

/// Returns the cause at the bottom, printable: the upper ones only say that sending failed.
pub(super) fn innermost(error: &dyn std::error::Error) -> String {
    let mut bottom = error;
    while let Some(source) = bottom.source() {
        bottom = source;
    }
    printable_line(&bottom.to_string())
}
