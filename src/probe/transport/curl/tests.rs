//! What hosts' curl is told, and what is made of what it says.

use super::follow::pin;
use super::reading::{answer, why};
use super::*;
use crate::fleet::KindName;
use crate::probe::server::{EndlessServer, Server};
use crate::probe::transport::RequestTrouble;
use crate::remote::FakeRunner;
use crate::remote::write_program;
use jiff::Timestamp;
use std::io::Write as _;
use std::process::{Command, Stdio};

fn place(runner: &FakeRunner) -> CurlHost<'_> {
    CurlHost { runner, host: "samsung", root: true, netrc: None, authorities: None }
}

static RULES: Rules = Rules::new(CACHE_REQUESTS);

/// Asks for the status of files of a cache.
async fn statuses(
    place: CurlHost<'_>,
    url: &str,
    files: &[String],
) -> Vec<Result<HttpReply, RequestError>> {
    let (tier, budget) =
        (Tier::new("x", KindName::Http, url), RequestBudget::with_clock(Timestamp::now));
    let curl = HostCurl::new(place, &budget);
    let ask =
        |file: &String| HttpRequest::get(format!("{url}/{file}")).part(AnswerPart::Status).follow();
    curl.send_all(&tier, &RULES, files.iter().map(ask).collect(), 25).collect().await
}

/// Makes one request.
async fn send(place: CurlHost<'_>, url: &str, ask: HttpRequest) -> Result<HttpReply, RequestError> {
    let (tier, budget) =
        (Tier::new("x", KindName::Http, url), RequestBudget::with_clock(Timestamp::now));
    HostCurl::new(place, &budget).send(&tier, &RULES, ask).await
}

#[tokio::test]
async fn the_rules_bind_the_curl_of_a_host_too() {
    let runner = FakeRunner::new(|_, _| Ok(Output::default()));
    for ask in [
        HttpRequest::get("http://c/col/delete?collection=nix"),
        HttpRequest::head("http://c/x.narinfo"),
        HttpRequest::post_json("http://c/x.narinfo", &1),
    ] {
        let error = send(place(&runner), "http://c", ask).await.unwrap_err();
        assert!(error.hint.contains("mistake in nixdash"), "{error}");
    }
    assert_eq!(runner.asked().len(), 0, "the host is not even asked");
}

#[test]
fn a_bucket_and_a_web_address_of_the_same_cache_are_the_same() {
    let base = |text: &str| CacheAddress::parse(text).unwrap();
    let bucket = base("s3://nix-cache?endpoint=http://10.0.0.5:8333&region=eu&profile=weed");
    assert_eq!(bucket.url, "http://10.0.0.5:8333/nix-cache");
    assert_eq!(bucket.sign, Some(("weed".to_owned(), "eu".to_owned())));
    assert_eq!(bucket.identity(), base("http://10.0.0.5:8333/nix-cache/?priority=3").identity());
    assert_eq!(
        base("https://Cache.nixos.org/").identity(),
        base("https://cache.nixos.org:443").identity()
    );
    assert_ne!(
        base("s3://a?endpoint=one.example").identity(),
        base("s3://a?endpoint=two.example").identity()
    );
    assert_eq!(CacheAddress::parse("daemon"), None);
}

