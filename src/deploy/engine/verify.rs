//! Verify: can the target get its system from the tier, signed by a key that it trusts.
//!
//! Asked from the target, since it may not see what this machine sees; the signature is checked
//! here, against the key that `hosts.toml` names.

use super::scripts::VERIFY;
use super::step::Step;
use crate::deploy::{Failure, Report};
use crate::fleet::{PublicKey, SignatureState, StorePath, Tier, printable_line};
use crate::nix::narinfo::{NarInfo, SIZE_LIMIT};
use crate::nix::settings::Settings;
use crate::nix::signature::parse_public_key;
use crate::probe::own_trouble;
use crate::remote::Script;

pub(super) async fn verify(step: &Step) -> Result<Report, Failure> {
    let (tier, toplevel) = (step.tier()?, step.toplevel()?);
    let script = Script::new(VERIFY).root().arg(&tier.url).arg(toplevel.hash());
    let output = step.run(&step.host.name, &script).await?;
    let (settings, rest) =
        output.stdout.split_once("\n--- narinfo\n").unwrap_or(("", &output.stdout));
    let host = &step.host.name;
    let Some(key) = &tier.public_key else {
        return Err(Failure::failed(format!("tier {} has no public_key", tier.name)));
    };
    let answer = Answer::read(rest, &output.stderr);
    served(host, tier, key, toplevel, &answer).map_err(Failure::failed)?;
    step.log(&format!("{} has it, signed by {}", tier.name, key.name)).await;
    let settings = Settings::parse(settings);
    if settings.is_empty() {
        step.log("its Nix settings could not be read; the fetch will tell").await;
        return Ok(Report::Done);
    }
    match accepted(host, tier, key, &settings) {
        Ok(()) => step.log(&format!("{host} asks {} and trusts {}", tier.name, key.name)).await,
        Err(why) if step.shared.fleet.bootstrap_trust => {
            step.log(&format!("{why}; added for this fetch: bootstrap_trust")).await;
        }
        Err(why) => return Err(Failure::failed(why)),
    }
    Ok(Report::Done)
}

/// What curl on the target said.
#[derive(Debug, PartialEq, Eq)]
struct Answer<'a> {
    text: &'a str,
    /// The HTTP status; `000` where there was no answer, or one without an end.
    status: &'a str,
    /// Where a redirect leads.
    location: &'a str,
    /// The exit code of curl.
    exit: &'a str,
}

impl<'a> Answer<'a> {
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
    answer: &Answer<'_>,
) -> Result<(), String> {
    let (name, url) = (&tier.name, &tier.url);
    match answer.status {
        "200" => {}
        "404" => {
            return Err(format!(
                "tier {name} ({url}) does not have {toplevel}, asked from {host}; does it serve the store of the builder?"
            ));
        }
        "000" => return Err(unanswered(host, tier, answer)),
        status if status.starts_with('3') => {
            let to = printable_line(answer.location.split('?').next().unwrap_or_default());
            return Err(format!(
                "tier {name} ({url}) answered {status} to {host} for the narinfo and redirects to {to}, where nixdash does not follow; write the address that answers itself into hosts.toml"
            ));
        }
        other => {
            return Err(format!("tier {name} ({url}) answered {other} to {host} for the narinfo"));
        }
    }
    let narinfo = NarInfo::parse(answer.text)
        .map_err(|error| format!("tier {name} ({url}) served a broken narinfo: {error}"))?;
    if narinfo.store_path != *toplevel {
        return Err(format!("tier {name} ({url}) served {} instead", narinfo.store_path));
    }
    match narinfo.verdict(key) {
        SignatureState::Valid => Ok(()),
        SignatureState::Invalid => Err(format!(
            "tier {name} signs as {} with another key than hosts.toml names: its signature does not verify, so {host} would refuse it; compare public_key with the server's key",
            key.name
        )),
        SignatureState::Untrusted | SignatureState::Unchecked => Err(format!(
            "tier {name} serves {toplevel} without a signature of {}; is a signing key set on the server?",
            key.name
        )),
    }
}

