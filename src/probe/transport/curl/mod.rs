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

pub(in crate::probe) use base::CacheAddress;
use follow::hops;
pub(crate) use reading::own_trouble;
use reading::{CurlLine, limit_words, read, write_out};

use crate::fleet::{Tier, TierKind, printable_line};
use crate::nix::narinfo::SIZE_LIMIT;
use crate::nix::s3_url::{self, S3Url};
use crate::probe::clock::chance;
use crate::probe::transport::budget::RequestBudget;
use crate::probe::transport::redirect::REDIRECTS;
use crate::probe::transport::{
    AnswerPart, Asker, CACHE_REQUESTS, DeclaredRequest, HttpReply, HttpRequest, Method,
    RequestError, Rules, Transport, own_origin,
};
use crate::probe::words::OUR_MISTAKE;
use crate::remote::{Output, Script, ScriptRunner};
use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream, StreamExt as _};
use reqwest::Url;
use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

/// Asks with curl.
const CURL: &str = include_str!("../../scripts/curl.sh");

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

/// Requests that one script makes.
const BATCH: usize = 400;

/// A host to ask from, as its Nix is set up.
#[derive(Clone, Copy)]
pub(in crate::probe) struct CurlHost<'a> {
    pub(in crate::probe) runner: &'a dyn ScriptRunner,
    pub(in crate::probe) host: &'a str,
    /// Whether root can be had there.
    pub(in crate::probe) root: bool,
    /// `netrc-file` of its settings.
    pub(in crate::probe) netrc: Option<&'a str>,
    /// `ssl-cert-file` of its settings.
    pub(in crate::probe) authorities: Option<&'a str>,
}

/// How curl is to ask, for all addresses of one script.
#[derive(Clone, Copy)]
struct CurlManner<'a> {
    declared: &'a [DeclaredRequest],
    method: Method,
    part: AnswerPart,
    connections: usize,
}

/// One run of curl.
struct CurlRun<'a> {
    urls: &'a [String],
    manner: CurlManner<'a>,
    /// Profile and region to sign requests with.
    sign: Option<(String, String)>,
    /// Whether the host's own credentials go along: never to where a server sends us.
    is_own: bool,
    /// `host:port:address` of names that were looked up and judged.
    pins: BTreeSet<String>,
}

impl CurlRun<'_> {
    /// Returns most bytes that are read of all answers together.
    fn most_bytes(&self) -> usize {
        match self.manner.part {
            AnswerPart::Start => 1,
            AnswerPart::Whole | AnswerPart::Status => {
                SIZE_LIMIT + FILE_LIMIT.saturating_mul(self.urls.len())
            }
        }
    }

    /// Returns how long the script may take.
    fn limit(&self) -> Duration {
        SCRIPT_LIMIT + STEP.saturating_mul(u32::try_from(self.urls.len()).unwrap_or(u32::MAX))
    }
}

/// The curl of a host, as a way to a tier.
pub(in crate::probe) struct HostCurl<'a> {
    place: CurlHost<'a>,
    budget: &'a RequestBudget,
}

impl<'a> HostCurl<'a> {
    /// Asks from a host; requests are counted as all others are.
    pub(in crate::probe) fn new(place: CurlHost<'a>, budget: &'a RequestBudget) -> Self {
        Self { place, budget }
    }

