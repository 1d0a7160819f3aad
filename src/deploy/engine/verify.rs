//! Verify: can the target get its system from the tier, signed by a key that it trusts.
//!
//! Asked from the target, since it may not see what this machine sees; the signature is checked
//! here, against the key that `hosts.toml` names.

use super::lost::{DRY_RUN_LIMIT, TOOK_TOO_LONG};
use super::routes::turn;
use super::scripts::{HOLDS, VERIFY};
use super::step::Step;
use crate::deploy::words::{NO_ANSWER, no_public_key};
use crate::deploy::{Failure, Reason, Report};
use crate::fleet::{
    Code, Outcome, PublicKey, SignatureState, StorePath, Tier, duration, printable_line,
};
use crate::nix::dry_run;
use crate::nix::narinfo::{NarInfo, SIZE_LIMIT};
use crate::nix::settings::{Settings, bare_url};
use crate::nix::substituter::Substituter;
use crate::nix::trusted_keys::TrustedKeys;
use crate::probe::own_trouble;
use crate::remote::{Output, Script};
use std::time::Duration;

/// How long a tier may be asked for everything that a system needs.
const HOLDS_LIMIT: Duration = Duration::from_secs(120);

/// How often a tier is asked that gives no answer: one question may fall into a moment without network.
const TRIES: u32 = 3;

/// How long to wait before it is asked again.
const AGAIN: Duration = Duration::from_secs(2);

/// Verifies that the target gets its system from the tier; where that fails since the tier is at fault,
/// turns to another way.
pub(super) async fn verify(step: &Step) -> Result<Report, Failure> {
    match check(step, step.tier()?).await {
        Ok(()) => Ok(Report::Done),
        Err(failure) if failure.is_of_tier() => turn(step, failure).await.map(|()| Report::Done),
        Err(failure) => Err(failure),
    }
}

/// Checks that a tier serves the system, signed by its key, and that the target takes it from there.
pub(super) async fn check(step: &Step, tier: &Tier) -> Result<(), Failure> {
    let toplevel = step.toplevel()?;
    let host = &step.host.name;
    let fresh = step.shared.settings.fresh(host);
    let output = ask_until_answered(step, tier, toplevel.hash(), fresh.is_none()).await?;
    let (settings, answer) = CurlAnswer::after_settings(&output);
    let Some(key) = &tier.public_key else {
        return Err(Failure::failed(Code::SetupFailed, no_public_key(tier)));
    };
    let failed = |reason| Failure { outcome: Outcome::Failed, reason };
    served(host, tier, key, toplevel, &answer).map_err(failed)?;
    step.log(&format!("{} has it, signed by {}", tier.name, key.name)).await;
    let settings = fresh.unwrap_or_else(|| Settings::parse(settings));
    if settings.is_empty() {
        step.log("its Nix settings could not be read; the fetch will tell").await;
        return Ok(());
    }
    match accepted(host, tier, key, &settings) {
        Ok(()) => step.log(&format!("{host} asks {} and trusts {}", tier.name, key.name)).await,
        Err(why) if step.shared.fleet.bootstrap_trust => {
            step.log(&format!("{}; added for this fetch: bootstrap_trust", why.text)).await;
        }
        Err(why) => return Err(failed(why)),
    }
    Ok(())
}

/// Looks at a tier from the target, with the hash of a path; where that is wanted, the target prints its
/// settings too.
async fn ask(
    step: &Step,
    tier: &Tier,
    hash: &str,
    wants_settings: bool,
) -> Result<Output, Failure> {
    let asks_settings = if wants_settings { "settings" } else { "" };
    let script = Script::new(VERIFY).root().arg(&tier.url).arg(hash).arg(asks_settings);
    step.run(&step.host.name, &script).await
}