#[tokio::test]
async fn addresses_go_to_standard_input_and_answers_come_back_in_order() {
    let runner = FakeRunner::new(|_, script| {
        let config = String::from_utf8(script.stdin.clone()).unwrap();
        let mark = config.split("write-out = \"\\n").nth(1).unwrap();
        let mark = mark.split(' ').next().unwrap().to_owned();
        let stdout = format!(
            "StoreDir: /nix/store\n\n{mark} 200 0.010 0.020 0.030 1 0 127.0.0.1 http://c/nix-cache-info  \n\
             \n{mark} 000 0.000 0.000 0.000 0 7  http://c/x.narinfo  Connection refused\n"
        );
        Ok(Output { stdout, ..Output::default() })
    });
    let base = CacheAddress::parse("http://c").unwrap();
    let files = ["nix-cache-info".to_owned(), "x.narinfo".to_owned()];
    let seen = place(&runner).get(&base, &files).await.unwrap();
    let reply = seen[0].as_ref().unwrap();
    assert_eq!((reply.status, reply.text().as_str()), (200, "StoreDir: /nix/store\n"));
    assert_eq!(reply.first_byte, Duration::from_millis(10));
    assert_eq!(seen[0].as_ref().unwrap().connect, Some(Duration::from_millis(20)));
    assert!(matches!(&seen[1], Err(error) if error.cause.contains("nothing listens")));
    let (_, script) = &runner.asked()[0];
    assert!(script.root && script.args.iter().all(|arg| !arg.contains("http")));
    let config = String::from_utf8(script.stdin.clone()).unwrap();
    assert_eq!(script.args.last().map(String::as_str), Some("/etc/nix/netrc"));
    assert!(config.contains("proto = \"=http,https\"\n"), "{config}");
    assert!(!config.lines().any(|line| line.starts_with("location")), "{config}");
    assert!(config.contains("url = \"http://c/nix-cache-info\"\n"), "{config}");
}

#[tokio::test]
async fn a_host_without_curl_says_so() {
    let runner = FakeRunner::new(|_, _| Ok(Output { code: 127, ..Output::default() }));
    let base = CacheAddress::parse("http://c").unwrap();
    let error = place(&runner).get(&base, &["x".to_owned()]).await.unwrap_err();
    assert!(error.contains("no curl"), "{error}");
}

#[test]
fn nothing_breaks_out_of_a_setting() {
    assert_eq!(
        setting("url", "http://a\"\nuser = \"x\\"),
        "url = \"http://a\\\"user = \\\"x\\\\\""
    );
}

