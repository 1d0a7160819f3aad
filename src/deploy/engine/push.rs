//! Push: the host that builds copies a system straight to its target, over ssh, and the target checks every
//! signature (`ssh-ng`).
//!
//! The builder uses its own key and the hosts that it knows. Where those do not let it in, the agent of the
//! operator is lent to it for this copy, which then ends with the connection; the target's host keys come
//! from the target, over the connection that was verified from here. No byte of the system comes through this
//! machine.

use super::ear::NixEar;
use super::fetch::why;
use super::lost::{AWAY_LIMIT, lost, not_started, through_restarts};
use super::scripts::{PUSH, PUSH_TARGET, PUSH_WAY, ROOT_DRV};
use super::step::{PlainLog, Step};
use super::verify::trusts;
use crate::deploy::words::{NO_ANSWER, again_after_restart, ended_from_outside};
use crate::deploy::{Failure, Reason};
use crate::fleet::{Address, Code, Fetched, Outcome, PublicKey, printable_line};
use crate::nix::activity::ActivityLog;
use crate::nix::argv;
use crate::nix::settings::Settings;
use crate::nix::signature::parse_public_key;
use crate::nix::trusted_keys::TrustedKeys;
use crate::remote::job::{Job, JobKind, JobState, LineSink as _};
use crate::remote::{LineReceiver, Output, Script, Way};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// How long looking for a way may take.
const WAY_LIMIT: Duration = Duration::from_secs(60);

/// How long a copy in a session may take.
const SESSION_LIMIT: Duration = Duration::from_secs(6 * 3600);

/// Pieces of an output that may wait between the connection and the parser.
const PIECE_QUEUE: usize = 16;

/// The name under which a builder without a key of its own knows the target.
const ALIAS: &str = "nixdash-target";

/// How a builder reaches a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PushWay {
    /// The target's store, as Nix calls it.
    store: String,
    /// Options for ssh.
    options: String,
    /// A file on the builder with the key to sign with.
    sign_key: Option<String>,
    /// The target's host keys, where the agent of the operator is lent; none where the builder logs in
    /// by itself.
    lent: Option<String>,
    /// What the person should know before saying yes.
    pub(super) notes: Vec<Reason>,
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
    let script = |known: &str| way_script(sign_key.as_deref(), addresses, &target.user, known);
    let about = |failure: Failure| step.about_builder(failure);
    let own = step.run(builder, &script("").root()).await.map_err(about)?;
    let own = TriedWay::read(&own.stdout);
    if let Some(trouble) = own.key_trouble {
        let file = sign_key.as_deref().unwrap_or_default();
        let text = format!(
            "{name}: {builder} cannot sign what it pushes with {file}: {trouble}; fix sign_key in [hosts.{builder}] \
             of hosts.toml"
        );
        return Err(Failure::failed(Code::SetupFailed, text));
    }
    let mut notes = judge_signing(name, builder, own.key.as_ref(), &target.settings)?;
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