/// Looks at a tier from the target, and again where there was no answer.
async fn ask_until_answered(
    step: &Step,
    tier: &Tier,
    hash: &str,
    wants_settings: bool,
) -> Result<Output, Failure> {
    let mut tries = 1;
    loop {
        let output = ask(step, tier, hash, wants_settings).await?;
        let answer = CurlAnswer::after_settings(&output).1;
        if answer.status != "000" || own_trouble(answer.exit).is_some() || tries == TRIES {
            return Ok(output);
        }
        step.log(&format!("{} did not answer; asking again", tier.name)).await;
        tries += 1;
        tokio::time::sleep(AGAIN).await;
    }
}

/// Checks that a tier holds the whole system, as the target's Nix finds it there, and that the target
/// takes it.
pub(super) async fn holds(step: &Step, tier: &Tier) -> Result<(), Failure> {
    check(step, tier).await?;
    let script = Script::new(HOLDS).root().limit(HOLDS_LIMIT);
    let script = script.arg(step.toplevel()?.as_str()).arg(&tier.url);
    let output = step.run(&step.host.name, &script).await?;
    let found = dry_run::parse(&output.stderr);
    if output.is_ok() && found.unknown == 0 && found.to_build == 0 {
        return Ok(());
    }
    let (name, host) = (&tier.name, &step.host.name);
    if output.code == TOOK_TOO_LONG {
        let text = format!(
            "tier {name} did not say within {} what it holds of the system of {host}",
            duration(DRY_RUN_LIMIT)
        );
        return Err(Failure::failed(Code::NotReached, text));
    }
    let text = format!("tier {name} has the system of {host}, but not all that it needs");
    Err(Failure::failed(Code::PathMissing, text))
}

/// Looks whether a tier answers the target at all, by the path that runs there; the error says why it
/// is of no use now.
pub(super) async fn is_up(
    step: &Step,
    tier: &Tier,
    running: Option<&StorePath>,
) -> Result<Result<(), String>, Failure> {
    // Any hash does: that a path is missing is an answer.
    let hash = running.map_or("00000000000000000000000000000000", StorePath::hash);
    let output = ask_until_answered(step, tier, hash, false).await?;
    let (_, answer) = CurlAnswer::after_settings(&output);
    let host = &step.host.name;
    Ok(match answer.status {
        "200" | "404" => Ok(()),
        "000" => Err(unanswered(host, tier, &answer).text),
        status => Err(format!("tier {} answers {status} to {host}", tier.name)),
    })
}

/// What curl on the target said.
#[derive(Debug, PartialEq, Eq)]
struct CurlAnswer<'a> {
    text: &'a str,
    /// The HTTP status; `000` where there was no answer, or one without an end.
    status: &'a str,
    /// Where a redirect leads.
    location: &'a str,
    /// The exit code of curl.
    exit: &'a str,
}

impl<'a> CurlAnswer<'a> {
    /// Reads what the script printed: the target's settings, and the answer.
    fn after_settings(output: &'a Output) -> (&'a str, Self) {
        let parts = output.stdout.split_once("\n--- narinfo\n");
        let (settings, rest) = parts.unwrap_or(("", &output.stdout));
        (settings, Self::read(rest, &output.stderr))
    }

    /// Reads what the script printed after the settings, and its standard error.
    fn read(stdout: &'a str, stderr: &'a str) -> Self {
        let (text, line) = stdout.rsplit_once("\n--- status ").unwrap_or((stdout, "000"));
        let line = line.trim();
        let (status, location) = line.split_once(' ').unwrap_or((line, ""));
        let exit = stderr.lines().rev().find_map(|line| line.strip_prefix("--- curl "));
        Self { text, status, location, exit: exit.unwrap_or_default() }
    }
}