/// Runs scripts on this machine, with a folder of commands before all others.
fn here(commands: Option<std::path::PathBuf>) -> FakeRunner {
    FakeRunner::new(move |_, script| {
        let path = std::env::var("PATH").unwrap_or_default();
        let first = commands.as_ref().map(|folder| format!("{}:", folder.display()));
        let mut child = Command::new("/bin/sh")
            .arg("-c")
            .arg(script.text())
            .env("PATH", first.unwrap_or_default() + &path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A curl that refuses its options reads none.
        drop(child.stdin.take().unwrap().write_all(&script.stdin));
        let output = child.wait_with_output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        let (stdout, stderr) = (text(output.stdout), text(output.stderr));
        Ok(Output { code: output.status.code().unwrap_or(-1), stdout, stderr })
    })
}

/// Makes a folder with a curl that does what a script says.
fn fake_curl(script: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("curl");
    write_program(&file, &format!("#!/bin/sh\n{script}"));
    folder
}

/// Answers as curl 8.20 does: a netrc-file that is not there is refused, whatever is optional.
const STRICT: &str = r#"
config=$(cat)
netrc=$(printf '%s\n' "$config" | sed -n 's/^netrc-file = "\(.*\)"$/\1/p')
if [ -n "$netrc" ] && ! [ -e "$netrc" ]; then
	echo "curl: (26) netrc file $netrc missing" >&2
	exit 26
fi
mark=$(printf '%s\n' "$config" | sed -n 's/^write-out = "\\n\([0-9a-f]*\) .*/\1/p')
printf 'StoreDir: /nix/store\n\n%s 200 0.1 0 0.2 1 0 127.0.0.1 http://c/nix-cache-info  \n' "$mark"
"#;

#[tokio::test]
async fn a_netrc_that_is_not_there_keeps_no_curl_from_asking() {
    let folder = fake_curl(STRICT);
    let runner = here(Some(folder.path().to_owned()));
    let base = CacheAddress::parse("http://c").unwrap();
    let files = ["nix-cache-info".to_owned()];
    let missing = folder.path().join("netrc");
    let missing = CurlHost { netrc: missing.to_str(), ..place(&runner) };
    let seen = missing.get(&base, &files).await.unwrap();
    assert_eq!(seen[0].as_ref().unwrap().text(), "StoreDir: /nix/store\n");
    // One that is there is given to it, whatever characters it has.
    let path = folder.path().join("net\"rc");
    std::fs::write(&path, "machine c login a password b\n").unwrap();
    let there = CurlHost { netrc: path.to_str(), ..place(&runner) };
    let error = there.get(&base, &files).await.unwrap_err();
    assert!(error.contains("net\\\"rc missing"), "{error}: the fake one does not unquote");
}

#[tokio::test]
async fn a_curl_that_refuses_its_options_says_nothing_of_the_cache() {
    let base = CacheAddress::parse("http://c").unwrap();
    let files = ["nix-cache-info".to_owned()];
    for (code, said) in [
        (2, "refuses the options"),
        (26, "could not read a file"),
        (27, "no memory"),
        (43, "refuses the options"),
        (48, "refuses the options"),
    ] {
        let folder =
            fake_curl(&format!("echo 'curl: option --proto: is badly used' >&2; exit {code}"));
        let runner = here(Some(folder.path().to_owned()));
        let error = place(&runner).get(&base, &files).await.unwrap_err();
        assert!(error.contains(said) && error.contains("--proto"), "{code}: {error}");
        let error = statuses(place(&runner), "http://c", &files).await.remove(0).unwrap_err();
        assert!(error.cause.contains(said), "{code}: {error}");
        // The same, told for each address.
        let error = why("http://c", &code.to_string(), "");
        assert_eq!(error.trouble, RequestTrouble::Setup, "{code}: {error}");
        assert!(error.cause.contains(said), "{code}: {error}");
    }
    assert_eq!(why("http://c", "7", "").trouble, RequestTrouble::NoAnswer);
    let error = why("http://c", "77", "");
    assert_eq!(error.trouble, RequestTrouble::Setup);
    assert!(error.cause.contains("ssl-cert-file"), "{error}");
}

/// Returns a runner with a real curl, when this machine has one.
fn real() -> Option<FakeRunner> {
    Command::new("curl").arg("--version").output().is_ok().then(|| here(None))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_without_an_end_is_cut_whatever_the_curl() {
    let Some(runner) = real() else { return };
    let (server, began) = (EndlessServer::start().await, std::time::Instant::now());
    let base = CacheAddress::parse(&server.url).unwrap();
    let seen = place(&runner).get(&base, &["a.narinfo".to_owned(), "b.narinfo".to_owned()]).await;
    let seen = seen.unwrap();
    assert!(matches!(&seen[0], Err(error) if error.cause.contains("1048 kB")), "{seen:?}");
    let files: Vec<String> = (0..50).map(|file| format!("{file}.narinfo")).collect();
    let seen = statuses(place(&runner), &server.url, &files).await;
    assert!(seen.iter().all(Result::is_err), "{seen:?}");
    let nar = HttpRequest::get(format!("{}/nar/x", server.url)).part(AnswerPart::Start);
    assert_eq!(send(place(&runner), &server.url, nar).await.unwrap().body.len(), 1);
    // What is on its way in buffers counts too.
    assert!(server.sent() < 400 << 20, "{} bytes", server.sent());
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_is_followed_from_a_host_only_where_it_may_be_and_without_its_netrc() {
    let Some(runner) = real() else { return };
    let folder = tempfile::tempdir().unwrap();
    let netrc = folder.path().join("netrc");
    std::fs::write(&netrc, "machine 127.0.0.1 login me password hunter2\n").unwrap();
    let place = CurlHost { netrc: netrc.to_str(), ..place(&runner) };
    let mirror =
        Server::start(&[("/x.narinfo", 200, "there"), ("/col/delete?collection=nix", 200, "")])
            .await;
    let server = Server::start(&[
        ("/a/x.narinfo", 302, &format!("{}/x.narinfo", mirror.url)),
        ("/b/x.narinfo", 302, &format!("{}/col/delete?collection=nix", mirror.url)),
        ("/c/x.narinfo", 302, "gopher://127.0.0.1:70/1x.narinfo"),
        ("/d/x.narinfo", 302, "/d/x.narinfo"),
        ("/e/x.narinfo", 200, "here"),
    ])
    .await;
    let base = CacheAddress::parse(&server.url).unwrap();
    let files: Vec<String> =
        ["a", "b", "c", "d", "e"].iter().map(|d| format!("{d}/x.narinfo")).collect();
    let seen = place.get(&base, &files).await.unwrap();
    let text = |seen: &Result<HttpReply, RequestError>| seen.as_ref().ok().map(HttpReply::text);
    assert_eq!(
        (text(&seen[0]).as_deref(), text(&seen[4]).as_deref()),
        (Some("there"), Some("here"))
    );
    let fault = |seen: &Result<HttpReply, RequestError>| seen.as_ref().unwrap_err().cause.clone();
    assert!(fault(&seen[1]).contains("/col/delete, where nixdash does not follow"), "{seen:?}");
    assert!(fault(&seen[2]).contains("neither http nor https"), "{seen:?}");
    assert!(fault(&seen[3]).contains("more than three times"), "{seen:?}");
    assert_eq!((mirror.asked(), mirror.authorized().len()), (vec!["/x.narinfo".to_owned()], 0));
    assert_eq!(server.authorized().len(), 5, "and the host's own address gets it, once each");
    let statuses = statuses(place, &server.url, &files[..2]).await;
    assert_eq!(statuses[0].as_ref().unwrap().status, 200);
    assert!(statuses[1].is_err());
}

#[test]
fn redirects_to_something_nearer_are_refused_by_address_and_by_name() {
    let told = |peer: &str, to: &str| {
        let seen = answer("http://c", ["302", "0.1", "0", "0.2", "1", "0"], "", "");
        CurlLine { seen, redirect: Some(to.to_owned()), peer: peer.parse().ok(), is_cut: false }
    };
    let mut all = [
        told("1.1.1.1", "http://127.0.0.1:9333/x.narinfo"),
        told("1.1.1.1", "http://169.254.169.254/x.narinfo"),
        told("", "http://10.0.0.1/x.narinfo"),
        told("10.0.0.1", "http://10.0.0.2/x.narinfo"),
        told("1.1.1.1", "http://mirror.example/x.narinfo"),
    ];
    let urls = vec!["http://c/x.narinfo".to_owned(); all.len()];
    let (declared, method, part) = (CACHE_REQUESTS, Method::Get, AnswerPart::Whole);
    let manner = CurlManner { declared, method, part, connections: 1 };
    let hops = hops(&manner, &urls, &mut all);
    assert_eq!(hops.iter().map(|hop| hop.place).collect::<Vec<_>>(), [3, 4]);
    let known = |address: &[&str]| {
        let found = address.iter().map(|text| text.parse().unwrap()).collect();
        std::collections::BTreeMap::from([("mirror.example".to_owned(), found)])
    };
    let pinned = pin(&hops[1], &known(&["127.0.0.1", "1.1.1.1", "2606:4700::1111"]));
    assert_eq!(pinned.unwrap().unwrap(), "mirror.example:80:1.1.1.1,[2606:4700::1111]");
    assert!(pin(&hops[1], &known(&["192.168.0.1"])).unwrap_err().contains("private"));
    assert!(pin(&hops[1], &known(&[])).unwrap_err().contains("does not resolve"));
}

#[test]
fn a_substituter_that_is_no_http_is_never_given_to_curl() {
    for text in
        ["s3://b?scheme=gopher&endpoint=127.0.0.1:70", "s3://b?endpoint=file:///etc", "ftp://c"]
    {
        assert_eq!(CacheAddress::parse(text), None, "{text}");
    }
}