/// Returns the script with which a builder tries the addresses of a target.
pub(super) fn way_script(
    sign_key: Option<&str>,
    addresses: &[Address],
    user: &str,
    known: &str,
) -> Script {
    let plain = Address { user: None, host: String::new(), port: None };
    let script = Script::new(PUSH_WAY)
        .limit(WAY_LIMIT)
        .arg(sign_key.unwrap_or_default())
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

/// Judges whether a target takes what a builder signs with its key, or without one.
fn judge_signing(
    host: &str,
    builder: &str,
    key: Option<&PublicKey>,
    settings: &Settings,
) -> Result<Vec<Reason>, Failure> {
    if settings.flag("require-sigs") == Some(false) {
        return Ok(Vec::new());
    }
    let words = settings.trusted_public_keys();
    let Some(key) = key else {
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

/// Names the job of a copy that the builder makes by itself.
pub(super) fn job(step: &Step, builder: &str) -> Job {
    step.job(builder, "push")
}

/// Copies the system to the target; returns how much came from the builder.
pub(super) async fn push(step: &Step, builder: &str) -> Result<BTreeMap<String, Fetched>, Failure> {
    let way = prepare(step, builder).await?;
    step.log(&format!("no cache takes part: {builder} copies it straight to {}", way.store)).await;
    root_on_target(step).await?;
    let (exit, log) = match &way.lent {
        None => {
            let again = again_after_restart(builder, "copying");
            let copy = || copy_as_job(step, builder, &way);
            let (state, log) = through_restarts(step, &again, copy).await?;
            (state.exit, log)
        }
        Some(known) => {
            sign(step, builder, &way).await?;
            copy_in_session(step, builder, &way, known).await?
        }
    };
    match exit {
        Some(0) => Ok(copied(builder, log.fetched())),
        Some(code) => {
            let (code, said) = why(log.failure(), code, Code::FetchFailed);
            Err(refused(step, builder, code, &said))
        }
        None => {
            let job = format!("the copy from {builder} to {}", step.host.name);
            let text = ended_from_outside(&job, builder);
            Err(Failure::failed(Code::JobEnded, text))
        }
    }
}

/// Roots the system on the target before it is there: nothing of it may be collected in between.
async fn root_on_target(step: &Step) -> Result<(), Failure> {
    let name = &step.host.name;
    step.shared.note_use(name);
    let script = Script::new(ROOT_DRV).root().arg(step.toplevel()?.as_str()).arg(step.fetch_root());
    let output = step.run(name, &script).await?;
    if output.is_ok() {
        return Ok(());
    }
    let text = format!(
        "{name}: the new system could not be kept from garbage collection there: {}",
        output.complaint()
    );
    Err(Failure::failed(Code::WriteFailed, text))
}

/// Returns the arguments of the script that copies.
fn arguments(step: &Step, way: &PushWay, key: &str, known: &str) -> Result<Vec<String>, Failure> {
    let system = step.toplevel()?.to_string();
    let words = [&system, &way.store, &way.options, key, known, ALIAS];
    Ok(words.map(str::to_owned).to_vec())
}

/// Lets the builder copy as a job: it goes on when the connection ends.
async fn copy_as_job(
    step: &Step,
    builder: &str,
    way: &PushWay,
) -> Result<(JobState, ActivityLog), Failure> {
    let mut job = step.job_to_start(builder, "push").await;
    let args = arguments(step, way, way.sign_key.as_deref().unwrap_or_default(), "")?;
    job.start(JobKind::Work, PUSH, &args, AWAY_LIMIT, &mut PlainLog::new(step))
        .await
        .map_err(|failure| step.about_builder(not_started(failure)))?;
    let mut lines = NixEar::of_job(step, &mut job, "push").await;
    let state = job
        .follow("exit", AWAY_LIMIT, &mut lines)
        .await
        .map_err(|error| step.about_builder(lost(&error)))?;
    Ok((state, lines.finish().await))
}

/// Signs on the builder, as root, before a copy that is made as its login user.
async fn sign(step: &Step, builder: &str, way: &PushWay) -> Result<(), Failure> {
    let Some(key) = &way.sign_key else { return Ok(()) };
    let script = Script::new(super::scripts::SIGN).root().limit(SESSION_LIMIT);
    let script = script.arg(step.toplevel()?.as_str()).arg(key);
    let output: Output = step.run(builder, &script).await?;
    if output.is_ok() {
        return Ok(());
    }
    let text = format!(
        "{}: what {builder} built could not be signed with {key} there: {}",
        step.host.name,
        output.complaint()
    );
    Err(Failure::failed(Code::SetupFailed, text))
}

/// Lets the builder copy in a session to which the operator's agent is lent.
async fn copy_in_session(
    step: &Step,
    builder: &str,
    way: &PushWay,
    known: &str,
) -> Result<(Option<i32>, ActivityLog), Failure> {
    let mut lines = NixEar::new(step);
    let mut script = Script::new(PUSH).way(Way::Agent).limit(SESSION_LIMIT);
    script.args = arguments(step, way, "", known)?;
    let (sender, said) = mpsc::channel(PIECE_QUEUE);
    let follow = step.runner.follow(builder, &script, sender);
    let hear = async {
        let mut said = LineReceiver::new(said);
        while let Some(line) = said.next().await {
            lines.take(&line).await;
        }
    };
    let (output, ()) = tokio::join!(follow, hear);
    let log = lines.finish().await;
    let output = output.map_err(|error| {
        let Failure { outcome, reason } = step.about_builder(lost(&error));
        let text = format!("the copy ended with the connection to {builder}: {}", reason.text);
        Failure { outcome, reason: Reason { text, ..reason } }
    })?;
    Ok((Some(output.code), log))
}

/// Says that a target did not take what was copied, and what it asks for.
fn refused(step: &Step, builder: &str, code: Code, said: &str) -> Failure {
    let name = &step.host.name;
    let is_unsigned =
        ["lacks a signature", "not signed by any"].iter().any(|part| said.contains(part));
    let (code, hint) = if is_unsigned {
        let hint = format!(
            "; {name} takes only what one of its trusted-public-keys signed, and trusted-users does not change that \
             here: name a key of {builder} as sign_key in [hosts.{builder}] of hosts.toml, and its public half in \
             nix.settings.trusted-public-keys of {name}"
        );
        (Code::SignatureMissing, hint)
    } else {
        (code, String::new())
    };
    let failure = format!("{builder} could not copy the system to {name}: {said}{hint}");
    Failure { outcome: Outcome::Failed, reason: Reason::new(code, failure) }
}

/// Returns all that was copied as what came from the builder.
fn copied(builder: &str, by_source: BTreeMap<String, Fetched>) -> BTreeMap<String, Fetched> {
    let mut all = Fetched::default();
    for got in by_source.into_values() {
        all.add(got);
    }
    if all.paths == 0 { BTreeMap::new() } else { [(format!("ssh-ng://{builder}"), all)].into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "p620-1:84lYE1B4WYBhgRnr4i3CGQuBrqMejfmimNytE5731+M=";

    #[test]
    fn a_target_that_would_refuse_what_is_signed_is_told_before_anything_is_copied() {
        let key = parse_public_key(KEY).unwrap();
        let judge = |key: Option<&PublicKey>, text: &str| {
            judge_signing("samsung", "p620", key, &Settings::parse(text))
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

    #[test]
    fn all_that_was_copied_came_from_the_builder() {
        let got = |paths| Fetched { paths, bytes: paths * 10, timed: None };
        let all = [("daemon".to_owned(), got(2)), ("local".to_owned(), got(1))].into();
        assert_eq!(copied("p620", all), [("ssh-ng://p620".to_owned(), got(3))].into());
        assert_eq!(copied("p620", BTreeMap::new()), BTreeMap::new());
    }
}
