//! Asks a cache from one of the hosts: what this machine sees is not what a laptop sees.
//!
//! Only curl is used there, never Nix: Nix writes a `nix-cache-info` where it finds none, and
//! remembers what a cache did not have. Addresses go to curl's standard input, never into a list of
//! processes; credentials are the host's own (root's netrc, root's S3 keys) and stay there.
//!
//! It is mostly root's curl, and what caches send is untrusted: curl speaks HTTP only, follows no
//! redirect by itself (`follow.rs` judges them), and reads no more and takes no longer than it may.

mod base;
mod follow;
mod reading;

pub(super) use base::Base;
use follow::hops;
pub(crate) use reading::own_trouble;
pub(super) use reading::{Fault, Seen, nothing_came};
use reading::{Told, limit_words, read, write_out};

use crate::fleet::printable_line;
use crate::nix::narinfo::SIZE_LIMIT;
use crate::probe::clock::chance;
use crate::probe::web::redirect::REDIRECTS;
use crate::remote::{Output, Script, ScriptRunner};
use std::collections::BTreeSet;
use std::time::Duration;

/// Asks with curl.
const CURL: &str = include_str!("scripts/curl.sh");

/// How long connecting may take, in seconds.
const CONNECT_LIMIT: u32 = 4;

/// How long one request may take, in seconds.
const REQUEST_LIMIT: u32 = 8;

/// How long a script with one request may take.
const SCRIPT_LIMIT: Duration = Duration::from_secs(10);

/// How much longer a script may take for each further request.
const STEP: Duration = Duration::from_millis(50);

/// How many bytes more are read for each file than the longest answer has: most are short.
const FILE_LIMIT: usize = 32 << 10;

/// The file that Nix reads credentials from, where its settings name no other.
const NETRC: &str = "/etc/nix/netrc";

/// The hash of an empty body, which S3 wants to be told.
const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// A host to ask from, as its Nix is set up.
pub(super) struct Place<'a> {
    pub(super) runner: &'a dyn ScriptRunner,
    pub(super) host: &'a str,
    /// Whether root can be had there.
    pub(super) root: bool,
    /// `netrc-file` of its settings.
    pub(super) netrc: Option<&'a str>,
    /// `ssl-cert-file` of its settings.
    pub(super) authorities: Option<&'a str>,
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Want {
    /// The whole answer.
    Whole,
    /// The status only.
    Status,
    /// The first byte only.
    FirstByte,
}

/// One run of curl.
struct Round<'a> {
    urls: &'a [String],
    want: Want,
    connections: usize,
    /// Profile and region to sign requests with.
    sign: Option<(String, String)>,
    /// Whether the host's own credentials go along: never to where a server sends us.
    is_own: bool,
    /// `host:port:address` of names that were looked up and judged.
    pins: BTreeSet<String>,
}

impl Round<'_> {
    /// Returns most bytes that are read of all answers together.
    fn most_bytes(&self) -> usize {
        match self.want {
            Want::FirstByte => 1,
            Want::Whole | Want::Status => SIZE_LIMIT + FILE_LIMIT.saturating_mul(self.urls.len()),
        }
    }

    /// Returns how long the script may take.
    fn limit(&self) -> Duration {
        SCRIPT_LIMIT + STEP.saturating_mul(u32::try_from(self.urls.len()).unwrap_or(u32::MAX))
    }
}

