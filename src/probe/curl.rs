//! Asks a cache from one of the hosts: what this machine sees is not what a laptop sees.
//!
//! Only curl is used there, never Nix: Nix writes a `nix-cache-info` where it finds none, and
//! remembers what a cache did not have. Addresses go to curl's standard input, never into a list of
//! processes; credentials are the host's own (root's netrc, root's S3 keys) and stay there.

use crate::fleet::{printable_line, redact};
use crate::probe::clock::chance;
use crate::probe::web::Reply;
use crate::remote::{Hands, Script};
use std::collections::HashMap;
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

/// The file that Nix reads credentials from, where its settings name no other.
const NETRC: &str = "/etc/nix/netrc";

/// The hash of an empty body, which S3 wants to be told.
const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// A host to ask from, as its Nix is set up.
pub(super) struct Place<'a> {
    pub(super) hands: &'a dyn Hands,
    pub(super) host: &'a str,
    /// Whether root can be had there.
    pub(super) root: bool,
    /// `netrc-file` of its settings.
    pub(super) netrc: Option<&'a str>,
    /// `ssl-cert-file` of its settings.
    pub(super) authorities: Option<&'a str>,
}

/// A cache as a substituter names it: over HTTP, or a bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Base {
    /// The address that files are below, without a trailing slash.
    pub(super) url: String,
    /// Profile and region to sign requests with.
    sign: Option<(String, String)>,
}

/// What curl found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    /// The answer; none where there was none.
    pub(super) reply: Option<Reply>,
    /// Time to connect, TLS included; none on a connection that was open.
    pub(super) connect: Option<Duration>,
    /// Why there was no answer, printable.
    pub(super) fault: Option<String>,
}

impl Seen {
    /// Returns what a good answer is of which not one byte came: a server that sends as it reads
    /// says so before it knows whether the file is there.
    fn without_a_byte(self) -> Self {
        match self.reply {
            Some(Reply { status: status @ (200 | 206), .. }) => Self::fault(nothing_came(status)),
            Some(_) | None => self,
        }
    }

    /// Makes what there is when there was no answer.
    pub(super) fn fault(fault: String) -> Self {
        Self { reply: None, connect: None, fault: Some(fault) }
    }
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

impl Base {
    /// Reads a substituter's address: `http://…`, `https://…`, or `s3://BUCKET?endpoint=…`.
    pub(super) fn parse(substituter: &str) -> Option<Self> {
        let (bare, query) = substituter.split_once('?').unwrap_or((substituter, ""));
        let bare = bare.trim_end_matches('/');
        if let Some(bucket) = bare.strip_prefix("s3://") {
            let parameters: HashMap<&str, &str> =
                query.split('&').filter_map(|pair| pair.split_once('=')).collect();
            let get = |name: &str| parameters.get(name).copied().filter(|text| !text.is_empty());
            let region = get("region").unwrap_or("us-east-1");
            let endpoint = get("endpoint").unwrap_or("s3.amazonaws.com").trim_end_matches('/');
            let scheme = get("scheme").unwrap_or("https");
            let endpoint = endpoint.replace("%3A", ":").replace("%2F", "/");
            let endpoint =
                if endpoint.contains("://") { endpoint } else { format!("{scheme}://{endpoint}") };
            let profile = get("profile").unwrap_or("default");
            return Some(Self {
                url: format!("{endpoint}/{bucket}"),
                sign: Some((profile.to_owned(), region.to_owned())),
            });
        }
        let is_web = bare.starts_with("http://") || bare.starts_with("https://");
        is_web.then(|| Self { url: bare.to_owned(), sign: None })
    }

