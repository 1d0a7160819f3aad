//! How a script becomes root on a host: which way is tried, what is remembered of it, and what a
//! refusal means.
//!
//! Nothing is asked of anybody here. A host is asked first without a password, by the script that
//! wants to run, so that a way that needs none costs nothing; only when sudo said that it wants one
//! is it sent, once, with a script that does nothing. When that was refused, it is not sent again:
//! a host may lock an account after three wrong ones (`pam_faillock`).

mod refused;

pub(super) use refused::refusal;

use crate::fleet::{Elevate, Secret, SecretSource};
use crate::remote::not_root::mend_source;
use crate::remote::{NotRoot, RemoteError, Trouble};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Longest password that sudo takes, in bytes, with room to spare.
const PASSWORD_LIMIT: usize = 1000;

/// In which way a script becomes root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum RootWay {
    /// The first that asks for nothing.
    Auto,
    /// sudo, which asks for nothing.
    Sudo,
    /// sudo, with this password.
    Password(Arc<Secret>),
    /// sudo, to try this password once and run nothing.
    Prove(Arc<Secret>),
    /// doas, which asks for nothing.
    Doas,
    /// run0, which asks for nothing.
    Run0,
    /// The login user is root.
    AlreadyRoot,
}

impl RootWay {
    /// Returns the word that the script knows it by.
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Sudo => "sudo",
            Self::Password(_) => "password",
            Self::Prove(_) => "prove",
            Self::Doas => "doas",
            Self::Run0 => "run0",
            Self::AlreadyRoot => "none",
        }
    }

    /// Returns what `hosts.toml` asks for.
    fn of(elevate: Elevate) -> Self {
        match elevate {
            Elevate::Auto => Self::Auto,
            Elevate::Sudo => Self::Sudo,
            Elevate::Doas => Self::Doas,
            Elevate::Run0 => Self::Run0,
            Elevate::None => Self::AlreadyRoot,
        }
    }

    /// Returns the password.
    pub(super) fn password(&self) -> Option<&Secret> {
        match self {
            Self::Password(secret) | Self::Prove(secret) => Some(secret),
            Self::Auto | Self::Sudo | Self::Doas | Self::Run0 | Self::AlreadyRoot => None,
        }
    }
}

/// What the script said on its way to root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ToldWay {
    /// It was root already.
    Root,
    /// It took sudo.
    Sudo,
    /// It took doas.
    Doas,
    /// It took run0.
    Run0,
    /// sudo took the password.
    Proven,
    /// There was no way.
    None,
}

impl ToldWay {
    /// Reads the script's word.
    pub(super) fn parse(word: &str) -> Option<Self> {
        match word {
            "root" => Some(Self::Root),
            "sudo" => Some(Self::Sudo),
            "doas" => Some(Self::Doas),
            "run0" => Some(Self::Run0),
            "proven" => Some(Self::Proven),
            "none" => Some(Self::None),
            _ => None,
        }
    }

    /// Returns the way that is taken the next time; nothing where none is worth remembering.
    fn next(self) -> Option<RootWay> {
        match self {
            Self::Sudo => Some(RootWay::Sudo),
            Self::Doas => Some(RootWay::Doas),
            Self::Run0 => Some(RootWay::Run0),
            // A root that logs in by another address may be somebody else.
            Self::Root | Self::Proven | Self::None => None,
        }
    }
}

/// What is known of the password of a host.
#[derive(Clone, Debug, Default)]
enum PasswordPast {
    /// None was given.
    #[default]
    Missing,
    /// It was given, and not tried yet.
    Given(Arc<Secret>),
    /// sudo took it.
    Proven(Arc<Secret>),
    /// sudo refused it, or it could not be read.
    Refused(RemoteError),
}

/// What is known of how a host makes us root.
#[derive(Default)]
pub(super) struct RootPast {
    state: Mutex<RootState>,
    /// Held while a password is tried, so that only one is.
    pub(super) proof: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct RootState {
    way: Option<RootWay>,
    password: PasswordPast,
    /// Where `hosts.toml` says that the password is; none where a person typed it.
    source: Option<SecretSource>,
}

impl RootState {
    /// Says of a password that was refused where it must be mended.
    fn with_source(&self, error: RemoteError) -> RemoteError {
        match &self.source {
            Some(source) if error.trouble == Trouble::NotRoot(NotRoot::PasswordWrong) => {
                RemoteError { hint: mend_source(source), ..error }
            }
            Some(_) | None => error,
        }
    }
}

/// What to do about a host whose sudo wants a password.
pub(super) enum PasswordStep {
    /// Use it: sudo has taken it before.
    Use(RootWay),
    /// Try it first.
    Prove(Arc<Secret>),
    /// There is none.
    Missing,
}

impl RootPast {
    fn state(&self) -> MutexGuard<'_, RootState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the way that a script takes now.
    pub(super) fn way(&self, elevate: Elevate) -> RootWay {
        self.state().way.clone().unwrap_or_else(|| RootWay::of(elevate))
    }

