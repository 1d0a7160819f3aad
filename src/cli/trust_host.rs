//! `nixdash trust-host`: shows the ssh key of a host and takes it into `known_hosts` when a person
//! says so.

use crate::cli::{CliError, EXIT_FAILED, complete, selectors};
use crate::fleet::{Fleet, Host, HostKey, HostKeyState, in_a_list, select};
use crate::remote::{RemoteError, accept_host_key, host_keys};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use clap::Args;
use serde_json::{Value, json};
use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::process::ExitCode;

/// Arguments of `nixdash trust-host`.
#[derive(Debug, Args)]
pub(super) struct TrustHostArgs {
    /// Names, globs, @tag, or all; - reads them from standard input
    #[arg(required = true, value_name = "SELECTOR", add = complete::selectors())]
    selectors: Vec<String>,
    /// Accepts a key with exactly this fingerprint without asking; may be given several times
    #[arg(long, value_name = "SHA256:…", value_parser = fingerprint)]
    fingerprint: Vec<String>,
    /// Prints the keys as JSON and asks nothing
    #[arg(long)]
    json: bool,
}

impl TrustHostArgs {
    /// Returns whether a key may be accepted: with `--json` alone keys are only printed.
    pub(super) fn changes(&self) -> bool {
        !self.json || !self.fingerprint.is_empty()
    }
}

/// Reads the fingerprint of a key, as ssh prints it.
fn fingerprint(text: &str) -> Result<String, String> {
    let digest = text.strip_prefix("SHA256:").and_then(|code| STANDARD_NO_PAD.decode(code).ok());
    if digest.is_some_and(|digest| digest.len() == 32) {
        return Ok(text.to_owned());
    }
    Err("it is not the fingerprint of a key: write SHA256: and the 43 characters behind it, as \
         `ssh-keygen -lf FILE` prints them"
        .to_owned())
}

/// What became of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Became {
    Known,
    Accepted,
    Left,
}

pub(super) async fn run(fleet: Fleet, args: TrustHostArgs) -> Result<ExitCode, CliError> {
    let names = select(&fleet, &selectors::read(&args.selectors)?)?;
    let hosts = fleet.hosts.iter().filter(|host| names.contains(&host.name));
    let mut all_known = true;
    let mut printed = Vec::new();
    for host in hosts {
        let (known, values) = one_host(&fleet, host, &args).await?;
        all_known &= known;
        printed.extend(values);
    }
    if args.json {
        let text = serde_json::to_string_pretty(&json!({ "keys": printed }));
        writeln!(io::stdout(), "{}", text.map_err(io::Error::from)?)?;
    }
    Ok(if all_known { ExitCode::SUCCESS } else { ExitCode::from(EXIT_FAILED) })
}

/// Shows the keys of one host, and asks for each that is not known. When a machine on the way was
/// accepted, what lies behind it is asked for again. Returns whether a key is known in the end, and
/// nothing was left, with what `--json` prints.
async fn one_host(
    fleet: &Fleet,
    host: &Host,
    args: &TrustHostArgs,
) -> Result<(bool, Vec<Value>), CliError> {
    if host.is_local() {
        if !args.json {
            writeln!(io::stdout(), "{} is this machine: nixdash uses no ssh for it", host.name)?;
        }
        return Ok((true, Vec::new()));
    }
    let mut seen: Vec<HostKey> = Vec::new();
    loop {
        let found = host_keys(fleet, host).await;
        if !args.changes() {
            return Ok((is_known(&found), found.iter().map(|shown| value(host, shown)).collect()));
        }
        let (mut again, mut left, mut known) = (false, false, false);
        for shown in &found {
            let key = match shown {
                Ok(key) => key,
                Err(error) => {
                    tell(args, &format!("{error}\n"))?;
                    continue;
                }
            };
            if seen.iter().any(|old| old.name == key.name && old.key == key.key) {
                left |= key.state != HostKeyState::Known;
                known |= key.state == HostKeyState::Known;
                continue;
            }
            seen.push(key.clone());
            match judge(key, args).await? {
                Became::Known => known = true,
                Became::Accepted => (known, again) = (true, again || key.is_on_the_way),
                Became::Left => left = true,
            }
        }
        if !again {
            let values = found.iter().map(|shown| value(host, shown)).collect();
            return Ok((known && !left, values));
        }
    }
}

/// Returns whether a host can be reached by a key that is known, and none of its keys is another.
fn is_known(found: &[Result<HostKey, RemoteError>]) -> bool {
    let states: Vec<_> = found.iter().flatten().map(|key| &key.state).collect();
    !states.is_empty() && states.iter().all(|state| **state == HostKeyState::Known)
}