    /// Makes requests that have all in common but their addresses; one answer per request.
    async fn batch(
        &self,
        tier: &Tier,
        rules: &Rules,
        asks: &[HttpRequest],
        at_once: usize,
    ) -> Vec<Result<HttpReply, RequestError>> {
        let Some(first) = asks.first() else { return Vec::new() };
        let all = |error: &RequestError| asks.iter().map(|_| Err(error.clone())).collect();
        if first.method == Method::Post || !first.headers.is_empty() || first.told_by.is_some() {
            let why = format!("{} is asked for plain files only", self.place.host);
            return all(&RequestError::setup(&first.url, &why, OUR_MISTAKE));
        }
        let urls: Result<Vec<Url>, RequestError> =
            asks.iter().map(|ask| ask.declared_url(rules)).collect();
        let urls = match urls {
            Ok(urls) => urls,
            Err(error) => return all(&error),
        };
        if let Some(Err(error)) = urls.first().map(|url| self.budget.may_ask(tier, rules, url)) {
            return all(&error);
        }
        let is_own = urls.iter().all(|url| own_origin(tier, url));
        let connections = rules.width(false).min(at_once);
        let (method, part) = (first.method, first.part);
        let manner = CurlManner { declared: rules.requests, method, part, connections };
        let texts = asks.iter().map(|ask| ask.url.clone()).collect();
        let sign = signature(tier).filter(|_| is_own);
        let asked_at = self.budget.now();
        self.budget.note_requests(tier, asks.len());
        match self.place.ask(texts, manner, sign, is_own).await {
            Ok(answers) => {
                for (url, answer) in urls.iter().zip(&answers) {
                    if let Ok(reply) = answer {
                        self.budget.note_reply(tier, rules, url, reply, asked_at);
                    }
                }
                answers
            }
            Err(why) => all(&RequestError::setup(&first.url, &why, "")),
        }
    }
}

impl Transport for HostCurl<'_> {
    fn send<'a>(
        &'a self,
        tier: &'a Tier,
        rules: &'a Rules,
        ask: HttpRequest,
    ) -> BoxFuture<'a, Result<HttpReply, RequestError>> {
        Box::pin(async move {
            let url = ask.url.clone();
            let answers = self.batch(tier, rules, &[ask], 1).await;
            let nothing = || Err(RequestError::setup(&url, "curl said nothing", ""));
            answers.into_iter().next().unwrap_or_else(nothing)
        })
    }

    fn send_all<'a>(
        &'a self,
        tier: &'a Tier,
        rules: &'a Rules,
        asks: Vec<HttpRequest>,
        at_once: usize,
    ) -> BoxStream<'a, Result<HttpReply, RequestError>> {
        let alike = |one: &HttpRequest, other: &HttpRequest| {
            one.method == other.method && one.part == other.part
        };
        let batches: VecDeque<Vec<HttpRequest>> = asks
            .chunk_by(alike)
            .flat_map(|run| run.chunks(BATCH))
            .map(<[HttpRequest]>::to_vec)
            .collect();
        stream::unfold(batches, move |mut batches| async move {
            let batch = batches.pop_front()?;
            let answers = self.batch(tier, rules, &batch, at_once).await;
            Some((stream::iter(answers), batches))
        })
        .flatten()
        .boxed()
    }

    fn asker(&self) -> Option<Asker<'_>> {
        Some(Asker { host: self.place.host, root: self.place.root })
    }
}

/// Returns profile and region that a tier's requests are signed with on a host.
fn signature(tier: &Tier) -> Option<(String, String)> {
    let bucket = (tier.kind == TierKind::S3).then(|| S3Url::parse(&tier.url).ok()).flatten()?;
    let profile = bucket.profile.unwrap_or_else(|| s3_url::PROFILE.to_owned());
    Some((profile, bucket.region))
}