/// Says why there is no answer: curl itself, too much of one, or the way to the tier.
fn unanswered(host: &str, tier: &Tier, answer: &Answer<'_>) -> String {
    let (name, url) = (&tier.name, &tier.url);
    let is_long = answer.text.len() > SIZE_LIMIT;
    if let Some(reason) = own_trouble(answer.exit).filter(|_| !is_long) {
        return format!(
            "{host} could not ask tier {name} ({url}): {reason}; try `curl --version` on {host}"
        );
    }
    if is_long {
        return format!(
            "tier {name} ({url}) sent {host} more than {} kB for a narinfo, and was cut off; what answers at this address is no cache",
            SIZE_LIMIT / 1000
        );
    }
    let said = answer.text.lines().map(printable_line).rfind(|line| !line.is_empty());
    format!(
        "{host} cannot reach tier {name} ({url}): {}; is the server running there and the port open?",
        said.unwrap_or_else(|| "no answer".to_owned())
    )
}

/// Checks that the target asks the tier and trusts its key.
fn accepted(host: &str, tier: &Tier, key: &PublicKey, settings: &Settings) -> Result<(), String> {
    let trusted =
        settings.trusted_public_keys().into_iter().filter_map(|text| parse_public_key(text).ok());
    let same_name: Vec<PublicKey> = trusted.filter(|have| have.name == key.name).collect();
    if same_name.is_empty() {
        return Err(format!(
            "{host} does not trust the key {}; add \"{}\" to nix.settings.trusted-public-keys of {host}",
            key.name, key.text
        ));
    }
    if !same_name.iter().any(|have| have.bytes == key.bytes) {
        return Err(format!(
            "{host} trusts another key under the name {}; it must be \"{}\"",
            key.name, key.text
        ));
    }
    if !settings.asks(&tier.url) {
        return Err(format!(
            "{host} does not ask {}; add \"{}\" to nix.settings.substituters of {host}",
            tier.name, tier.url
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::TierKind;
    use std::io::{Read as _, Write as _};
    use std::os::unix::fs::PermissionsExt as _;
    use std::process::Command;

    const HASH: &str = "p21fy4sc5b87h3ma8y0mbiph36v5yfk7";

    /// Runs the script against an address, with these commands before all others; returns standard
    /// output from the narinfo on, and standard error.
    fn look(url: &str, commands: &[(&str, &str)]) -> (String, String) {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in [("nix", "exit 0")].iter().chain(commands) {
            let file = folder.path().join(name);
            std::fs::write(&file, format!("#!/bin/sh\n{text}\n")).unwrap();
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
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
    fn judged(url: &str, answer: &Answer<'_>) -> String {
        let key = parse_public_key("test-1:84lYE1B4WYBhgRnr4i3CGQuBrqMejfmimNytE5731+M=").unwrap();
        let path = StorePath::parse(&format!("/nix/store/{HASH}-a-1.0")).unwrap();
        let tier = Tier::new("p620", TierKind::Http, url);
        served("samsung", &tier, &key, &path, answer).unwrap_err()
    }

    #[test]
    fn a_narinfo_without_an_end_is_cut_off_and_said_to_be_too_long() {
        let url = serve("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", true);
        let began = std::time::Instant::now();
        let (stdout, stderr) = look(&url, &[]);
        assert!(stdout.len() <= 1_200_000 && began.elapsed().as_secs() < 8);
        let error = judged(&url, &Answer::read(&stdout, &stderr));
        assert!(error.contains("more than 1048 kB") || error.contains("longer"), "{error}");
    }

    #[test]
    fn a_redirect_is_told_and_not_followed() {
        let to = "HTTP/1.1 302 x\r\nLocation: gopher://127.0.0.1:70/1?token=x\r\nContent-Length: 0\r\n\r\n";
        let url = serve(to, false);
        let (stdout, stderr) = look(&url, &[]);
        let error = judged(&url, &Answer::read(&stdout, &stderr));
        assert!(error.contains("redirects to gopher://127.0.0.1:70/1, where"), "{error}");
    }

    #[test]
    fn a_curl_that_refuses_its_options_is_not_a_tier_that_is_down() {
        let url = "http://127.0.0.1:9";
        let (stdout, stderr) =
            look(url, &[("curl", "echo 'curl: option --proto: no' >&2; exit 2")]);
        let error = judged(url, &Answer::read(&stdout, &stderr));
        assert!(error.contains("refuses the options") && !error.contains("reach"), "{error}");
        let (stdout, stderr) = look("http://127.0.0.1:1", &[]);
        let error = judged(url, &Answer::read(&stdout, &stderr));
        assert!(error.contains("cannot reach tier p620"), "{error}");
    }
}