/// Shows one key and accepts it when a person, or the arguments, say so.
async fn judge(key: &HostKey, args: &TrustHostArgs) -> Result<Became, CliError> {
    tell(args, &told(key))?;
    match key.state {
        HostKeyState::Known => return Ok(Became::Known),
        HostKeyState::Revoked => return Ok(Became::Left),
        HostKeyState::Unknown | HostKeyState::Changed => {}
    }
    let yes = if args.fingerprint.is_empty() {
        asked(key, args)?
    } else {
        // A key in place of another one is taken only where the host itself was named.
        let is_named = args.selectors.as_slice() == [key.host.clone()];
        let may = key.state == HostKeyState::Unknown || is_named;
        may && args.fingerprint.contains(&key.fingerprint)
    };
    if !yes {
        tell(args, &not_accepted(key, &args.fingerprint))?;
        return Ok(Became::Left);
    }
    match accept_host_key(key).await {
        Ok(()) => {
            let file = key.file.display();
            tell(args, &format!("The key of {} is in {file} now.\n", key.name))?;
            Ok(Became::Accepted)
        }
        Err(error) => {
            tell(args, &format!("{error}\n"))?;
            Ok(Became::Left)
        }
    }
}

/// Says that a key was not accepted, and why, where the arguments and no person said so.
fn not_accepted(key: &HostKey, named: &[String]) -> String {
    let (place, shown) = (&key.place, &key.fingerprint);
    if named.is_empty() {
        format!("The key of {place} was not accepted.\n")
    } else if named.contains(shown) {
        format!(
            "The key of {place} was not accepted: it stands in place of a key that is known, so name that host \
             alone, with `nixdash trust-host {} --fingerprint {shown}`.\n",
            key.host
        )
    } else {
        format!(
            "The key of {place} was not accepted: its fingerprint is {shown}, and --fingerprint names {}.\n",
            in_a_list(named)
        )
    }
}

/// Writes a text for a person; with `--json` to standard error.
fn tell(args: &TrustHostArgs, text: &str) -> io::Result<()> {
    if args.json {
        io::stderr().write_all(text.as_bytes())
    } else {
        io::stdout().write_all(text.as_bytes())
    }
}

/// Returns what a person has to know of a key.
fn told(key: &HostKey) -> String {
    let way =
        if key.is_on_the_way { format!(" (on the way to {})", key.host) } else { String::new() };
    let shown = format!("{} {}", key.kind_word(), key.fingerprint);
    let mut text = match key.state {
        HostKeyState::Known => format!("{}{way}: {shown} is known\n", key.place),
        HostKeyState::Revoked => format!(
            "{}{way}: {shown} is marked as revoked in known_hosts; a machine that shows it \
             is not the host\n",
            key.place
        ),
        HostKeyState::Unknown => {
            format!("{}{way} shows a key that is not known yet:\n  {shown}\n", key.place)
        }
        HostKeyState::Changed => {
            let known: String = key.known.iter().map(known_line).collect();
            format!(
                "{}{way} shows a key that differs from the known one:\n  now    \
                 {shown}\n{known}{}\n",
                key.place,
                HostKey::changed_words()
            )
        }
    };
    if !key.same_as.is_empty() && key.state != HostKeyState::Known {
        let names = key.same_as.join(", ");
        text.extend(["The same key is known already as ", &names, ".\n"]);
    }
    if matches!(key.state, HostKeyState::Unknown | HostKeyState::Changed) {
        text.extend([key.compare_words().as_str(), "\n"]);
    }
    text
}

/// Returns a line for a key that is known instead.
fn known_line(known: &crate::fleet::KnownKeyOf) -> String {
    let kind = HostKey::word_of(&known.kind);
    format!("  before {kind} {} (in {})\n", known.fingerprint, known.file.display())
}

/// Asks a person: `yes` or the fingerprint for a key that is not known, the host's name for one that
/// is another than before.
fn asked(key: &HostKey, args: &TrustHostArgs) -> Result<bool, CliError> {
    if args.json || !io::stdin().is_terminal() {
        let advice = format!(
            "There is no terminal to ask on; --fingerprint {} accepts exactly this key.\n",
            key.fingerprint
        );
        tell(args, &advice)?;
        return Ok(false);
    }
    let question = if key.state == HostKeyState::Changed {
        format!("Type the name of the host ({}) to take the new key instead: ", key.host)
    } else {
        "Accept it? Type yes, or the fingerprint: ".to_owned()
    };
    tell(args, &question)?;
    io::stdout().flush()?;
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line)?;
    Ok(is_yes(key, line.trim()))
}

