//! Buckets on moto, a stand-in for S3 that many projects test against (`moto[server]` of Python's
//! package index).
//! `NIXDASH_MOTO` names its `moto_server`; `tests/run.sh` installs it.

use crate::eyes::{Eyes, detail};
use nixdash::fleet::{StorePath, TierState};
use std::fmt::Write as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const HASH: &str = "p21fy4sc5b87h3ma8y0mbiph36v5yfk7";
const NARINFO: &str = "StorePath: /nix/store/p21fy4sc5b87h3ma8y0mbiph36v5yfk7-a-1.0\n\
    URL: nar/x.nar.xz\nCompression: xz\n\
    NarHash: sha256:0p3l2z3riilylr2rxb1aq2blxdfxg55wbgp4gxkns93srbr4bwyq\n\
    NarSize: 120\nReferences: \n\
    Sig: test-1:kSf2Du9hukyeeNYSa2bKdTH8PrXtZddli5mvfdYfaNnED+dN+qtmdEsnA9OuiKt+MwOhE5K71hLSbyqDAdWeAg==\n";

/// Without it curl sends a form, and moto keeps nothing of one.
const PLAIN: &str = "content-type: application/octet-stream";

/// A running moto; ended with the test.
struct Moto {
    child: Child,
    url: String,
}

impl Drop for Moto {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Moto {
    fn start() -> Self {
        let program = std::env::var_os("NIXDASH_MOTO").expect("NIXDASH_MOTO names moto_server");
        let port = {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            listener.local_addr().unwrap().port().to_string()
        };
        let child = Command::new(program)
            .args(["-H", "127.0.0.1", "-p", &port])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let moto = Self { child, url: format!("http://127.0.0.1:{port}") };
        let began = Instant::now();
        while !curl(&["--output", "/dev/null", &format!("{}/moto-api/", moto.url)], "") {
            assert!(began.elapsed() < Duration::from_secs(30), "moto does not start");
            std::thread::sleep(Duration::from_millis(100));
        }
        moto
    }

    /// Puts a file, or with an empty name makes the bucket.
    fn put(&self, name: &str, text: &str) {
        let url = format!("{}/nix-cache/{name}", self.url);
        let put = ["--request", "PUT", "--header", PLAIN, "--data-binary", "@-", &url];
        assert!(curl(&put, text), "{name}");
    }

    fn fleet(&self) -> Eyes {
        let url = format!("s3://nix-cache?endpoint={}&region=us-east-1", self.url);
        let tier = |name: &str, more: &str| {
            format!(
                "[[tiers]]\nname = \"{name}\"\nkind = \"s3\"\nurl = \"{url}\"\nmax_size = \"1GB\"\n\
                 public_key = \"test-1:84lYE1B4WYBhgRnr4i3CGQuBrqMejfmimNytE5731+M=\"\n{more}\n"
            )
        };
        // Any pair of keys is as good as another there.
        let keys = "access_key = { command = [\"echo\", \"AKIA\"] }\n\
            secret_key = { command = [\"echo\", \"canary-secret\"] }";
        let none = url.replace("nix-cache?", "no-such-bucket?");
        Eyes::of(&format!(
            "{}{}[[tiers]]\nname = \"none\"\nkind = \"s3\"\nurl = \"{none}\"\n{keys}\n",
            tier("keys", keys),
            tier("open", "")
        ))
    }
}

fn curl(args: &[&str], input: &str) -> bool {
    let mut child = Command::new("curl")
        .args(["--disable", "--silent", "--fail", "--noproxy", "*", "--max-time", "5"])
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), input.as_bytes()).unwrap();
    child.wait().unwrap().success()
}

#[test]
#[ignore = "needs moto: tests/run.sh"]
fn a_bucket_is_read_with_keys_and_refused_without() {
    let moto = Moto::start();
    let eyes = moto.fleet();
    let facts = eyes.probe("none", &[]);
    assert_eq!(facts.state, TierState::Degraded);
    assert!(facts.error().unwrap().contains("no such bucket"), "{facts:?}");

    moto.put("", "");
    let facts = eyes.probe("keys", &[]);
    assert_eq!(facts.state, TierState::Degraded);
    assert!(facts.error().unwrap().contains("no nix-cache-info"), "{facts:?}");

    moto.put("nix-cache-info", "StoreDir: /nix/store\nWantMassQuery: 1\nPriority: 45\n");
    moto.put(&format!("{HASH}.narinfo"), NARINFO);
    let path = StorePath::parse(&format!("/nix/store/{HASH}-a-1.0")).unwrap();
    let other = StorePath::parse("/nix/store/4xa9xjwdxbpaf7ls3r2c8qvz8221bw0a-b-2.0").unwrap();
    let candidates = [path.clone()];
    let facts = eyes.probe("keys", &candidates);
    assert_eq!(facts.state, TierState::NarMissing, "{facts:?}");

    moto.put("nar/x.nar.xz", "nar");
    let facts = eyes.probe("keys", &candidates);
    assert_eq!((facts.state, facts.priority), (TierState::Up, Some(45)), "{facts:?}");
    assert_eq!(facts.proof.as_deref(), Some("a-1.0, signed by test-1"));
    assert!(facts.nar_proof.is_some());
    let holds = eyes.holds("keys", &[path.clone(), other.clone()]);
    assert_eq!(holds.unwrap(), [true, false]);

    let facts = eyes.probe("open", &candidates);
    assert_eq!(facts.state, TierState::Unauthorized, "{facts:?}");
    assert!(facts.error().unwrap().contains("access_key"), "{facts:?}");
}

#[test]
#[ignore = "needs moto: tests/run.sh"]
fn a_list_of_several_pages_is_counted_to_its_end() {
    let moto = Moto::start();
    let eyes = moto.fleet();
    moto.put("", "");
    moto.put("nix-cache-info", "StoreDir: /nix/store\n");
    let url = format!("{}/nix-cache", moto.url);
    // 1,100 objects of 5 bytes: two pages.
    let mut config = String::new();
    for n in 0..1100 {
        let name = if n < 600 { format!("{n:032}.narinfo") } else { format!("nar/{n}.nar") };
        let _ = writeln!(config, "next\nsilent\nrequest = \"PUT\"\nheader = \"{PLAIN}\"");
        let _ = writeln!(config, "data = \"12345\"\nurl = \"{url}/{name}\"");
    }
    assert!(curl(&["--config", "-", &format!("{url}/nix-cache-info")], &config));
    let size = eyes.size("keys").unwrap().unwrap();
    assert_eq!((size.objects, size.bytes), (Some(1101), 5500 + 21));
    assert_eq!((size.exact, size.limit), (true, Some(1_000_000_000)));
    let facts = eyes.probe("keys", &[]);
    assert_eq!(detail(&facts, "objects"), "600 narinfos, 500 nars of 2.50 kB, 1 others");
    // Now its list is known to be short: many paths are looked up in it.
    let paths: Vec<StorePath> =
        (0..1000).map(|n| StorePath::parse(&format!("/nix/store/{n:032}-x")).unwrap()).collect();
    let holds = eyes.holds("keys", &paths).unwrap();
    assert_eq!(holds.iter().filter(|held| **held).count(), 600);
}
