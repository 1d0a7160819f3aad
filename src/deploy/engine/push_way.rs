//! How a builder reaches a target to copy a system to it, and whether the target takes what it signs.

use super::scripts::{PUSH_TARGET, PUSH_WAY};
use super::step::Step;
use super::verify::trusts;
use super::wake;
use crate::deploy::words::NO_ANSWER;
use crate::deploy::{Failure, Reason};
use crate::fleet::{Address, Code, PublicKey, printable_line};
use crate::nix::argv;
use crate::nix::settings::Settings;
use crate::nix::signature::parse_public_key;
use crate::nix::trusted_keys::TrustedKeys;
use crate::remote::{Script, Way};
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

/// How long looking for a way may take.
const WAY_LIMIT: Duration = Duration::from_secs(60);

/// The name under which a builder without a key of its own knows the target.
pub(super) const ALIAS: &str = "nixdash-target";

/// How a builder reaches a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PushWay {
    /// The target's store, as Nix calls it.
    pub(super) store: String,
    /// Options for ssh.
    pub(super) options: String,
    /// A file on the builder with the key to sign with.
    pub(super) sign_key: Option<String>,
    /// The target's host keys, where the agent of the operator is lent; none where the builder logs in
    /// by itself.
    pub(super) lent: Option<String>,
    /// What the person should know before saying yes.
    pub(super) notes: Vec<Reason>,
}

impl PushWay {
    /// Returns whether the builder signs what it builds with no key that the target is known to trust.
    pub(super) fn is_unsigned(&self) -> bool {
        self.notes.iter().any(|note| note.code == Code::PushUnsigned)
    }
}

/// What a target asks of whoever copies to it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct PushTarget {
    user: String,
    host_keys: Vec<String>,
    settings: Settings,
}

impl PushTarget {
    /// Reads the script's lines.
    fn read(text: &str) -> Self {
        let mut found = Self { settings: Settings::told(text), ..Self::default() };
        for (key, value) in text.lines().filter_map(|line| line.split_once('\t')) {
            match key {
                "user" => found.user = printable_line(value.trim()),
                "host-key" if is_host_key(value) => found.host_keys.push(value.to_owned()),
                _ => {}
            }
        }
        found
    }

    /// Returns the lines of known hosts, under one name.
    fn known_hosts(&self) -> String {
        self.host_keys.iter().fold(String::new(), |mut lines, key| {
            // Writing to a text cannot fail.
            let _written = writeln!(lines, "{ALIAS} {key}");
            lines
        })
    }
}

/// Returns whether a text is a kind of key and a key, and nothing else.
fn is_host_key(text: &str) -> bool {
    let fits = |word: &str, marks: &[u8]| {
        let is_part = |byte: u8| byte.is_ascii_alphanumeric() || marks.contains(&byte);
        !word.is_empty() && word.bytes().all(is_part)
    };
    text.split_once(' ').is_some_and(|(kind, key)| fits(kind, b"-@.") && fits(key, b"+/="))
}

/// What a builder said when it tried to log in to a target.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct TriedWay {
    /// The address that let it in, by its place in the list.
    reached: Option<usize>,
    /// What each other address said.
    refused: Vec<String>,
    /// Whether an address has another host key than the builder knows.
    is_changed: bool,
    /// The public half of the key to sign with.
    key: Option<PublicKey>,
    /// What is wrong with the file of that key.
    key_trouble: Option<&'static str>,
    /// The public halves of the keys with which the builder's Nix signs all that it builds (`secret-key-files`).
    keys_of_nix: Vec<PublicKey>,
}

impl TriedWay {
    /// Reads the script's lines.
    fn read(text: &str) -> Self {
        let mut found = Self::default();
        for (key, value) in text.lines().filter_map(|line| line.split_once('\t')) {
            match key {
                "reached" => found.reached = value.trim().parse().ok(),
                "refused" => {
                    let said = value.split_once('\t').map_or(value, |(_, said)| said);
                    found.refused.push(printable_line(said.trim()));
                }
                "changed" => found.is_changed = true,
                "key" => found.key = parse_public_key(value.trim()).ok(),
                "nix-key" => found.keys_of_nix.extend(parse_public_key(value.trim()).ok()),
                "no-key" => found.key_trouble = Some("there is no such file that root can read"),
                "bad-key" => found.key_trouble = Some("Nix reads no secret key in it"),
                _ => {}
            }
        }
        found
    }
}

