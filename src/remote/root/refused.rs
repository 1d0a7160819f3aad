//! Why a script did not run as root, read from what sudo, doas or run0 said.

use super::{RootWay, ToldWay};
use crate::remote::{NotRoot, RemoteError};

/// What is said when somebody may not be root, in small letters: sudo, sudo-rs, doas, polkit.
const NOT_ALLOWED: [&str; 6] = [
    "not in the sudoers",
    "is not allowed to",
    "may not run sudo",
    "i'm afraid i can't do that",
    "operation not permitted",
    "access denied",
];

/// What is said when a password is wanted.
const WANTED: [&str; 5] = [
    "a password is required",
    "interactive authentication is required",
    "interactive authentication required",
    "authentication required",
    "a terminal is required to",
];

/// What is said when a password is wrong, or its account locked.
const WRONG: [&str; 9] = [
    "asked a second time",
    "incorrect password",
    "incorrect authentication attempt",
    "try again",
    "authentication failed",
    "authentication failure",
    "no password was provided",
    "account is locked",
    "account validation failure",
];

/// Returns why a script did not run that took this way, by what was said.
pub(in crate::remote) fn refusal(
    host: &str,
    way: &RootWay,
    told: ToldWay,
    said: &str,
) -> RemoteError {
    let small = said.to_lowercase();
    let has = |signs: &[&str]| signs.iter().any(|sign| small.contains(sign));
    let gives = way.password().is_some();
    let why = match told {
        ToldWay::None => NotRoot::NoProgram,
        _ if has(&["must have a tty", "sorry, you must have"]) => NotRoot::TerminalNeeded,
        _ if has(&NOT_ALLOWED) => NotRoot::NotAllowed,
        _ if has(&["not found"]) => NotRoot::NoProgram,
        ToldWay::Sudo if gives && (has(&WRONG) || has(&WANTED)) => NotRoot::PasswordWrong,
        ToldWay::Sudo if has(&WANTED) => NotRoot::PasswordNeeded,
        ToldWay::Doas | ToldWay::Run0 if has(&WANTED) || has(&["a tty is required"]) => {
            NotRoot::WouldAsk
        }
        ToldWay::Sudo | ToldWay::Doas | ToldWay::Run0 | ToldWay::Root | ToldWay::Proven => {
            NotRoot::Failed
        }
    };
    RemoteError::not_root(host, why, &cause(why, told, said))
}

/// Returns what was observed, in a sentence; what the program said stands behind it where it tells
/// more.
fn cause(why: NotRoot, told: ToldWay, said: &str) -> String {
    let program = match told {
        ToldWay::Sudo | ToldWay::None | ToldWay::Root | ToldWay::Proven => "sudo",
        ToldWay::Doas => "doas",
        ToldWay::Run0 => "run0",
    };
    let line = said.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default().trim();
    let with_line = |text: String| if line.is_empty() { text } else { format!("{text} ({line})") };
    match why {
        NotRoot::PasswordNeeded => "sudo asks for a password, and none was given".to_owned(),
        NotRoot::PasswordWrong => {
            let locked = said.lines().find(|line| line.to_lowercase().contains("locked"));
            let text = "sudo refused the password";
            locked.map_or_else(|| text.to_owned(), |line| format!("{text} ({})", line.trim()))
        }
        NotRoot::NotAllowed => {
            with_line(format!("{program} does not allow the login user to be root"))
        }
        NotRoot::WouldAsk => format!("{program} would ask for a password"),
        NotRoot::TerminalNeeded => "sudo runs only on a terminal there (requiretty)".to_owned(),
        NotRoot::NoProgram => {
            with_line("the login user is not root and has no way to become it".to_owned())
        }
        NotRoot::Failed => with_line(format!("{program} did not make the login user root")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::Secret;
    use crate::remote::Trouble;
    use std::sync::Arc;

    #[test]
    fn what_each_program_says_has_its_meaning() {
        let password = RootWay::Password(Arc::new(Secret::new("x")));
        for (way, told, said, why) in [
            (
                &RootWay::Auto,
                ToldWay::Sudo,
                "sudo: a password is required",
                NotRoot::PasswordNeeded,
            ),
            (
                &RootWay::Sudo,
                ToldWay::Sudo,
                "sudo: interactive authentication is required",
                NotRoot::PasswordNeeded,
            ),
            (
                &password,
                ToldWay::Sudo,
                "Sorry, try again.\nsudo: no password was provided\nsudo: 1 incorrect password attempt",
                NotRoot::PasswordWrong,
            ),
            (
                &password,
                ToldWay::Sudo,
                "sudo: Authentication failed, try again.",
                NotRoot::PasswordWrong,
            ),
            (
                &password,
                ToldWay::Sudo,
                "The account is locked due to 3 failed logins.\nsudo: a password is required",
                NotRoot::PasswordWrong,
            ),
            (&password, ToldWay::Sudo, "me is not in the sudoers file.", NotRoot::NotAllowed),
            (
                &password,
                ToldWay::Sudo,
                "sudo: I'm sorry me. I'm afraid I can't do that",
                NotRoot::NotAllowed,
            ),
            (
                &RootWay::Sudo,
                ToldWay::Sudo,
                "sudo: sorry, you must have a tty to run sudo",
                NotRoot::TerminalNeeded,
            ),
            (&RootWay::Doas, ToldWay::Doas, "doas: Authentication required", NotRoot::WouldAsk),
            (&RootWay::Doas, ToldWay::Doas, "doas: Operation not permitted", NotRoot::NotAllowed),
            (
                &RootWay::Run0,
                ToldWay::Run0,
                "Failed to start transient service unit: Interactive authentication required.",
                NotRoot::WouldAsk,
            ),
            (
                &RootWay::Doas,
                ToldWay::Doas,
                "/bin/sh: 4: exec: doas: not found",
                NotRoot::NoProgram,
            ),
            (&RootWay::AlreadyRoot, ToldWay::None, "", NotRoot::NoProgram),
            (
                &RootWay::Sudo,
                ToldWay::Sudo,
                "sudo: /etc/sudoers is world writable",
                NotRoot::Failed,
            ),
        ] {
            let error = refusal("razer", way, told, said);
            assert_eq!(error.trouble, Trouble::NotRoot(why), "{said}");
        }
    }

    #[test]
    fn a_missing_password_says_how_to_give_one() {
        let said = "sudo: a password is required";
        let text = refusal("razer", &RootWay::Auto, ToldWay::Sudo, said).to_string();
        assert!(
            text.starts_with("razer: sudo asks for a password, and none was given; "),
            "{text}"
        );
        assert!(text.contains("`sudo_password` in [hosts.razer]"), "{text}");
    }
}