impl CurlHost<'_> {
    /// Gets files of a cache, one after the other on one connection; one answer per file. Fails when
    /// the host cannot ask: that says nothing of the cache.
    pub(in crate::probe) async fn get(
        &self,
        base: &CacheAddress,
        files: &[String],
    ) -> Result<Vec<Result<HttpReply, RequestError>>, String> {
        let urls = files.iter().map(|file| base.address(file)).collect();
        let (declared, method, part) = (CACHE_REQUESTS, Method::Get, AnswerPart::Whole);
        let manner = CurlManner { declared, method, part, connections: 1 };
        self.ask(urls, manner, base.sign.clone(), true).await
    }

    /// Asks for addresses, and follows redirects as far as they may be followed.
    async fn ask(
        &self,
        mut urls: Vec<String>,
        manner: CurlManner<'_>,
        sign: Option<(String, String)>,
        is_own: bool,
    ) -> Result<Vec<Result<HttpReply, RequestError>>, String> {
        let pins = BTreeSet::new();
        let first = CurlRun { urls: &urls, manner, sign, is_own, pins };
        let mut told = self.round(&first).await?;
        for _ in 0..REDIRECTS {
            let hops = hops(&manner, &urls, &mut told);
            if hops.is_empty() {
                break;
            }
            self.step(hops, manner, &mut urls, &mut told).await?;
        }
        let gone_on = hops(&manner, &urls, &mut told);
        for hop in gone_on {
            let why = "it redirects more than three times in a row";
            told[hop.place].seen = Err(RequestError::new(&urls[hop.place], why, ""));
        }
        Ok(told.into_iter().map(|told| told.seen).collect())
    }

    /// Runs curl once; returns what became of each address.
    async fn round(&self, round: &CurlRun<'_>) -> Result<Vec<CurlLine>, String> {
        let mark = format!("{:013x}", (chance() * 4e15) as u64);
        let (profile, region) = round.sign.clone().unwrap_or_default();
        let netrc =
            if round.is_own && round.sign.is_none() { self.netrc.unwrap_or(NETRC) } else { "" };
        let is_counted = round.manner.part != AnswerPart::Whole;
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
        let mut told = fill(found, round.urls, was_cut(round, &output));
        if is_counted {
            // What stands before the mark is what curl said of others.
            let replies = told.iter_mut().filter_map(|told| told.seen.as_mut().ok());
            replies.for_each(|reply| reply.body.clear());
        }
        if round.manner.part == AnswerPart::Status {
            for (told, url) in told.iter_mut().zip(round.urls).filter(|(told, _)| told.is_cut) {
                told.seen = Err(RequestError::new(url, "sends far more than a narinfo has", ""));
            }
        }
        // The script prints how many bytes came.
        if round.manner.part == AnswerPart::Start && output.stdout.trim() != "0" {
            let replies = told.iter_mut().filter_map(|told| told.seen.as_mut().ok());
            replies.for_each(|reply| reply.body = vec![0]);
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
            None => format!("curl on {host} printed something that nixdash cannot read: {said}"),
        }
    }

    /// Returns curl's configuration for a round.
    fn config(&self, round: &CurlRun<'_>, mark: &str) -> String {
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
        if round.manner.method == Method::Head {
            lines.push("head".to_owned());
        }
        match round.manner.part {
            AnswerPart::Whole => lines.push(format!("max-filesize = {SIZE_LIMIT}")),
            AnswerPart::Status => {
                lines.push(format!("max-filesize = {SIZE_LIMIT}"));
                // 7.66 and later; how one transfer after the other would be far too slow.
                lines.push("parallel".to_owned());
                lines.push(format!("parallel-max = {}", round.manner.connections));
            }
            AnswerPart::Start => lines.push("range = \"0-0\"".to_owned()),
        }
        let to = if round.manner.part == AnswerPart::Whole { "" } else { "%{stderr}" };
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
fn was_cut(round: &CurlRun<'_>, output: &Output) -> bool {
    let most = round.most_bytes();
    match round.manner.part {
        AnswerPart::Whole => output.stdout.len() >= most,
        AnswerPart::Status => {
            output.stdout.trim().parse::<usize>().is_ok_and(|bytes| bytes >= most)
        }
        AnswerPart::Start => false,
    }
}

/// Puts something in the place of answers that curl did not come to: where too much came, the first
/// of them is too long, and what was to come after it was not asked for.
fn fill(found: Vec<Option<CurlLine>>, urls: &[String], was_cut: bool) -> Vec<CurlLine> {
    let mut is_culprit = was_cut;
    let told = found.into_iter().zip(urls).map(|(told, url)| {
        told.unwrap_or_else(|| {
            let error = if is_culprit {
                RequestError::new(url, &format!("its answer has more than {}", limit_words()), "")
            } else {
                RequestError::setup(url, "curl ended before it asked for this", "")
            };
            is_culprit = false;
            CurlLine { seen: Err(error), redirect: None, peer: None, is_cut: false }
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