    /// Remembers the way that worked.
    pub(super) fn note(&self, way: &RootWay, told: Option<ToldWay>) {
        let mut state = self.state();
        if let RootWay::Password(secret) | RootWay::Prove(secret) = way {
            state.password = PasswordPast::Proven(Arc::clone(secret));
            state.way = Some(RootWay::Password(Arc::clone(secret)));
        } else if let Some(next) = told.and_then(ToldWay::next) {
            state.way = Some(next);
        }
    }

    /// Forgets the way: the next script looks again. A password that was refused is not used again. Returns
    /// the error with what to do about the password, which depends on where it came from.
    pub(super) fn note_refusal(&self, way: &RootWay, error: RemoteError) -> RemoteError {
        let mut state = self.state();
        state.way = None;
        let error = state.with_source(error);
        let is_wrong = error.trouble == Trouble::NotRoot(NotRoot::PasswordWrong);
        if let (true, RootWay::Password(secret) | RootWay::Prove(secret)) = (is_wrong, way) {
            state.password = match &state.password {
                // It was right before: an activation may exchange what judges it. It is tried once more.
                PasswordPast::Proven(_) => PasswordPast::Given(Arc::clone(secret)),
                PasswordPast::Missing | PasswordPast::Given(_) | PasswordPast::Refused(_) => {
                    PasswordPast::Refused(error.clone())
                }
            };
        }
        error
    }

    /// Keeps a password that a person gave, or that was read from a source, instead of one that was refused.
    pub(super) fn give(&self, host: &str, secret: Secret, source: Option<&SecretSource>) {
        let mut state = self.state();
        state.way = None;
        state.source = source.cloned();
        state.password = match check(host, &secret) {
            Ok(()) => PasswordPast::Given(Arc::new(secret)),
            Err(error) => PasswordPast::Refused(state.with_source(error)),
        };
    }

    /// Notes that a password is being tried. Whoever gives the try up does not know how it ended, so
    /// that it counts as refused until something else is noted.
    pub(super) fn begin_try(&self, host: &str) {
        let cause = "the password for sudo was tried, and the answer did not arrive";
        let mut state = self.state();
        let error = RemoteError::not_root(host, NotRoot::PasswordWrong, cause);
        state.password = PasswordPast::Refused(state.with_source(error));
    }

    /// Notes that a password never reached sudo: it may be tried later.
    pub(super) fn not_tried(&self, secret: &Arc<Secret>) {
        self.state().password = PasswordPast::Given(Arc::clone(secret));
    }

    /// Notes that a password could not be had; that is not tried again either.
    pub(super) fn give_up(&self, error: &RemoteError) {
        self.state().password = PasswordPast::Refused(error.clone());
    }