/// Looks once per run how the builder reaches the target, and whether that takes what it will sign.
pub(super) async fn prepare(step: &Step, builder: &str) -> Result<Arc<PushWay>, Failure> {
    let cell = step.shared.pushes.cell(step.host.name.as_str());
    let found = cell.get_or_try_init(|| async { look(step, builder).await.map(Arc::new) });
    found.await.cloned()
}

/// Returns the public half of the key in a file on a host; the error says why the host cannot sign with it.
pub(super) async fn signing_key(
    step: &Step,
    host: &str,
    file: &str,
) -> Result<Result<PublicKey, String>, Failure> {
    let script = way_script(KeysToTell::File(file), &[], "", "").root();
    let output = wake::run_awake(step, host, &script).await?;
    let found = TriedWay::read(&output.stdout);
    Ok(found.key.ok_or_else(|| {
        let trouble = found.key_trouble.unwrap_or("its Nix does not say which key that is");
        format!("{host} cannot sign with {file}: {trouble}")
    }))
}

/// Looks how the builder reaches the target.
async fn look(step: &Step, builder: &str) -> Result<PushWay, Failure> {
    let (name, fleet) = (&step.host.name, &step.shared.fleet);
    let addresses = &step.config()?.addresses;
    if addresses.is_empty() {
        let text = format!(
            "{name}: {builder} cannot copy to it, since hosts.toml names no address of {name}; add addresses = \
             [\"…\"] by which {builder} reaches it"
        );
        return Err(Failure::failed(Code::PushRefused, text));
    }
    let output = step.run(name, &Script::new(PUSH_TARGET)).await?;
    let target = PushTarget::read(&output.stdout);
    let sign_key = fleet.host(builder).and_then(|host| host.sign_key.clone());
    let keys = sign_key.as_deref().map_or(KeysToTell::OfNix, KeysToTell::File);
    let script = |known: &str| way_script(keys, addresses, &target.user, known);
    let about = |failure: Failure| step.about_builder(failure);
    let own = wake::run_awake(step, builder, &script("").root()).await.map_err(about)?;
    let own = TriedWay::read(&own.stdout);
    if let Some(trouble) = own.key_trouble {
        let file = sign_key.as_deref().unwrap_or_default();
        let text = format!(
            "{name}: {builder} cannot sign what it pushes with {file}: {trouble}; fix sign_key in [hosts.{builder}] \
             of hosts.toml"
        );
        return Err(Failure::failed(Code::SetupFailed, text));
    }
    let mut notes = judge_signing(name, builder, &own, &target.settings)?;
    let known = target.known_hosts();
    let (reached, lent) = if let Some(reached) = own.reached {
        (reached, None)
    } else {
        let reached = with_lent_agent(step, builder, &own, &script(&known)).await?;
        let text = format!(
            "{builder} cannot log in to {name} by itself, so your agent is lent to it for the copy: the copy ends \
             when this connection does"
        );
        notes.push(Reason::new(Code::PushInSession, text));
        (reached, Some(known))
    };
    let Some(address) = addresses.get(reached) else {
        return Err(Failure::failed(Code::InternalError, format!("{name}: no such address")));
    };
    let address = complete(address, &target.user);
    let store = argv::push_store(&address);
    let options = push_options(&address);
    Ok(PushWay { store, options, sign_key, lent, notes })
}

/// Returns an address with the user that it leaves out.
pub(super) fn complete(address: &Address, user: &str) -> Address {
    let user = address.user.clone().unwrap_or_else(|| user.to_owned());
    Address { user: Some(user), ..address.clone() }
}

/// Returns the options of ssh on the builder, where no file of the operator's is.
fn push_options(address: &Address) -> String {
    argv::ssh_options(address, None).unwrap_or_default()
}

/// Of which secret keys a host tells the public halves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeysToTell<'a> {
    /// Of none.
    None,
    /// Of the one in this file.
    File(&'a str),
    /// Of those with which its Nix signs what it builds.
    OfNix,
}

impl<'a> KeysToTell<'a> {
    /// Returns what the script is told.
    fn arguments(self) -> [&'a str; 2] {
        match self {
            Self::None => ["none", ""],
            Self::File(file) => ["file", file],
            Self::OfNix => ["nix", ""],
        }
    }
}