/// Checks that the tier serves the system with a valid signature.
fn served(
    host: &str,
    tier: &Tier,
    key: &PublicKey,
    toplevel: &StorePath,
    answer: &CurlAnswer<'_>,
) -> Result<(), Reason> {
    let (name, url) = (&tier.name, &tier.url);
    let wrong = |code, text: String| Err(Reason::new(code, text));
    match answer.status {
        "200" => {}
        "404" => {
            let text = format!(
                "tier {name} ({url}) does not have {toplevel}, asked from {host}; does it serve the store of the builder?"
            );
            return wrong(Code::PathMissing, text);
        }
        "000" => return Err(unanswered(host, tier, answer)),
        status if status.starts_with('3') => {
            let to = printable_line(answer.location.split('?').next().unwrap_or_default());
            let text = format!(
                "tier {name} ({url}) answered {status} to {host} for the narinfo and redirects to {to}, where nixdash does not follow; write the address that answers itself into hosts.toml"
            );
            return wrong(Code::RedirectRefused, text);
        }
        other => {
            let text = format!("tier {name} ({url}) answered {other} to {host} for the narinfo");
            return wrong(refused(other), text);
        }
    }
    let narinfo = NarInfo::parse(answer.text).map_err(|error| {
        let text = format!("tier {name} ({url}) served a broken narinfo: {error}");
        Reason::new(Code::AnswerUnexpected, text)
    })?;
    if narinfo.store_path != *toplevel {
        let text = format!(
            "tier {name} ({url}) served the narinfo of {} instead of {toplevel}",
            narinfo.store_path
        );
        return wrong(Code::AnswerUnexpected, text);
    }
    signed(host, tier, key, &narinfo)
}

/// Returns the code of an HTTP status with which a tier refuses.
fn refused(status: &str) -> Code {
    match status {
        "401" | "403" => Code::AccessDenied,
        "429" => Code::RateLimited,
        status if status.starts_with('5') => Code::ServerFailing,
        _ => Code::AnswerUnexpected,
    }
}

/// Checks that what the tier serves is signed by its key.
fn signed(host: &str, tier: &Tier, key: &PublicKey, narinfo: &NarInfo) -> Result<(), Reason> {
    let name = &tier.name;
    match narinfo.verdict(key) {
        SignatureState::Valid => Ok(()),
        SignatureState::Invalid => {
            let text = format!(
                "tier {name} signs as {} with another key than hosts.toml names: its signature does not verify, so {host} would refuse it; compare public_key with the server's key",
                key.name
            );
            Err(Reason::new(Code::SignatureInvalid, text))
        }
        SignatureState::Untrusted | SignatureState::Unchecked => {
            let text = format!(
                "tier {name} serves {} without a signature of {}; is a signing key set on the server?",
                narinfo.store_path, key.name
            );
            Err(Reason::new(Code::SignatureMissing, text))
        }
    }
}

/// Says why there is no answer: curl itself, too much of one, or the way to the tier.
fn unanswered(host: &str, tier: &Tier, answer: &CurlAnswer<'_>) -> Reason {
    let (name, url) = (&tier.name, &tier.url);
    let is_long = answer.text.len() > SIZE_LIMIT;
    if let Some(reason) = own_trouble(answer.exit).filter(|_| !is_long) {
        let text = format!(
            "{host} could not ask tier {name} ({url}): {reason}; try `curl --version` on {host}"
        );
        return Reason::new(Code::CurlCannotAsk, text);
    }
    if is_long {
        let text = format!(
            "tier {name} ({url}) sent {host} more than {} kB for a narinfo, and was cut off; what answers at this address is not a cache",
            SIZE_LIMIT / 1000
        );
        return Reason::new(Code::AnswerUnexpected, text);
    }
    let said = answer.text.lines().map(printable_line).rfind(|line| !line.is_empty());
    let text = format!(
        "{host} cannot reach tier {name} ({url}): {}; is the server running there and the port open?",
        said.as_deref().unwrap_or(NO_ANSWER)
    );
    Reason::new(Code::NotReached, text)
}