    /// Returns scheme, host, port and path in one way of writing: what makes two caches the same.
    pub(super) fn identity(&self) -> String {
        match reqwest::Url::parse(&self.url) {
            Ok(url) => {
                let host = url.host_str().unwrap_or_default().to_ascii_lowercase();
                let port = url.port_or_known_default().unwrap_or(0);
                let path = url.path().trim_end_matches('/');
                format!("{}://{host}:{port}{path}", url.scheme())
            }
            Err(_) => self.url.clone(),
        }
    }
}

impl Place<'_> {
    /// Gets files of a cache, one after the other on one connection; one answer per file.
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
        let mark = format!("{:013x}", (chance() * 4e15) as u64);
        let config = self.config(base, files, want, connections, &mark);
        let (profile, region) = base.sign.clone().unwrap_or_default();
        let count = u32::try_from(files.len()).unwrap_or(u32::MAX);
        let mut script = Script::new(CURL)
            .arg(profile)
            .arg(region)
            .arg(if want == Want::FirstByte { "first-byte" } else { "" })
            .stdin(config)
            .limit(SCRIPT_LIMIT + STEP.saturating_mul(count));
        script.root = self.root;
        let output = self.hands.run(self.host, &script).await.map_err(|error| error.to_string())?;
        if output.code == 127 {
            return Err(format!("{} has no curl to ask with; add it to its system", self.host));
        }
        let said =
            if want == Want::FirstByte { output.stderr.as_str() } else { output.stdout.as_str() };
        let seen = read(said, &mark, base, files);
        if seen.iter().all(Option::is_none) {
            return Err(format!(
                "curl on {} said nothing that makes sense: {}",
                self.host,
                redact(&output.complaint())
            ));
        }
        let none = || Seen::fault("curl ended early".to_owned());
        let seen = seen.into_iter().map(|seen| seen.unwrap_or_else(none));
        // The script prints how many bytes came.
        if want == Want::FirstByte && output.stdout.trim() == "0" {
            return Ok(seen.map(Seen::without_a_byte).collect());
        }
        Ok(seen.collect())
    }

    /// Returns curl's configuration for files of a cache.
    fn config(
        &self,
        base: &Base,
        files: &[String],
        want: Want,
        connections: usize,
        mark: &str,
    ) -> String {
        let mut lines = vec![
            "silent".to_owned(),
            "globoff".to_owned(),
            "location".to_owned(),
            "max-redirs = 3".to_owned(),
            "proto-redir = \"=http,https\"".to_owned(),
            format!("connect-timeout = {CONNECT_LIMIT}"),
            format!("max-time = {REQUEST_LIMIT}"),
            setting("user-agent", concat!("nixdash/", env!("CARGO_PKG_VERSION"))),
        ];
        if base.sign.is_some() {
            lines.push(setting("header", &format!("x-amz-content-sha256: {EMPTY}")));
        } else {
            lines.push("netrc-optional".to_owned());
            lines.push(setting("netrc-file", self.netrc.unwrap_or(NETRC)));
        }
        if let Some(file) = self.authorities.filter(|file| !file.is_empty()) {
            lines.push(setting("cacert", file));
        }
        match want {
            Want::Whole => {
                lines.push(format!("max-filesize = {}", crate::nix::narinfo::SIZE_LIMIT));
            }
            Want::Status => {
                // 7.66 and later; how one transfer after the other would be far too slow.
                lines.push("parallel".to_owned());
                lines.push(format!("parallel-max = {connections}"));
            }
            Want::FirstByte => lines.push("range = \"0-0\"".to_owned()),
        }
        let to = if want == Want::FirstByte { "%{stderr}" } else { "" };
        lines.push(format!(
            "write-out = \"{to}\\n{mark} %{{http_code}} %{{time_connect}} \
             %{{time_appconnect}} %{{time_starttransfer}} %{{num_connects}} %{{exitcode}} %{{url}} %{{errormsg}}\\n\""
        ));
        for file in files {
            let url =
                if file.contains("://") { file.clone() } else { format!("{}/{file}", base.url) };
            lines.push(setting("url", &url));
            if want == Want::Status {
                lines.push("output = \"/dev/null\"".to_owned());
            }
        }
        lines.push(String::new());
        lines.join("\n")
    }
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

/// Reads what curl printed: each answer, and a line that begins with the mark after it. Returns
/// one answer per file, none for a file that curl did not come to.
fn read(text: &str, mark: &str, base: &Base, files: &[String]) -> Vec<Option<Seen>> {
    let mut places: HashMap<String, usize> = HashMap::new();
    for (place, file) in files.iter().enumerate() {
        let url = if file.contains("://") { file.clone() } else { format!("{}/{file}", base.url) };
        places.insert(url, place);
    }
    let mut seen: Vec<Option<Seen>> = vec![None; files.len()];
    let mut rest = text;
    let begin = format!("\n{mark} ");
    while let Some((body, after)) = rest.split_once(&begin) {
        let (line, next) = after.split_once('\n').unwrap_or((after, ""));
        rest = next;
        let words: Vec<&str> = line.splitn(8, ' ').collect();
        let [status, connect, secured, first_byte, connects, exit, url, message] = words[..] else {
            continue;
        };
        let Some(place) = places.get(url) else { continue };
        seen[*place] =
            Some(judge([status, connect, secured, first_byte, connects, exit], message, body));
    }
    seen
}

/// Says that a good answer had nothing in it.
pub(super) fn nothing_came(status: u16) -> String {
    format!("answered {status} and then nothing")
}

/// Says what one line of figures means.
fn judge(figures: [&str; 6], message: &str, body: &str) -> Seen {
    let [status, connect, secured, first_byte, connects, exit] = figures;
    let time = |text: &str| {
        text.parse().ok().and_then(|s| Duration::try_from_secs_f64(s).ok()).unwrap_or_default()
    };
    // Without TLS, and on a connection that was open, one or both are zero.
    let (ready, first_byte) = (time(connect).max(time(secured)), time(first_byte));
    let connect = (connects != "0" && !ready.is_zero()).then_some(ready);
    match status.parse::<u16>() {
        Ok(status) if status != 0 => Seen {
            reply: Some(Reply {
                status,
                headers: HashMap::new(),
                body: body.as_bytes().to_vec(),
                first_byte: first_byte.saturating_sub(ready),
                connect,
                is_http2: false,
            }),
            connect,
            fault: None,
        },
        Ok(_) | Err(_) => Seen::fault(why(exit, message)),
    }
}