/// Returns the script with which a builder tells its keys and tries the addresses of a target.
pub(super) fn way_script(
    keys: KeysToTell<'_>,
    addresses: &[Address],
    user: &str,
    known: &str,
) -> Script {
    let plain = Address { user: None, host: String::new(), port: None };
    let [which, file] = keys.arguments();
    let script = Script::new(PUSH_WAY)
        .limit(WAY_LIMIT)
        .arg(which)
        .arg(file)
        .arg(push_options(&plain))
        .arg(known)
        .arg(ALIAS);
    addresses.iter().fold(script, |script, address| {
        let user = address.user.as_deref().unwrap_or(user);
        script.arg(user).arg(&address.host).arg(address.port.unwrap_or(22).to_string())
    })
}

/// Tries the addresses from the builder with the operator's agent; returns the one that let it in.
async fn with_lent_agent(
    step: &Step,
    builder: &str,
    own: &TriedWay,
    script: &Script,
) -> Result<usize, Failure> {
    let name = &step.host.name;
    let said = own.refused.last().map_or(NO_ANSWER, |said| said.trim_end_matches('.'));
    let refused = |more: &str| {
        let text = format!(
            "{builder} cannot log in to {name} to copy to it: {said}{more}. Give root on {builder} a key that {name} \
             accepts, and the host key of {name} in programs.ssh.knownHosts"
        );
        Failure::failed(Code::PushRefused, text)
    };
    if own.is_changed {
        return Err(refused(" (the host key is another one than it knows)"));
    }
    if std::env::var_os("SSH_AUTH_SOCK").is_none() {
        return Err(refused("; no ssh agent runs here that could be lent to it"));
    }
    let output = step.run(builder, &script.clone().way(Way::Agent)).await;
    let output = output
        .map_err(|failure| refused(&format!("; with your agent: {}", failure.reason.text)))?;
    let lent = TriedWay::read(&output.stdout);
    lent.reached.ok_or_else(|| {
        let said = lent.refused.last().map_or(NO_ANSWER, |said| said.trim_end_matches('.'));
        refused(&format!("; with your agent: {said}"))
    })
}

/// Judges whether a target takes what a builder signs: with its key for this, or, without one, with those with
/// which its Nix signs what it builds.
fn judge_signing(
    host: &str,
    builder: &str,
    signs: &TriedWay,
    settings: &Settings,
) -> Result<Vec<Reason>, Failure> {
    if settings.flag("require-sigs") == Some(false) {
        return Ok(Vec::new());
    }
    let words = settings.trusted_public_keys();
    let Some(key) = &signs.key else {
        let trusted = TrustedKeys::parse(&words);
        if signs.keys_of_nix.iter().any(|key| trusts(host, key, &trusted).is_ok()) {
            return Ok(Vec::new());
        }
        let text = format!(
            "{builder} signs nothing for this copy. {host} takes only what one of its trusted-public-keys signed ({}); \
             trusted-users does not change that. Name a key of {builder} as sign_key in hosts.toml when the copy is \
             refused",
            names(&words)
        );
        return Ok(vec![Reason::new(Code::PushUnsigned, text)]);
    };
    if settings.is_empty() {
        return Ok(Vec::new());
    }
    trusts(host, key, &TrustedKeys::parse(&words))
        .map(|()| Vec::new())
        .map_err(|(code, text)| Failure::failed(code, text))
}

