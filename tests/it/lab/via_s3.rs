//! A bucket that wants keys, on a real gateway, asked from a host with root's credentials there.

use super::tiers::{changed, tier};
use super::{Lab, assert_ok, lab, nixdash, on};
use nixdash::probe::{HttpClient, HttpRequest, Method, Rules};
use serde_json::Value;
use std::fmt::Write as _;
use std::io::Write as _;
use std::process::{Command, Stdio};

/// The bucket; nobody may read it without keys.
const BUCKET: &str = "private";

/// A secret that is wrong, and a secret that must be seen nowhere.
const WRONG: &str = "canary-secret-5f1d";

/// Puts itself before curl: writes down what every process of the host shows while curl runs.
const SPY: &str = "#!/bin/sh\n\
    { tr '\\0' ' ' </proc/self/environ; cat /proc/[0-9]*/cmdline | tr '\\0' ' '; } >>/tmp/spy 2>/dev/null\n\
    exec /usr/bin/curl.real \"$@\"\n";

/// The gateway's address and keys.
struct Gateway {
    endpoint: String,
    access: String,
    secret: String,
    files: [String; 2],
}

impl Gateway {
    fn of(fleet: &Lab) -> Self {
        let folder = fleet.hosts_file.with_file_name("weed");
        let files = ["access-key", "secret-key"].map(|name| folder.join(name));
        let [access, secret] = files.clone().map(|file| std::fs::read_to_string(file).unwrap());
        let text = std::fs::read_to_string(&fleet.hosts_file).unwrap();
        let bucket = text.lines().find_map(|line| line.strip_prefix("s3 = \"")).unwrap();
        let (endpoint, _) = bucket.rsplit_once('/').unwrap();
        let files = files.map(|file| file.display().to_string());
        Self { endpoint: endpoint.to_owned(), access, secret, files }
    }

    /// Makes signed requests, past nixdash.
    fn curl(&self, requests: &str) -> String {
        self.ask("fail", requests)
    }

    fn ask(&self, fail: &str, requests: &str) -> String {
        let config = format!(
            "silent\nshow-error\n{fail}\nnoproxy = \"*\"\naws-sigv4 = \"aws:amz:us-east-1:s3\"\n\
             user = \"{}:{}\"\n{requests}",
            self.access, self.secret
        );
        let output = fed(Command::new("curl").args(["--disable", "--config", "-"]), &config);
        assert_ok(&output);
        String::from_utf8(output.stdout).unwrap()
    }

    /// Makes the bucket, with the files of the lab's static cache.
    fn fill(&self, fleet: &Lab) {
        let cache = fleet.hosts_file.with_file_name("static");
        // It may be there from a test before.
        self.ask("", &format!("request = \"PUT\"\nurl = \"{}/{BUCKET}\"\n", self.endpoint));
        let mut uploads = String::new();
        for folder in ["", "nar"] {
            for entry in std::fs::read_dir(cache.join(folder)).unwrap() {
                let file = entry.unwrap().path();
                if file.is_file() {
                    let name = file.strip_prefix(&cache).unwrap().display();
                    let _ = writeln!(uploads, "upload-file = \"{}\"", file.display());
                    let _ = writeln!(uploads, "url = \"{}/{BUCKET}/{name}\"", self.endpoint);
                }
            }
        }
        self.curl(&uploads);
    }

    /// Returns every object with its hash, size and time.
    fn list(&self) -> String {
        let url = format!("{}/{BUCKET}/?list-type=2&max-keys=1000", self.endpoint);
        let text = self.curl(&format!("url = \"{url}\"\n"));
        let objects: Vec<&str> = text.split("<Contents>").skip(1).collect();
        assert!(objects.len() > 50, "{text}");
        objects.join("\n")
    }
}

