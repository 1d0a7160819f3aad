//! A secret of `hosts.toml` appears in no output of any command, and in nothing that is kept.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// What must not appear anywhere.
const CANARY: &str = "canary-1f0c2b7e";

/// Answers every request with what was asked, headers and all, as a badly made server would.
fn echo(mut stream: TcpStream, sent: &AtomicUsize) {
    let mut bytes = Vec::new();
    let mut chunk = [0; 4096];
    while !bytes.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut chunk) {
            Ok(count) if count > 0 => bytes.extend_from_slice(&chunk[..count]),
            _ => return,
        }
    }
    let body = String::from_utf8_lossy(&bytes).into_owned();
    if body.contains(CANARY) {
        sent.fetch_add(1, Ordering::Relaxed);
    }
    let answer = format!(
        "HTTP/1.1 500 Oops\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    // A client that has seen enough hangs up.
    drop(stream.write_all(answer.as_bytes()));
}

/// Returns everything below a folder, as text.
fn kept(dir: &Path, text: &mut String) {
    for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            kept(&path, text);
        } else {
            text.push_str(&String::from_utf8_lossy(&fs::read(&path).unwrap()));
        }
    }
}

/// A fleet whose host is gone, with a tier of every kind that takes a secret.
fn config(url: &str) -> String {
    const KEY: &str = "p620-1:NiNfYW82Gw9o49ng/jhUKy3RmtBlesa/LQ0HuCcuSeU=";
    let token = "token = { env = \"CANARY\" }\n";
    let keys = "access_key = { env = \"ACCESS\" }\nsecret_key = { env = \"CANARY\" }\n";
    let mut text = "[fleet]\nflake = \"/nonexistent\"\nbuilder = \"gone\"\n\
                    [hosts.gone]\naddresses = [\"root@127.0.0.1:1\"]\n"
        .to_owned();
    let mut add = |name: &str, kind: &str, rest: &str| {
        write!(text, "[[tiers]]\nname = \"{name}\"\nkind = \"{kind}\"\n{rest}").unwrap();
    };
    let at =
        |path: &str, more: &str| format!("url = \"{url}{path}\"\npublic_key = \"{KEY}\"\n{more}");
    add("own", "nix-serve", &format!("{}host = \"gone\"\n", at("", token)));
    // Each at an address of its own: two tiers are not the same one.
    for kind in ["harmonia", "http", "cachix", "ncps"] {
        add(kind, kind, &at(&format!("/{kind}"), token));
    }
    add("attic", "attic", &at("/fleet", token));
    let password = "user = \"me\"\npassword = { env = \"CANARY\" }\n";
    add("basic", "http", &at("", password));
    add("netrc", "http", &at("", "netrc = { file = \"netrc\" }\n"));
    add("github", "github-actions", &format!("repo = \"me/x\"\nurl = \"{url}\"\n{token}"));
    let bucket = format!("url = \"s3://b?endpoint={url}\"\n{keys}");
    add("bucket", "s3", &bucket);
    let weed = format!("masters = [\"{url}\"]\ns3 = \"{url}/b\"\n{keys}");
    add("weed", "seaweedfs", &weed);
    text
}

/// Lets the exporter measure everything, and returns what it says.
fn exported(mut nixdash: Command) -> String {
    let mut child = nixdash
        .args(["exporter", "--listen", "127.0.0.1:0"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("serving http://") {
        line.clear();
        assert!(said.read_line(&mut line).unwrap() > 0, "the exporter ended");
    }
    let address = line.trim().rsplit_once("http://").unwrap().1.trim_end_matches("/metrics");
    let mut metrics = String::new();
    let began = Instant::now();
    while metrics.matches("state=\"unknown\"} 1").count() > 0 || metrics.is_empty() {
        assert!(began.elapsed() < Duration::from_secs(60), "tiers are not asked: {metrics}");
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
        metrics.clear();
        stream.read_to_string(&mut metrics).unwrap();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    said.read_to_string(&mut line).unwrap();
    metrics + &line
}

#[test]
fn secrets_are_sent_to_their_tiers_and_shown_nowhere() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let sent = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&sent);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let counted = Arc::clone(&counted);
            std::thread::spawn(move || echo(stream, &counted));
        }
    });
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("hosts.toml"), config(&url)).unwrap();
    let netrc = format!("machine 127.0.0.1 login me password {CANARY}\n");
    fs::write(dir.path().join("netrc"), netrc).unwrap();
    let state = dir.path().join("state");
    let nixdash = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_nixdash"));
        command
            .current_dir(dir.path())
            .env("NIXDASH_HOSTS", "hosts.toml")
            .env("XDG_STATE_HOME", &state)
            .env("CANARY", CANARY)
            .env("ACCESS", "access-key")
            .stdin(Stdio::null());
        command
    };
    let mut all = String::new();
    for args in [
        &["config", "check"][..],
        &["status"],
        &["status", "--json"],
        &["status", "--line"],
        &["caches"],
        &["caches", "--json"],
        &["caches", "--next", "gone", "--json"],
        &["caches", "--deep", "--json"],
        &["deploy", "gone", "--yes", "--json"],
        &["deploy", "gone", "--yes"],
        &["build", "gone"],
        &["history", "--json"],
    ] {
        let output = nixdash().args(args).output().unwrap();
        all.push_str(&String::from_utf8_lossy(&output.stdout));
        all.push_str(&String::from_utf8_lossy(&output.stderr));
    }
    all.push_str(&exported(nixdash()));
    assert!(all.contains("500"), "tiers were asked: {all}");
    // Basic authentication is encoded, and S3's secret only signs.
    assert!(sent.load(Ordering::Relaxed) >= 7, "tokens were sent");
    kept(&state, &mut all);
    assert!(!all.contains(CANARY), "{all}");
    assert!(!all.contains(&STANDARD.encode(format!("me:{CANARY}"))), "{all}");
}
