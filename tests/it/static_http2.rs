//! A static cache, written by a real Nix and served by a real nginx with HTTP/2 over TLS, under a
//! private authority. `NIXDASH_NGINX` names nginx, which `tests/run.sh` unpacks.

use crate::eyes::Eyes;
use nixdash::fleet::{ClosurePath, Share, SignatureState, StorePath, TierState};
use nixdash::probe::Closure;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How many paths the cache holds.
const COUNT: usize = 60;

/// A path that it does not hold.
const MISSING: &str = "/nix/store/4xa9xjwdxbpaf7ls3r2c8qvz8221bw0a-b-2.0";

/// What the locked address wants to be told.
const PASSWORD: &str = "canary-secret-5f1d";

/// Writes the cache and all that belongs to it. $1: the folder. $2: how many paths.
const WRITE: &str = include_str!("scripts/static-cache.sh");

/// The server with its folder; ended with the test.
struct Cache {
    nginx: Child,
    dir: tempfile::TempDir,
    /// The addresses: open to everybody, and with a password.
    open: String,
    locked: String,
}

impl Drop for Cache {
    fn drop(&mut self) {
        // SIGTERM, so that its workers end too.
        let pid = self.nginx.id().to_string();
        drop(Command::new("kill").arg(pid).status());
        drop(self.nginx.wait());
    }
}

impl Cache {
    fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o755)).unwrap();
        let mut write = Command::new("sh");
        write.args(["-c", WRITE, "sh"]).arg(dir.path()).arg(COUNT.to_string());
        let output = write.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        std::fs::write(dir.path().join("users"), format!("me:{{PLAIN}}{PASSWORD}\n")).unwrap();
        let [open, locked] = [free_port(), free_port()];
        std::fs::write(dir.path().join("nginx.conf"), config(dir.path(), open, locked)).unwrap();
        let program = std::env::var_os("NIXDASH_NGINX").unwrap_or_else(|| "nginx".into());
        let nginx = Command::new(program)
            .arg("-c")
            .arg(dir.path().join("nginx.conf"))
            .arg("-p")
            .arg(dir.path())
            .stdin(Stdio::null())
            .stderr(std::fs::File::create(dir.path().join("stderr")).unwrap())
            .spawn()
            .unwrap();
        let at = |port: u16| format!("https://127.0.0.1:{port}");
        let cache = Self { nginx, dir, open: at(open), locked: at(locked) };
        let began = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", open)).is_err() {
            let said = std::fs::read_to_string(cache.file("stderr")).unwrap();
            assert!(began.elapsed() < Duration::from_secs(10), "nginx does not start: {said}");
            std::thread::sleep(Duration::from_millis(20));
        }
        cache
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.file(name)).unwrap().trim().to_owned()
    }

    /// Returns the paths that Nix copied.
    fn paths(&self) -> Vec<StorePath> {
        self.text("paths").lines().map(|path| StorePath::parse(path).unwrap()).collect()
    }

    /// Returns eyes on a tier `cache` at an address, with more lines about it.
    fn eyes(&self, url: &str, more: &str) -> Eyes {
        let key = self.text("public");
        Eyes::of(&format!(
            "[[tiers]]\nname = \"cache\"\nkind = \"http\"\nurl = \"{url}\"\n\
             public_key = \"{key}\"\n{more}\n"
        ))
    }

    /// Returns the line that names an authority.
    fn authority(&self, name: &str) -> String {
        format!("ca_file = \"{}\"\n", self.file(name).display())
    }

    /// Returns protocol and connection of all requests that nginx has answered.
    fn answered(&self) -> Vec<String> {
        self.text("access").lines().map(str::to_owned).collect()
    }
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Returns nginx' configuration: one cache at two ports, one of them with a password.
fn config(dir: &Path, open: u16, locked: u16) -> String {
    let dir = dir.display();
    let mut text = format!(
        "daemon off;\npid {dir}/pid;\nerror_log {dir}/error;\nevents {{}}\nhttp {{\n\
         log_format connection '$server_protocol $connection $status';\naccess_log {dir}/access connection;\n\
         ssl_certificate {dir}/cert.pem;\nssl_certificate_key {dir}/key.pem;\nroot {dir}/cache;\n"
    );
    for (n, part) in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].iter().enumerate() {
        let _ = writeln!(text, "{part}_temp_path {dir}/temp-{n};");
    }
    let lock = format!("auth_basic cache;\nauth_basic_user_file {dir}/users;");
    for (port, more) in [(open, ""), (locked, lock.as_str())] {
        let _ = writeln!(text, "server {{\nlisten 127.0.0.1:{port} ssl http2;\n{more}\n}}");
    }
    text + "}\n"
}