/// Checks that the target asks the tier and trusts its key, as its Nix reads its settings.
pub(super) fn accepted(
    host: &str,
    tier: &Tier,
    key: &PublicKey,
    settings: &Settings,
) -> Result<(), Reason> {
    let is_tier = |text: &&str| bare_url(text) == bare_url(&tier.url);
    let words = settings.substituters();
    let entries = words.into_iter().filter(is_tier).map(Substituter::parse);
    let (taken, left_out): (Vec<_>, Vec<_>) = entries.partition(|entry| entry.refused.is_none());
    let takes_all =
        settings.flag("require-sigs") == Some(false) || taken.iter().any(|entry| entry.is_trusted);
    let keys = TrustedKeys::parse(&settings.trusted_public_keys());
    if !takes_all {
        trusts(host, key, &keys).map_err(|(code, text)| Reason::new(code, text))?;
    }
    if !taken.is_empty() {
        return Ok(());
    }
    let left_out = left_out.first().and_then(|entry| Some((entry, entry.refused.as_ref()?)));
    let (code, text) = if let Some((entry, why)) = left_out {
        let text = format!(
            "the Nix of {host} leaves {} out: {}; fix \"{}\" in nix.settings.substituters of {host}",
            tier.name,
            printable_line(why),
            printable_line(&entry.text)
        );
        (Code::CacheLeftOut, text)
    } else {
        let text = format!(
            "{host} does not ask {}; add \"{}\" to nix.settings.substituters of {host}",
            tier.name, tier.url
        );
        (Code::NotConfigured, text)
    };
    Err(Reason::new(code, text))
}

