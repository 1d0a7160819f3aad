//! A secret of `hosts.toml` appears in no output of any command, and in nothing that is kept.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};

/// What must not appear anywhere.
const CANARY: &str = "canary-1f0c2b7e";

/// Answers every request with what was asked, headers and all, as a badly made server would.
fn echo(mut stream: TcpStream) {
    let mut bytes = Vec::new();
    let mut chunk = [0; 4096];
    while !bytes.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut chunk) {
            Ok(count) if count > 0 => bytes.extend_from_slice(&chunk[..count]),
            _ => return,
        }
    }
    let body = String::from_utf8_lossy(&bytes).into_owned();
    assert!(body.contains(CANARY), "the secret was sent: {body}");
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

#[test]
fn a_token_is_sent_to_its_tier_and_shown_nowhere() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || listener.incoming().flatten().for_each(echo));
    let dir = tempfile::tempdir().unwrap();
    let config = format!(
        "[fleet]\nflake = \"/nonexistent\"\nbuilder = \"gone\"\n\
         [hosts.gone]\naddresses = [\"root@127.0.0.1:1\"]\n\
         [[tiers]]\nname = \"own\"\nkind = \"nix-serve\"\nurl = \"{url}\"\nhost = \"gone\"\n\
         public_key = \"p620-1:NiNfYW82Gw9o49ng/jhUKy3RmtBlesa/LQ0HuCcuSeU=\"\n\
         token = {{ env = \"CANARY\" }}\n"
    );
    fs::write(dir.path().join("hosts.toml"), config).unwrap();
    let state = dir.path().join("state");
    let mut all = String::new();
    for args in [
        &["config", "check"][..],
        &["status"],
        &["status", "--json"],
        &["status", "--line"],
        &["caches", "--json"],
        &["deploy", "gone", "--yes", "--json"],
        &["deploy", "gone", "--yes"],
        &["history", "--json"],
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_nixdash"))
            .args(args)
            .current_dir(dir.path())
            .env("XDG_STATE_HOME", &state)
            .env("CANARY", CANARY)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        all.push_str(&String::from_utf8_lossy(&output.stdout));
        all.push_str(&String::from_utf8_lossy(&output.stderr));
    }
    assert!(all.contains("500"), "the tier was asked: {all}");
    kept(&state, &mut all);
    assert!(!all.contains(CANARY), "{all}");
}