/// Returns whether an answer accepts a key.
fn is_yes(key: &HostKey, answer: &str) -> bool {
    match key.state {
        HostKeyState::Changed => answer == key.host,
        HostKeyState::Unknown => answer == "yes" || answer == key.fingerprint,
        HostKeyState::Known | HostKeyState::Revoked => false,
    }
}

/// Returns a key, or why there is none, as JSON.
fn value(host: &Host, shown: &Result<HostKey, RemoteError>) -> Value {
    match shown {
        Ok(key) => json!(key),
        Err(error) => json!({
            "host": host.name,
            "error": { "code": error.code().word(), "cause": error.cause, "fix": error.hint },
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::KnownKeyOf;

    fn key(state: HostKeyState) -> HostKey {
        HostKey {
            host: "razer".to_owned(),
            place: "razer.lan:2222".to_owned(),
            is_on_the_way: false,
            name: "[razer.lan]:2222".to_owned(),
            kind: "ssh-ed25519".to_owned(),
            key: "AAAA".to_owned(),
            fingerprint: "SHA256:new".to_owned(),
            state,
            known: vec![KnownKeyOf {
                kind: "ssh-ed25519".to_owned(),
                fingerprint: "SHA256:old".to_owned(),
                file: "/home/me/.ssh/known_hosts".into(),
                is_own: true,
            }],
            same_as: vec!["10.0.0.2".to_owned()],
            file: "/home/me/.ssh/known_hosts".into(),
            hashed: false,
        }
    }

    #[test]
    fn a_fingerprint_is_one_of_sha256_with_32_bytes() {
        let right = format!("SHA256:{}", STANDARD_NO_PAD.encode([7; 32]));
        assert_eq!(fingerprint(&right).as_deref(), Ok(right.as_str()));
        for wrong in ["", "nonsense", "SHA256:", "SHA256:other", "MD5:00:11", &right[..49]] {
            let why = fingerprint(wrong).unwrap_err();
            assert!(why.contains("SHA256: and the 43 characters"), "{wrong:?}: {why}");
        }
    }

    #[test]
    fn a_key_that_is_not_accepted_is_told_with_both_fingerprints_or_what_to_name() {
        let (unknown, changed) = (key(HostKeyState::Unknown), key(HostKeyState::Changed));
        assert_eq!(not_accepted(&unknown, &[]), "The key of razer.lan:2222 was not accepted.\n");
        let text = not_accepted(&unknown, &["SHA256:a".to_owned(), "SHA256:b".to_owned()]);
        assert!(
            text.ends_with(
                "its fingerprint is SHA256:new, and --fingerprint names SHA256:a and SHA256:b.\n"
            ),
            "{text}"
        );
        let text = not_accepted(&changed, &["SHA256:new".to_owned()]);
        assert!(text.contains("`nixdash trust-host razer --fingerprint SHA256:new`"), "{text}");
    }

    #[test]
    fn keys_that_are_only_printed_change_nothing() {
        let args = |json: bool, fingerprints: &[&str]| TrustHostArgs {
            selectors: vec!["razer".to_owned()],
            fingerprint: fingerprints.iter().map(ToString::to_string).collect(),
            json,
        };
        assert!(!args(true, &[]).changes());
        assert!(args(true, &["SHA256:a"]).changes() && args(false, &[]).changes());
    }

    #[test]
    fn a_changed_key_is_taken_only_for_the_name_of_the_host() {
        let (unknown, changed) = (key(HostKeyState::Unknown), key(HostKeyState::Changed));
        assert!(is_yes(&unknown, "yes") && is_yes(&unknown, "SHA256:new"));
        assert!(!is_yes(&unknown, "y") && !is_yes(&unknown, "SHA256:old") && !is_yes(&unknown, ""));
        assert!(is_yes(&changed, "razer"));
        assert!(!is_yes(&changed, "yes") && !is_yes(&changed, "SHA256:new"));
        assert!(!is_yes(&key(HostKeyState::Revoked), "razer"));
    }

    #[test]
    fn both_keys_are_shown_and_what_the_change_may_mean() {
        let text = told(&key(HostKeyState::Changed));
        for part in [
            "now    ED25519 SHA256:new",
            "before ED25519 SHA256:old (in /home/me/.ssh/known_hosts)",
            "intercepts the connection to the host",
            "The same key is known already as 10.0.0.2.",
            "ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub",
        ] {
            assert!(text.contains(part), "{text}");
        }
    }
}