impl Place<'_> {
    /// Gets files of a cache, one after the other on one connection; one answer per file. Fails when
    /// the host cannot ask: that says nothing of the cache.
    pub(super) async fn get(&self, base: &Base, files: &[String]) -> Result<Vec<Seen>, String> {
        self.ask(base, files, Want::Whole, 1).await
    }

    /// Asks for the status of files only, with so many connections at once; one answer per file.
    pub(super) async fn statuses(
        &self,
        base: &Base,
        files: &[String],
        connections: usize,
    ) -> Result<Vec<Seen>, String> {
        self.ask(base, files, Want::Status, connections).await
    }

    /// Asks for the first byte of a file and hangs up after it.
    pub(super) async fn first_byte(&self, base: &Base, file: &str) -> Result<Seen, String> {
        let seen = self.ask(base, &[file.to_owned()], Want::FirstByte, 1).await?;
        seen.into_iter().next().ok_or_else(|| format!("curl on {} said nothing", self.host))
    }

    async fn ask(
        &self,
        base: &Base,
        files: &[String],
        want: Want,
        connections: usize,
    ) -> Result<Vec<Seen>, String> {
        let mut urls: Vec<String> = files.iter().map(|file| base.address(file)).collect();
        let pins = BTreeSet::new();
        let sign = base.sign.clone();
        let first = Round { urls: &urls, want, connections, sign, is_own: true, pins };
        let mut told = self.round(&first).await?;
        for _ in 0..REDIRECTS {
            let hops = hops(&urls, &mut told);
            if hops.is_empty() {
                break;
            }
            self.step(hops, want, connections, &mut urls, &mut told).await?;
        }
        let gone_on = hops(&urls, &mut told);
        for hop in gone_on {
            let why = "it redirects more than three times in a row";
            told[hop.place].seen = Seen::fault(why.to_owned());
        }
        Ok(told.into_iter().map(|told| told.seen).collect())
    }

    /// Runs curl once; returns what became of each address.
    async fn round(&self, round: &Round<'_>) -> Result<Vec<Told>, String> {
        let mark = format!("{:013x}", (chance() * 4e15) as u64);
        let (profile, region) = round.sign.clone().unwrap_or_default();
        let netrc =
            if round.is_own && round.sign.is_none() { self.netrc.unwrap_or(NETRC) } else { "" };
        let is_counted = round.want != Want::Whole;
        let mut script = Script::new(CURL)
            .arg(profile)
            .arg(region)
            .arg(if is_counted { "count" } else { "" })
            .arg(round.most_bytes().to_string())
            .arg(round.limit().as_secs().to_string())
            .arg(netrc)
            .stdin(self.config(round, &mark))
            .limit(round.limit());
        script.root = self.root;
        let output =
            self.runner.run(self.host, &script).await.map_err(|error| error.to_string())?;
        if output.code == 127 {
            return Err(format!("{} has no curl to ask with; add it to its system", self.host));
        }
        let said = if is_counted { output.stderr.as_str() } else { output.stdout.as_str() };
        let found = read(said, &mark, round.urls);
        if found.iter().all(Option::is_none) && !was_cut(round, &output) {
            return Err(self.complaint(&output));
        }
        let mut told = fill(found, was_cut(round, &output));
        if is_counted {
            // What stands before the mark is what curl said of others.
            let replies = told.iter_mut().filter_map(|told| told.seen.reply.as_mut());
            replies.for_each(|reply| reply.body.clear());
        }
        if round.want == Want::Status {
            for told in told.iter_mut().filter(|told| told.is_cut) {
                told.seen = Seen::fault("sends far more than a narinfo has".to_owned());
            }
        }
        // The script prints how many bytes came.
        if round.want == Want::FirstByte && output.stdout.trim() == "0" {
            let none = |told: Told| Told { seen: told.seen.without_a_byte(), ..told };
            return Ok(told.into_iter().map(none).collect());
        }
        Ok(told)
    }

    /// Says what kept curl from asking at all.
    fn complaint(&self, output: &Output) -> String {
        let (host, code) = (self.host, ended_with(output).unwrap_or_default());
        let said = output.stderr.lines().filter(|line| !line.starts_with(ENDED));
        let said = said.map(printable_line).find(|line| !line.is_empty());
        let said = said.unwrap_or_else(|| output.complaint());
        match own_trouble(code) {
            Some(reason) => {
                format!("{host} could not ask: {reason} ({said}); try `curl --version` there")
            }
            None => format!("curl on {host} said nothing that makes sense: {said}"),
        }
    }

    /// Returns curl's configuration for a round.
    fn config(&self, round: &Round<'_>, mark: &str) -> String {
        let mut lines = vec![
            "silent".to_owned(),
            "show-error".to_owned(),
            "globoff".to_owned(),
            // Without `=` it would only add to what is allowed. `location` is not there: curl
            // follows no redirect.
            "proto = \"=http,https\"".to_owned(),
            "proto-redir = \"=http,https\"".to_owned(),
            format!("connect-timeout = {CONNECT_LIMIT}"),
            format!("max-time = {REQUEST_LIMIT}"),
            setting("user-agent", concat!("nixdash/", env!("CARGO_PKG_VERSION"))),
        ];
        if round.sign.is_some() {
            lines.push(setting("header", &format!("x-amz-content-sha256: {EMPTY}")));
        }
        if let Some(file) = self.authorities.filter(|file| !file.is_empty()) {
            lines.push(setting("cacert", file));
        }
        lines.extend(round.pins.iter().map(|pin| setting("resolve", pin)));
        match round.want {
            Want::Whole => lines.push(format!("max-filesize = {SIZE_LIMIT}")),
            Want::Status => {
                lines.push(format!("max-filesize = {SIZE_LIMIT}"));
                // 7.66 and later; how one transfer after the other would be far too slow.
                lines.push("parallel".to_owned());
                lines.push(format!("parallel-max = {}", round.connections));
            }
            Want::FirstByte => lines.push("range = \"0-0\"".to_owned()),
        }
        let to = if round.want == Want::Whole { "" } else { "%{stderr}" };
        lines.push(write_out(to, mark));
        lines.extend(round.urls.iter().map(|url| setting("url", url)));
        lines.push(String::new());
        lines.join("\n")
    }
}

/// What the line of standard error begins with that says how curl ended.
const ENDED: &str = "nixdash: curl ended with ";

/// Returns the exit code of curl, as the script printed it.
fn ended_with(output: &Output) -> Option<&str> {
    output.stderr.lines().rev().find_map(|line| line.strip_prefix(ENDED))
}

/// Returns whether more came than is read.
fn was_cut(round: &Round<'_>, output: &Output) -> bool {
    let most = round.most_bytes();
    match round.want {
        Want::Whole => output.stdout.len() >= most,
        Want::Status => output.stdout.trim().parse::<usize>().is_ok_and(|bytes| bytes >= most),
        Want::FirstByte => false,
    }
}

/// Puts something in the place of answers that curl did not come to: where too much came, the first
/// of them is too long, and what was to come after it was not asked for.
fn fill(found: Vec<Option<Told>>, was_cut: bool) -> Vec<Told> {
    let mut is_culprit = was_cut;
    let told = found.into_iter().map(|told| {
        told.unwrap_or_else(|| {
            let seen = if is_culprit {
                Seen::fault(format!("its answer has more than {}", limit_words()))
            } else {
                Seen::not_asked("curl ended before it came to it".to_owned())
            };
            is_culprit = false;
            Told { seen, redirect: None, peer: None, is_cut: false }
        })
    });
    told.collect()
}

/// Returns a line of curl's configuration; control characters, which no address has, are left out.
fn setting(name: &str, value: &str) -> String {
    let mut line = format!("{name} = \"");
    for c in value.chars().filter(|c| !c.is_control()) {
        if matches!(c, '"' | '\\') {
            line.push('\\');
        }
        line.push(c);
    }
    line.push('"');
    line
}

#[cfg(test)]
mod tests;