    /// Returns what to do where sudo wants a password, or why it is not given one any more.
    pub(super) fn password(&self) -> Result<PasswordStep, RemoteError> {
        match &self.state().password {
            PasswordPast::Missing => Ok(PasswordStep::Missing),
            PasswordPast::Given(secret) => Ok(PasswordStep::Prove(Arc::clone(secret))),
            PasswordPast::Proven(secret) => {
                Ok(PasswordStep::Use(RootWay::Password(Arc::clone(secret))))
            }
            PasswordPast::Refused(error) => Err(error.clone()),
        }
    }
}

/// Says why a text cannot be a password for sudo, which reads one line.
fn check(host: &str, secret: &Secret) -> Result<(), RemoteError> {
    let text = secret.expose();
    let cause = if text.is_empty() {
        "the password for sudo is empty"
    } else if text.len() > PASSWORD_LIMIT {
        "the password for sudo is longer than sudo reads (1000 bytes)"
    } else if text.contains(['\n', '\r', '\0']) {
        "the password for sudo has more than one line"
    } else {
        return Ok(());
    };
    Err(RemoteError::not_root(host, NotRoot::PasswordWrong, cause))
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod past_tests {
    use super::*;

    #[test]
    fn a_way_that_worked_is_taken_again_and_forgotten_when_it_fails() {
        let past = RootPast::default();
        assert_eq!(past.way(Elevate::Auto), RootWay::Auto);
        past.note(&RootWay::Auto, Some(ToldWay::Doas));
        assert_eq!(past.way(Elevate::Auto), RootWay::Doas);
        past.note_refusal(
            &RootWay::Doas,
            RemoteError::not_root("razer", NotRoot::WouldAsk, "doas: no"),
        );
        assert_eq!(past.way(Elevate::Auto), RootWay::Auto);
        past.note(&RootWay::Auto, Some(ToldWay::Root));
        assert_eq!(past.way(Elevate::Auto), RootWay::Auto, "another address may have another user");
    }

    #[test]
    fn a_password_that_was_refused_is_not_used_again_until_a_new_one_is_given() {
        let past = RootPast::default();
        let prove = |past: &RootPast| match past.password() {
            Ok(PasswordStep::Prove(secret)) => RootWay::Prove(secret),
            Ok(PasswordStep::Use(_) | PasswordStep::Missing) | Err(_) => {
                unreachable!("it was given")
            }
        };
        let wrong = RemoteError::not_root("razer", NotRoot::PasswordWrong, "sudo: no");
        assert!(matches!(past.password(), Ok(PasswordStep::Missing)));
        past.give("razer", Secret::new("hunter2"), None);
        past.note_refusal(&prove(&past), wrong.clone());
        assert_eq!(past.password().err(), Some(wrong.clone()));
        past.give("razer", Secret::new("right"), None);
        past.note(&prove(&past), Some(ToldWay::Proven));
        let way = past.way(Elevate::Auto);
        assert!(matches!(past.password(), Ok(PasswordStep::Use(known)) if known == way));
        past.note_refusal(&way, wrong.clone());
        past.note_refusal(&prove(&past), wrong.clone());
        assert_eq!(past.password().err(), Some(wrong), "one that was right is tried once more");
    }

    #[test]
    fn a_wrong_password_that_was_read_is_mended_at_its_source_and_one_that_was_typed_is_typed_again()
     {
        let command = SecretSource::Command {
            words: vec!["pass".to_owned(), "show".to_owned()],
            folder: "/f".into(),
        };
        for (source, mend) in [
            (
                SecretSource::Env("SUDO_PW".to_owned()),
                "set the right password in the variable SUDO_PW,",
            ),
            (
                SecretSource::File("/run/pw".into()),
                "write the right password into the file /run/pw,",
            ),
            (command, "let `pass show` print the right password,"),
        ] {
            let past = RootPast::default();
            past.give("razer", Secret::new("hunter2"), Some(&source));
            past.begin_try("razer");
            assert!(past.password().err().unwrap().hint.starts_with(mend), "while it is tried");
            let wrong = RemoteError::not_root("razer", NotRoot::PasswordWrong, "sudo: no");
            let way = RootWay::Prove(Arc::new(Secret::new("hunter2")));
            let told = past.note_refusal(&way, wrong);
            assert!(told.hint.starts_with(mend) && !told.hint.contains("asked"), "{told}");
            assert_eq!(past.password().err(), Some(told), "whoever comes later is told the same");
            past.give("razer", Secret::new(""), Some(&source));
            assert!(past.password().err().unwrap().hint.starts_with(mend), "an empty one");
            past.give("razer", Secret::new(""), None);
            let typed = past.password().err().unwrap();
            assert!(typed.hint.contains("begin again to be asked"), "{typed}");
        }
    }

    #[test]
    fn a_try_that_was_given_up_counts_as_a_refusal() {
        let past = RootPast::default();
        past.give("razer", Secret::new("hunter2"), None);
        past.begin_try("razer");
        assert!(past.password().is_err());
        past.not_tried(&Arc::new(Secret::new("hunter2")));
        assert!(matches!(past.password(), Ok(PasswordStep::Prove(_))));
    }

    #[test]
    fn what_sudo_could_not_read_as_one_line_is_no_password() {
        for text in ["", "a\nb", "a\0b", &"x".repeat(1001)] {
            let past = RootPast::default();
            past.give("razer", Secret::new(text), None);
            assert!(past.password().is_err(), "{text:?}");
        }
    }
}