/// Says why curl got no answer.
fn why(exit: &str, message: &str) -> String {
    let message = redact(&printable_line(message));
    let hint = match exit {
        "5" | "97" => "the proxy on the way does not let it through",
        "6" => "its name does not resolve there",
        "7" => "nothing listens there, or a firewall is between",
        "28" => "no answer in time: asleep, or a firewall between?",
        "35" | "60" | "77" => "its certificate is not trusted there",
        _ => "curl could not get an answer",
    };
    if message.is_empty() { hint.to_owned() } else { format!("{hint} ({message})") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remote::{FakeHands, Output};

    fn place(hands: &FakeHands) -> Place<'_> {
        Place { hands, host: "samsung", root: true, netrc: None, authorities: None }
    }

    #[test]
    fn a_good_answer_without_a_byte_is_none() {
        let seen = |status| judge([status, "0.1", "0", "0.2", "1", "18"], "transfer closed", "");
        for status in ["200", "206"] {
            let fault = seen(status).without_a_byte().fault.unwrap();
            assert_eq!(fault, format!("answered {status} and then nothing"));
        }
        assert_eq!(seen("404").without_a_byte().reply.unwrap().status, 404);
    }

    #[test]
    fn a_bucket_and_a_web_address_of_the_same_cache_are_the_same() {
        let base = |text: &str| Base::parse(text).unwrap();
        let bucket = base("s3://nix-cache?endpoint=http://10.0.0.5:8333&region=eu&profile=weed");
        assert_eq!(bucket.url, "http://10.0.0.5:8333/nix-cache");
        assert_eq!(bucket.sign, Some(("weed".to_owned(), "eu".to_owned())));
        assert_eq!(
            bucket.identity(),
            base("http://10.0.0.5:8333/nix-cache/?priority=3").identity()
        );
        assert_eq!(
            base("https://Cache.nixos.org/").identity(),
            base("https://cache.nixos.org:443").identity()
        );
        assert_ne!(
            base("s3://a?endpoint=one.example").identity(),
            base("s3://a?endpoint=two.example").identity()
        );
        assert_eq!(Base::parse("daemon"), None);
    }

    #[tokio::test]
    async fn addresses_go_to_standard_input_and_answers_come_back_in_order() {
        let hands = FakeHands::new(|_, script| {
            let config = String::from_utf8(script.stdin.clone()).unwrap();
            let mark = config.split("write-out = \"\\n").nth(1).unwrap();
            let mark = mark.split(' ').next().unwrap().to_owned();
            let stdout = format!(
                "StoreDir: /nix/store\n\n{mark} 200 0.010 0.020 0.030 1 0 http://c/nix-cache-info \n\
                 \n{mark} 000 0.000 0.000 0.000 0 7 http://c/x.narinfo Connection refused\n"
            );
            Ok(Output { stdout, ..Output::default() })
        });
        let base = Base::parse("http://c").unwrap();
        let files = ["nix-cache-info".to_owned(), "x.narinfo".to_owned()];
        let seen = place(&hands).get(&base, &files).await.unwrap();
        let reply = seen[0].reply.as_ref().unwrap();
        assert_eq!((reply.status, reply.text().as_str()), (200, "StoreDir: /nix/store\n"));
        assert_eq!(reply.first_byte, Duration::from_millis(10));
        assert_eq!(seen[0].connect, Some(Duration::from_millis(20)));
        assert!(seen[1].fault.as_deref().unwrap().contains("nothing listens"), "{:?}", seen[1]);
        let (_, script) = &hands.asked()[0];
        assert!(script.root && script.args.iter().all(|arg| !arg.contains("http")));
        let config = String::from_utf8(script.stdin.clone()).unwrap();
        assert!(config.contains("netrc-file = \"/etc/nix/netrc\"\n"), "{config}");
        assert!(config.contains("url = \"http://c/nix-cache-info\"\n"), "{config}");
    }

    #[tokio::test]
    async fn a_host_without_curl_says_so() {
        let hands = FakeHands::new(|_, _| Ok(Output { code: 127, ..Output::default() }));
        let base = Base::parse("http://c").unwrap();
        let error = place(&hands).get(&base, &["x".to_owned()]).await.unwrap_err();
        assert!(error.contains("no curl"), "{error}");
    }

    #[test]
    fn nothing_breaks_out_of_a_setting() {
        assert_eq!(
            setting("url", "http://a\"\nuser = \"x\\"),
            "url = \"http://a\\\"user = \\\"x\\\\\""
        );
    }
}