/// Checks that a signature of this key is one that the target takes.
pub(super) fn trusts(
    host: &str,
    key: &PublicKey,
    keys: &TrustedKeys,
) -> Result<(), (Code, String)> {
    if let Some(malformed) = keys.malformed.first() {
        let text = format!(
            "{host} takes nothing from any cache: \"{}\" in its trusted-public-keys is not a key ({}), and with it Nix can check no signature; fix or remove it",
            printable_line(&malformed.text),
            malformed.why
        );
        return Err((Code::TrustedKeyMalformed, text));
    }
    match keys.named(&key.name) {
        Some(have) if have.bytes == key.bytes => Ok(()),
        Some(_) if keys.shadows(key) => {
            let text = format!(
                "{host} trusts another key under the name {} first, and its Nix uses only that one; remove it",
                key.name
            );
            Err((Code::KeyReplaced, text))
        }
        Some(_) => {
            let text = format!(
                "{host} trusts another key under the name {}; it must be \"{}\"",
                key.name, key.text
            );
            Err((Code::KeyReplaced, text))
        }
        None => {
            let text = format!(
                "{host} does not trust the key {}; add \"{}\" to nix.settings.trusted-public-keys of {host}",
                key.name, key.text
            );
            Err((Code::KeyNotTrusted, text))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::KindName;
    use crate::nix::signature::parse_public_key;
    use crate::remote::write_program;
    use std::io::{Read as _, Write as _};
    use std::process::Command;

    const HASH: &str = "p21fy4sc5b87h3ma8y0mbiph36v5yfk7";

    /// Runs the script against an address, with these commands before all others; returns standard
    /// output from the narinfo on, and standard error.
    fn look(url: &str, commands: &[(&str, &str)]) -> (String, String) {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in [("nix", "exit 0")].iter().chain(commands) {
            write_program(&folder.path().join(name), &format!("#!/bin/sh\n{text}\n"));
        }
        let path = std::env::var("PATH").unwrap_or_default();
        let output = Command::new("/bin/sh")
            .args(["-c", VERIFY, "sh", url, HASH])
            .env("PATH", format!("{}:{path}", folder.path().display()))
            .output()
            .unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let stdout = text(&output.stdout);
        let (_, rest) = stdout.split_once("\n--- narinfo\n").unwrap();
        (rest.to_owned(), text(&output.stderr))
    }

    /// Serves one connection with these bytes, the last of them again and again where it is endless.
    fn serve(head: &'static str, is_endless: bool) -> String {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            drop(stream.read(&mut [0; 4096]));
            drop(stream.write_all(head.as_bytes()));
            while is_endless && stream.write_all(&[b'x'; 4096]).is_ok() {}
        });
        url
    }

    /// Judges an answer.
    fn judged(url: &str, answer: &CurlAnswer<'_>) -> (Code, String) {
        let key = parse_public_key("test-1:84lYE1B4WYBhgRnr4i3CGQuBrqMejfmimNytE5731+M=").unwrap();
        let path = StorePath::parse(&format!("/nix/store/{HASH}-a-1.0")).unwrap();
        let tier = Tier::new("p620", KindName::Http, url);
        let reason = served("samsung", &tier, &key, &path, answer).unwrap_err();
        (reason.code, reason.text)
    }

    #[test]
    fn a_narinfo_without_an_end_is_cut_off_and_said_to_be_too_long() {
        let url = serve("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", true);
        let began = std::time::Instant::now();
        let (stdout, stderr) = look(&url, &[]);
        assert!(stdout.len() <= 1_200_000 && began.elapsed().as_secs() < 8);
        let (code, error) = judged(&url, &CurlAnswer::read(&stdout, &stderr));
        assert_eq!(code, Code::AnswerUnexpected);
        assert!(error.contains("more than 1048 kB") || error.contains("longer"), "{error}");
    }

    #[test]
    fn a_redirect_is_told_and_not_followed() {
        let to = "HTTP/1.1 302 x\r\nLocation: gopher://127.0.0.1:70/1?token=x\r\nContent-Length: 0\r\n\r\n";
        let url = serve(to, false);
        let (stdout, stderr) = look(&url, &[]);
        let (code, error) = judged(&url, &CurlAnswer::read(&stdout, &stderr));
        assert_eq!(code, Code::RedirectRefused);
        assert!(error.contains("redirects to gopher://127.0.0.1:70/1, where"), "{error}");
    }

    #[test]
    fn a_curl_that_refuses_its_options_is_not_a_tier_that_is_down() {
        let url = "http://127.0.0.1:9";
        let (stdout, stderr) =
            look(url, &[("curl", "echo 'curl: option --proto: no' >&2; exit 2")]);
        let (code, error) = judged(url, &CurlAnswer::read(&stdout, &stderr));
        assert_eq!(code, Code::CurlCannotAsk);
        assert!(error.contains("refuses the options") && !error.contains("reach"), "{error}");
        let (stdout, stderr) = look("http://127.0.0.1:1", &[]);
        let (code, error) = judged(url, &CurlAnswer::read(&stdout, &stderr));
        assert_eq!(code, Code::NotReached);
        assert!(error.contains("cannot reach tier p620"), "{error}");
    }

    #[test]
    fn each_answer_of_a_tier_has_a_code() {
        for (status, code) in [
            ("404", Code::PathMissing),
            ("401", Code::AccessDenied),
            ("403", Code::AccessDenied),
            ("429", Code::RateLimited),
            ("503", Code::ServerFailing),
            ("418", Code::AnswerUnexpected),
            ("200", Code::AnswerUnexpected),
        ] {
            let answer = CurlAnswer { text: "", status, location: "", exit: "0" };
            assert_eq!(judged("http://p620", &answer).0, code, "{status}");
        }
    }

    #[test]
    fn what_a_host_does_not_accept_has_a_code() {
        let text = "test-1:84lYE1B4WYBhgRnr4i3CGQuBrqMejfmimNytE5731+M=";
        let key = parse_public_key(text).unwrap();
        let tier = Tier::new("p620", KindName::Http, "http://p620:5000");
        let other = "test-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY=";
        for (keys, asks, code) in [
            ("", "http://p620:5000", Some(Code::KeyNotTrusted)),
            (other, "http://p620:5000", Some(Code::KeyReplaced)),
            (text, "http://weed", Some(Code::NotConfigured)),
            (text, "http://p620:5000", None),
        ] {
            let settings = format!("trusted-public-keys = {keys}\nsubstituters = {asks}\n");
            let found = accepted("samsung", &tier, &key, &Settings::parse(&settings));
            assert_eq!(found.err().map(|reason| reason.code), code, "{settings}");
        }
    }
}