/// Runs a command with a text on its standard input.
fn fed(command: &mut Command, input: &str) -> std::process::Output {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

/// Gives root on samsung these credentials.
fn credentials(access: &str, secret: &str) {
    let text = format!(
        "[other]\naws_access_key_id = NOBODY\n[default]\naws_access_key_id = {access}\naws_secret_access_key={secret}\n"
    );
    let name = std::env::var("NIXDASH_LAB_NAME").unwrap_or_else(|_| "test".to_owned());
    let store = "umask 077; mkdir -p /root/.aws; cat >/root/.aws/credentials";
    let mut command = Command::new(nixdash());
    command.args(["lab", "shell", "samsung", "/bin/sh", "-c", store]);
    assert_ok(&fed(command.env("NIXDASH_LAB_NAME", name), &text));
}

/// Takes away what the test left on samsung, also when it fails.
struct CleanUp;

impl Drop for CleanUp {
    fn drop(&mut self) {
        let script = "rm -rf /root/.aws /tmp/spy; \
            [ ! -e /usr/bin/curl.real ] || mv -f /usr/bin/curl.real /usr/bin/curl";
        lab(&["shell", "samsung", "/bin/sh", "-c", script]);
    }
}

/// Returns Nix's memory of what caches have and lack, wherever it is on samsung.
fn nix_memory() -> String {
    on(
        "samsung",
        "find / -xdev -path '*/nix/binary-cache-v*' -type f -exec sha256sum {} + 2>/dev/null | sort",
    )
}

/// Returns the shares of all hosts' closures.
fn shares(tier: &Value) -> Vec<Value> {
    let hosts = tier["coverage"].as_object().unwrap();
    hosts.values().map(|coverage| coverage["paths"].clone()).collect()
}

#[test]
#[ignore = "needs the practice fleet: tests/run.sh"]
fn a_bucket_with_keys_is_asked_from_a_host_with_its_own_credentials() {
    let fleet = Lab::healthy();
    let gateway = Gateway::of(&fleet);
    gateway.fill(&fleet);
    drop(CleanUp);
    let _clean_up = CleanUp;
    let fleet = changed(fleet, |text| {
        let key = text.lines().find(|line| line.contains("\"static-1:")).unwrap();
        let url = format!("s3://{BUCKET}?endpoint={}&region=us-east-1", gateway.endpoint);
        let tier = |name: &str, more: &str| {
            format!(
                "\n[[tiers]]\nname = \"{name}\"\nkind = \"s3\"\nurl = \"{url}\"\n{key}\n{more}\n"
            )
        };
        let [access, secret] = &gateway.files;
        let own = format!(
            "access_key = {{ file = \"{access}\" }}\nsecret_key = {{ file = \"{secret}\" }}"
        );
        format!("{text}{}{}", tier("direct", &own), tier("from-samsung", "via = \"samsung\""))
    });
    let refused = |word: &str| {
        let found = tier(&fleet, "from-samsung");
        assert_eq!(found["state"], "unauthorized", "{found}");
        let error = found["error"].as_str().unwrap();
        assert!(error.contains(word) && error.contains("root"), "{error}");
        assert_eq!(shares(&found), Vec::<Value>::new(), "not known, rather than none: {found}");
    };
    refused("~/.aws/credentials");
    credentials(&gateway.access, WRONG);
    refused("SignatureDoesNotMatch");
    credentials("NOBODY", WRONG);
    refused("InvalidAccessKeyId");

    credentials(&gateway.access, &gateway.secret);
    on("samsung", "mv /usr/bin/curl /usr/bin/curl.real");
    on(
        "samsung",
        &format!(
            "printf %s '{SPY}' >/usr/bin/curl && chmod 755 /usr/bin/curl",
            SPY = SPY.replace('\'', "'\\''")
        ),
    );
    let before = (gateway.list(), nix_memory());
    let found = tier(&fleet, "from-samsung");
    assert_eq!((&found["state"], &found["via"]), (&"up".into(), &"samsung".into()), "{found}");
    assert_eq!(found["signature"], "valid", "{found}");
    assert!(found["proof"].as_str().unwrap().ends_with("asked from samsung"), "{found}");
    assert!(found["nar_proof"].as_str().unwrap().contains("answers"), "{found}");
    let direct = tier(&fleet, "direct");
    assert_eq!(direct["state"], "up", "{direct}");
    assert_eq!(shares(&found), shares(&direct));
    assert!(shares(&found).iter().all(|share| share[0].as_u64().unwrap() > 10), "{found}");
    assert_eq!((gateway.list(), nix_memory()), before, "looking changes nothing");

    let seen = on("samsung", "cat /tmp/spy");
    assert!(seen.contains("curl") && seen.contains("--config"), "the spy saw it: {seen}");
    assert!(!seen.contains(&gateway.secret), "the secret is in a list of processes");
    assert!(!seen.contains(&gateway.access) && !seen.contains(BUCKET), "nor the address");
}

#[test]
#[ignore = "needs the practice fleet: tests/run.sh"]
fn a_bucket_is_listed_in_both_ways_with_its_keys_only() {
    let fleet = Lab::healthy();
    let gateway = Gateway::of(&fleet);
    gateway.fill(&fleet);
    let objects = gateway.list().matches("<Key>").count() as u64;
    let [access, secret] = &gateway.files;
    let tier = |name: &str, secret: &str| {
        format!(
            "[[tiers]]\nname = \"{name}\"\nkind = \"s3\"\n\
             url = \"s3://{BUCKET}?endpoint={}&region=us-east-1\"\n{secret}\n",
            gateway.endpoint
        )
    };
    let right =
        format!("access_key = {{ file = \"{access}\" }}\nsecret_key = {{ file = \"{secret}\" }}");
    let wrong = format!(
        "access_key = {{ file = \"{access}\" }}\nsecret_key = {{ command = [\"echo\", \"{WRONG}\"] }}"
    );
    let text = [tier("right", &right), tier("wrong", &wrong), tier("none", "")].concat();
    let eyes = crate::eyes::Eyes::of(&text);
    let size = eyes.size("right").unwrap().unwrap();
    assert_eq!((size.objects, size.exact), (Some(objects), true));
    assert_eq!(eyes.size("wrong").unwrap(), None);
    assert_eq!(eyes.size("none").unwrap(), None);
    for name in ["wrong", "none"] {
        let facts = eyes.probe(name, &[]);
        assert_eq!(facts.state, nixdash::fleet::TierState::Unauthorized, "{facts:?}");
    }
    // The gateway knows the newer list, so the older one is asked for past the probe.
    let web = HttpClient::new().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    for (query, name, status) in [
        ("list-type=2&max-keys=5", "right", 200),
        ("max-keys=5", "right", 200),
        ("delimiter=%2F&marker=a&max-keys=5", "right", 200),
        ("max-keys=5", "wrong", 403),
        ("max-keys=5", "none", 403),
    ] {
        let ask = HttpRequest::get(format!("{}/{BUCKET}/?{query}", gateway.endpoint));
        let rules = Rules::new(&[(Method::Get, "*/")]);
        let reply = web.ask(eyes.tier(name), &rules, ask);
        let reply = runtime.block_on(reply).unwrap();
        assert_eq!(reply.status, status, "{query} {name}: {}", reply.text());
        let keys = reply.text().matches("<Key>").count();
        assert_eq!(keys > 0, status == 200, "{}", reply.text());
    }
}