#[test]
#[ignore = "needs nginx, which tests/run.sh unpacks, and nix"]
fn a_static_cache_is_proven_and_covered_over_one_connection_of_http2() {
    let cache = Cache::start();
    let eyes = cache.eyes(&cache.open, &cache.authority("ca.pem"));
    let mut paths = cache.paths();
    assert_eq!(paths.len(), COUNT);
    let facts = eyes.probe("cache", &paths[..3]);
    assert_eq!((facts.state, facts.signature), (TierState::Up, SignatureState::Valid), "{facts:?}");
    assert!(facts.proof.as_deref().unwrap().ends_with("signed by static-1"), "{facts:?}");
    assert!(
        facts.nar_proof.as_deref().unwrap().contains("is served (content not checked)"),
        "{facts:?}"
    );
    assert_eq!(facts.priority, None, "Nix writes none");
    assert!(eyes.get("cache", "/nix-cache-info").is_http2);

    paths.push(StorePath::parse(MISSING).unwrap());
    let closure = Closure {
        root: paths[0].clone(),
        paths: paths.iter().map(|path| ClosurePath { path: path.clone(), nar_size: 1 }).collect(),
    };
    let covered = |count: usize| Share { have: count as u64, total: COUNT as u64 + 1 };
    assert_eq!(eyes.coverage(&closure).tiers["cache"].paths, covered(COUNT));
    std::fs::remove_file(cache.file(&format!("cache/{}.narinfo", paths[7].hash()))).unwrap();
    let after = eyes.coverage(&closure);
    assert_eq!(after.tiers["cache"].paths, covered(COUNT - 1));
    let missing: BTreeSet<&StorePath> =
        after.missing["cache"].iter().map(|entry| &entry.path).collect();
    assert_eq!(missing, BTreeSet::from([&paths[7], &paths[COUNT]]));

    let answered = cache.answered();
    assert!(answered.len() > 2 * COUNT, "{}", answered.len());
    let connections: BTreeSet<&str> =
        answered.iter().map(|line| line.rsplit_once(' ').unwrap().0).collect();
    assert_eq!(connections.len(), 1, "{connections:?}");
    assert!(answered[0].starts_with("HTTP/2.0 "), "{}", answered[0]);
}

#[test]
#[ignore = "needs nginx, which tests/run.sh unpacks, and nix"]
fn a_password_of_a_netrc_opens_a_static_cache() {
    let cache = Cache::start();
    let authority = cache.authority("ca.pem");
    let paths = cache.paths();
    let facts = cache.eyes(&cache.locked, &authority).probe("cache", &paths[..1]);
    assert_eq!(facts.state, TierState::Unauthorized, "{facts:?}");
    assert!(facts.error().unwrap().contains("answered 401"), "{facts:?}");
    for (password, state) in [("wrong", TierState::Unauthorized), (PASSWORD, TierState::Up)] {
        let netrc = format!("machine 127.0.0.1 login me password {password}\n");
        std::fs::write(cache.file("netrc"), netrc).unwrap();
        let more = format!("{authority}netrc = {{ file = \"{}\" }}", cache.file("netrc").display());
        let facts = cache.eyes(&cache.locked, &more).probe("cache", &paths[..1]);
        assert_eq!(facts.state, state, "{facts:?}");
        assert!(!format!("{facts:?}").contains(PASSWORD), "{facts:?}");
    }
}

#[test]
#[ignore = "needs nginx, which tests/run.sh unpacks, and nix"]
fn an_authority_that_is_not_known_is_named_with_the_fix() {
    let cache = Cache::start();
    for more in [String::new(), cache.authority("other.pem")] {
        let facts = cache.eyes(&cache.open, &more).probe("cache", &[]);
        assert_eq!(facts.state, TierState::Down, "{facts:?}");
        assert!(facts.error().unwrap().contains("goes into ca_file"), "{facts:?}");
    }
    let facts = cache.eyes(&cache.open, &cache.authority("no-such.pem")).probe("cache", &[]);
    assert!(facts.error().unwrap().contains("no-such.pem"), "{facts:?}");
}