/// Returns the names of keys.
fn names(keys: &[&str]) -> String {
    let names: Vec<String> =
        keys.iter().filter_map(|key| key.split(':').next()).map(printable_line).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remote::write_program;

    const KEY: &str = "p620-1:84lYE1B4WYBhgRnr4i3CGQuBrqMejfmimNytE5731+M=";

    #[test]
    fn a_target_that_would_refuse_what_is_signed_is_told_before_anything_is_copied() {
        let key = parse_public_key(KEY).unwrap();
        let judge = |key: Option<&PublicKey>, text: &str| {
            let signs = TriedWay { key: key.cloned(), ..TriedWay::default() };
            judge_signing("samsung", "p620", &signs, &Settings::parse(text))
        };
        let trusting = format!("require-sigs = true\ntrusted-public-keys = {KEY}\n");
        assert_eq!(judge(Some(&key), &trusting), Ok(Vec::new()));
        let refused =
            judge(Some(&key), "require-sigs = true\ntrusted-public-keys = \n").unwrap_err();
        assert_eq!(refused.reason.code, Code::KeyNotTrusted);
        assert!(
            refused.reason.text.contains("trusted-public-keys of samsung"),
            "{}",
            refused.reason
        );
        let notes = judge(None, &trusting).unwrap();
        assert_eq!(notes[0].code, Code::PushUnsigned);
        assert!(notes[0].text.contains("(p620-1)") && notes[0].text.contains("trusted-users"));
        assert_eq!(judge(None, "require-sigs = false\n"), Ok(Vec::new()));
        // The builder's own Nix may sign what it builds.
        let signs = TriedWay::read(&format!("nix-key\t{KEY}\n"));
        let judge = |text: &str| judge_signing("samsung", "p620", &signs, &Settings::parse(text));
        assert_eq!(judge(&trusting), Ok(Vec::new()));
        assert_eq!(judge("trusted-public-keys = \n").unwrap()[0].code, Code::PushUnsigned);
    }

    #[test]
    fn only_the_keys_that_are_asked_for_are_told_under_a_real_shell() {
        let dir = tempfile::tempdir().unwrap();
        let (own, of_nix) = (dir.path().join("own"), dir.path().join("of-nix"));
        std::fs::write(&own, "own-1:secret").unwrap();
        std::fs::write(&of_nix, "nix-1:secret").unwrap();
        // The public half of a secret key is made of its name here.
        let nix = format!(
            "#!/bin/sh\ncase $* in\n*secret-key-files) echo '{}' ;;\n*) sed 's/secret/public/' ;;\nesac\n",
            of_nix.display()
        );
        write_program(&dir.path().join("nix"), &nix);
        write_program(
            &dir.path().join("ssh"),
            "#!/bin/sh\ncase $* in *samsung.lan*) ;; *) exit 1 ;; esac\n",
        );
        let path = std::env::var("PATH").unwrap_or_default();
        let addresses = [Address { user: None, host: "samsung.lan".to_owned(), port: None }];
        let said = |keys: KeysToTell<'_>, known: &str| {
            let script = way_script(keys, &addresses, "me", known);
            let output = std::process::Command::new("/bin/sh")
                .args(["-c", script.body, "push-way"])
                .args(&script.args)
                .env("PATH", format!("{}:{path}", dir.path().display()))
                .output()
                .unwrap();
            String::from_utf8(output.stdout).unwrap()
        };
        let file = own.display().to_string();
        assert_eq!(said(KeysToTell::None, ""), "reached\t0\n");
        assert_eq!(said(KeysToTell::File(&file), ""), "key\town-1:public\nreached\t0\n");
        assert_eq!(said(KeysToTell::OfNix, ""), "nix-key\tnix-1:public\nreached\t0\n");
        assert_eq!(said(KeysToTell::File("/none"), ""), "no-key\t/none\nreached\t0\n");
        for keys in [KeysToTell::File(&file), KeysToTell::OfNix] {
            assert_eq!(said(keys, "a b c\n"), "reached\t0\n", "told before, by root");
        }
    }

    #[test]
    fn what_a_builder_says_of_its_way_is_read() {
        let text = format!(
            "key\t{KEY}\nrefused\t0\tHost key verification failed.\nchanged\t0\nreached\t1\n"
        );
        let found = TriedWay::read(&text);
        assert_eq!((found.reached, found.is_changed), (Some(1), true));
        assert_eq!(found.refused, ["Host key verification failed."]);
        assert_eq!(found.key.unwrap().name, "p620-1");
        assert!(TriedWay::read("no-key\t/x\n").key_trouble.is_some());
        assert_eq!(TriedWay::read("reached\tx\n").reached, None);
    }

    #[test]
    fn only_keys_of_hosts_become_lines_of_known_hosts() {
        let text = "user\tme\nhost-key\tssh-ed25519 AAAAC3Nza+/=\nhost-key\tssh-rsa AAAA\nevil * x\n\
                    host-key\tssh-rsa AAAA evil\nhost-key\t\nsetting\trequire-sigs = true\n";
        let found = PushTarget::read(text);
        assert_eq!(
            found.known_hosts(),
            "nixdash-target ssh-ed25519 AAAAC3Nza+/=\nnixdash-target ssh-rsa AAAA\n"
        );
        assert_eq!((found.user.as_str(), found.settings.flag("require-sigs")), ("me", Some(true)));
    }
}
