//! Ways by which a system reaches its host: a copy from the builder, a cache that fails, none at all; and what
//! was evaluated before.

use super::tiers::changed;
use super::{Deployed, Lab, assert_ok, lab, on, systems};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Lets root of one host log in to another, with a key of its own, until this is dropped.
struct Login {
    from: &'static str,
    to: &'static str,
}

impl Login {
    fn new(from: &'static str, to: &'static str) -> Self {
        drop(Self { from, to });
        let key = on(
            from,
            "mkdir -p /root/.ssh; ssh-keygen -q -t ed25519 -N '' -C nixdash-test -f /root/.ssh/id_ed25519; \
             cat /root/.ssh/id_ed25519.pub",
        );
        on(to, &format!("mkdir -p /root/.ssh; echo '{key}' >>/root/.ssh/authorized_keys"));
        let host_key = on(to, "cut -d ' ' -f 1,2 /etc/ssh/ssh_host_ed25519_key.pub");
        let address =
            on(to, "ip -o -4 address show scope global | awk '{ print $4; exit }' | cut -d / -f 1");
        on(from, &format!("echo '{address} {host_key}' >>/root/.ssh/known_hosts"));
        Self { from, to }
    }
}

impl Drop for Login {
    fn drop(&mut self) {
        let script = "rm -f /root/.ssh/id_ed25519 /root/.ssh/id_ed25519.pub /root/.ssh/known_hosts";
        lab(&["shell", self.from, "/bin/sh", "-c", script]);
        let script = "[ ! -e /root/.ssh/authorized_keys ] || sed -i '/nixdash-test/d' /root/.ssh/authorized_keys";
        lab(&["shell", self.to, "/bin/sh", "-c", script]);
    }
}

/// Returns the file with the operator's key.
fn operator_key() -> PathBuf {
    let status: Value = serde_json::from_slice(&lab(&["status", "--json"]).stdout).unwrap();
    PathBuf::from(status["hosts_file"].as_str().unwrap()).with_file_name("id")
}

/// An ssh agent with the operator's key, until this is dropped.
struct Agent {
    process: Child,
    socket: PathBuf,
    _folder: tempfile::TempDir,
}

impl Agent {
    fn with_key() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("agent");
        let process = Command::new("ssh-agent")
            .args(["-D", "-a"])
            .arg(&socket)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        super::wait_for("the agent", std::time::Duration::from_secs(10), || socket.exists());
        let key = operator_key();
        let added =
            Command::new("ssh-add").arg("-q").arg(key).env("SSH_AUTH_SOCK", &socket).output();
        assert_ok(&added.unwrap());
        Self { process, socket, _folder: folder }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// Returns the fleet with a key that p620 signs with.
fn signing(fleet: Lab) -> Lab {
    changed(fleet, |text| {
        text.replace("[hosts.p620]", "[hosts.p620]\nsign_key = \"/etc/nix/secret-key\"")
    })
}

/// Deploys samsung with or without an agent.
fn push(fleet: &Lab, agent: Option<&Agent>) -> Deployed {
    let mut command =
        fleet.nixdash(&["deploy", "--yes", "--json", "--strategy", "push", "samsung"]);
    match agent {
        Some(agent) => command.env("SSH_AUTH_SOCK", &agent.socket),
        None => command.env_remove("SSH_AUTH_SOCK"),
    };
    Deployed::from_output(command.output().unwrap())
}

/// Returns what the plan of the newest run of a test says of a host.
fn planned(fleet: &Lab, host: &str) -> Value {
    let events = super::events_below(&fleet.state.path().join("nixdash/runs"));
    let plans = events.iter().filter(|event| event["event"] == "plan");
    let newest = plans.max_by_key(|event| event["at"].as_str().map(str::to_owned)).unwrap();
    let hosts = newest["plan"]["hosts"].as_array().unwrap().iter();
    hosts
        .clone()
        .find(|planned| planned["host"] == host)
        .unwrap_or_else(|| panic!("{newest}"))
        .clone()
}

/// Returns the code of a host's first finding.
fn code<'d>(deployed: &'d Deployed, host: &str) -> &'d str {
    deployed.result(host)["findings"][0]["code"].as_str().unwrap_or("none")
}

#[test]
#[ignore = "needs the practice fleet: tests/run.sh"]
fn a_push_is_signed_on_the_builder_and_refused_without_a_signature() {
    let fleet = Lab::healthy();
    let _login = Login::new("p620", "samsung");
    assert_ok(&lab(&["bump", "samsung"]));
    let before = systems("samsung");
    let unsigned = push(&fleet, None);
    unsigned.assert_outcome("samsung", "failed");
    assert_eq!(code(&unsigned, "samsung"), "signature-missing", "{}", unsigned.story());
    let error = unsigned.result("samsung")["error"].as_str().unwrap();
    for part in ["trusted-public-keys", "trusted-users", "sign_key"] {
        assert!(error.contains(part), "{error}");
    }
    assert_eq!(systems("samsung"), before);
    let signing_fleet = signing(fleet);
    let signed = push(&signing_fleet, None);
    let result = signed.assert_outcome("samsung", "switched");
    assert!(signed.place("samsung", "publish", "skipped").is_some());
    assert!(signed.place("samsung", "verify", "skipped").is_some());
    assert!(result["fetched"]["ssh-ng://p620"]["paths"].as_u64().unwrap() > 0, "{result}");
    assert_eq!(result["taken"]["strategy"], "push", "{result}");
    assert!(result["fetched"]["ssh-ng://p620"]["bytes"].as_u64().unwrap() > 0, "{result}");
    let signatures = on(
        "samsung",
        "nix --extra-experimental-features nix-command path-info --sigs /run/current-system",
    );
    assert!(signatures.contains("p620-1:"), "{signatures}");
}

#[test]
#[ignore = "needs the practice fleet: tests/run.sh"]
fn a_builder_without_a_key_gets_the_agent_lent_or_says_what_it_lacks() {
    let fleet = signing(Lab::healthy());
    drop(Login { from: "p620", to: "samsung" });
    assert_ok(&lab(&["bump", "samsung"]));
    let alone = push(&fleet, None);
    alone.assert_outcome("samsung", "failed");
    assert_eq!(code(&alone, "samsung"), "push-refused", "{}", alone.story());
    assert_eq!(alone.place("samsung", "evaluate", "started"), None, "it ends in preflight");
    let original = signing(Lab::healthy());
    let agent = Agent::with_key();
    assert_ok(&lab(&["bump", "samsung"]));
    let left = || on("p620", "ls /tmp/tmp.* 2>/dev/null | wc -l");
    let before = left();
    let lent = push(&original, Some(&agent));
    let result = lent.assert_outcome("samsung", "switched");
    assert!(result["fetched"]["ssh-ng://p620"]["paths"].as_u64().unwrap() > 0, "{result}");
    let notes = planned(&original, "samsung")["findings"].to_string();
    assert!(notes.contains("push-in-session") && notes.contains("the copy ends when"), "{notes}");
    assert_eq!(left(), before, "no file of known hosts stays");
}

#[test]
#[ignore = "needs the practice fleet: tests/run.sh"]
fn a_cache_that_is_stopped_during_the_fetch_is_replaced_by_a_copy_from_the_builder() {
    let fleet = signing(Lab::healthy());
    let _login = Login::new("p620", "samsung");
    assert_ok(&lab(&["bump", "samsung"]));
    assert_ok(&lab(&["fault", "cache", "slow", "1500"]));
    let child = fleet.deploying(&["samsung"]);
    fleet.wait_for_event("the fetch to begin", |event| {
        event["phase"] == "fetch" && event["state"] == "started"
    });
    assert_ok(&lab(&["fault", "cache", "down"]));
    let deployed = Deployed::from_output(child.wait_with_output().unwrap());
    let result = deployed.assert_outcome("samsung", "switched");
    assert_eq!(result["taken"]["strategy"], "push", "{}", deployed.story());
    let given_up = &result["taken"]["given_up"][0];
    assert_eq!((&given_up["tier"], &given_up["strategy"]), (&"p620".into(), &"via-cache".into()));
    assert!(given_up["why"].as_str().unwrap().contains(":5000"), "{given_up}");
    assert!(deployed.log("samsung", "fetch").contains("looking for another way"));
}

#[test]
#[ignore = "needs the practice fleet: tests/run.sh"]
fn a_cache_that_does_not_give_what_it_promised_is_replaced_by_a_copy_from_the_builder() {
    let fleet = signing(Lab::healthy());
    let _login = Login::new("p620", "samsung");
    for (fault, code) in [("nar-missing", "path-missing"), ("corrupt-nar", "answer-unexpected")] {
        assert_ok(&lab(&["bump", "samsung"]));
        assert_ok(&lab(&["fault", "cache", fault]));
        let deployed = fleet.deploy(&["samsung"]);
        assert_ok(&lab(&["fault", "cache", "clear"]));
        let result = deployed.assert_outcome("samsung", "switched");
        assert_eq!(result["taken"]["strategy"], "push", "{fault}: {}", deployed.story());
        let given_up = &result["taken"]["given_up"][0];
        assert_eq!((&given_up["tier"], &given_up["code"]), (&"p620".into(), &code.into()));
    }
}

/// The server of p620's cache, which takes connections and answers none until this is dropped.
struct HangingCache;

impl HangingCache {
    fn begin() -> Self {
        on("p620", "systemctl kill -s STOP nix-serve.service");
        Self
    }
}

impl Drop for HangingCache {
    fn drop(&mut self) {
        on("p620", "systemctl kill -s CONT nix-serve.service");
    }
}

#[test]
#[ignore = "needs the practice fleet: tests/run.sh"]
fn a_cache_that_hangs_during_the_fetch_is_given_up_within_a_minute_or_two() {
    let fleet = signing(Lab::healthy());
    let _login = Login::new("p620", "samsung");
    assert_ok(&lab(&["bump", "samsung"]));
    let child = fleet.deploying(&["samsung"]);
    fleet.wait_for_event("the fetch to begin", |event| {
        event["phase"] == "fetch" && event["state"] == "started"
    });
    let _hangs = HangingCache::begin();
    let began = std::time::Instant::now();
    let deployed = Deployed::from_output(child.wait_with_output().unwrap());
    let result = deployed.assert_outcome("samsung", "switched");
    assert_eq!(result["taken"]["strategy"], "push", "{}", deployed.story());
    // Nix's own limits are 300 s, five times.
    assert!(began.elapsed() < std::time::Duration::from_secs(200), "{}", deployed.story());
}

/// Systems that the static cache has beside its own, until this is dropped.
struct InStatic(Vec<PathBuf>);

impl InStatic {
    /// Copies a system of p620 into the static cache, signed by that cache's key.
    fn with(fleet: &Lab, system: &str) -> Self {
        let lab_folder = fleet.hosts_file.parent().unwrap().to_owned();
        let key = secret_key_of_static(&lab_folder);
        let copy = format!(
            "umask 077; printf %s '{}' >/root/key && \
             nix --extra-experimental-features nix-command copy --to 'file:///root/cache?secret-key=/root/key' {system}; \
             rm /root/key",
            key.trim()
        );
        on("p620", &copy);
        let output = lab(&["shell", "p620", "tar", "-C", "/root/cache", "-cf", "-", "."]);
        assert_ok(&output);
        on("p620", "rm -rf /root/cache");
        let archive = fleet.state.path().join("cache.tar");
        std::fs::write(&archive, &output.stdout).unwrap();
        let cache = lab_folder.join("static");
        let unpacked = Command::new("tar")
            .args(["-v", "--skip-old-files", "-xf"])
            .arg(&archive)
            .arg("-C")
            .arg(&cache)
            .args(["--wildcards", "./*.narinfo", "./nar/*"])
            .output()
            .unwrap();
        assert_ok(&unpacked);
        let names = String::from_utf8(unpacked.stdout).unwrap();
        Self(names.lines().map(|name| cache.join(name)).collect())
    }
}

impl Drop for InStatic {
    fn drop(&mut self) {
        for file in &self.0 {
            drop(std::fs::remove_file(file));
        }
    }
}

/// Returns the secret key of the static cache: of the seed whose public key the fleet has.
fn secret_key_of_static(lab_folder: &Path) -> String {
    let hosts = std::fs::read_to_string(lab_folder.join("hosts.toml")).unwrap();
    let seeds = std::fs::read_dir(lab_folder.with_file_name("seed")).unwrap();
    let mut keys = seeds.map(|seed| seed.unwrap().path().join("keys"));
    let is_ours = |keys: &PathBuf| {
        let public = std::fs::read_to_string(keys.join("static.public"));
        public.is_ok_and(|key| hosts.contains(key.trim()))
    };
    let found = keys.find(is_ours).expect("the seed of this fleet");
    std::fs::read_to_string(found.join("static.secret")).unwrap()
}

#[test]
#[ignore = "needs the practice fleet: tests/run.sh"]
fn a_cache_that_is_down_is_replaced_by_another_that_holds_the_system() {
    let fleet = Lab::healthy();
    assert_ok(&lab(&["bump", "samsung"]));
    let built = fleet.nixdash(&["build", "samsung", "--json"]).output().unwrap();
    let system = Deployed::from_output(built).result("samsung")["toplevel"].clone();
    let _held = InStatic::with(&fleet, system.as_str().unwrap());
    assert_ok(&lab(&["fault", "cache", "down"]));
    let deployed = fleet.deploy(&["samsung"]);
    let result = deployed.assert_outcome("samsung", "switched");
    assert_eq!(result["toplevel"], system);
    assert_eq!(result["taken"]["strategy"], "via-cache", "{}", deployed.story());
    assert_eq!(result["taken"]["tier"], "static", "{}", deployed.story());
    assert_eq!(result["taken"]["given_up"][0]["tier"], "p620", "{result}");
    assert!(result["fetched"]["static"]["paths"].as_u64().unwrap() > 0, "{result}");
}

#[test]
#[ignore = "needs the practice fleet: tests/run.sh"]
fn auto_goes_around_a_cache_that_is_down_and_says_why_in_the_plan() {
    let fleet = signing(Lab::healthy());
    let _login = Login::new("p620", "samsung");
    assert_ok(&lab(&["bump", "samsung"]));
    let plan = |fleet: &Lab| {
        let args = ["samsung", "--strategy", "auto", "--action", "dry-activate"];
        let deployed = fleet.deploy(&args);
        deployed.assert_outcome("samsung", "dry");
        planned(fleet, "samsung")
    };
    let up = plan(&fleet);
    assert_eq!(up["route"]["strategy"], "via-cache", "{up}");
    assert_eq!(up["why"], "p620 builds for it, and tier p620 answers it", "{up}");
    assert_ok(&lab(&["fault", "cache", "down"]));
    let down = plan(&fleet);
    assert_eq!(down["route"]["strategy"], "push", "{down}");
    assert!(down["why"].as_str().unwrap().contains("cannot reach tier p620"), "{down}");
    assert_ok(&lab(&["fault", "cache", "clear"]));
    assert_ok(&lab(&["fault", "p620", "sshd-stop"]));
    let gone = plan(&fleet);
    assert_eq!(gone["route"]["strategy"], "direct", "{gone}");
    assert!(gone["why"].as_str().unwrap().contains("p620 does not answer"), "{gone}");
    on("samsung", "rm -rf /nix/var/log/nix/drvs");
}

/// Stands before `nix` and notes every evaluation.
const COUNTING: &str = "#!/usr/bin/perl\n\
    if (grep { $_ eq \"eval\" } @ARGV) { open(F, \">>\", \"/tmp/evaluators\"); print F \"x\\n\"; close(F); }\n\
    my $name = $0; $name =~ s{.*/}{}; exec { \"/usr/bin/nix.real\" } $name, @ARGV;\n";

/// Gives p620 its Nix back, also when the test fails.
struct CountingNix;

impl Drop for CountingNix {
    fn drop(&mut self) {
        let script = "mv -f /usr/bin/nix.real /usr/bin/nix; rm -f /tmp/evaluators";
        lab(&["shell", "p620", "/bin/sh", "-c", script]);
    }
}

#[test]
#[ignore = "needs the practice fleet: tests/run.sh"]
fn a_commit_is_evaluated_once() {
    let fleet = Lab::healthy();
    assert_ok(&lab(&["bump", "samsung"]));
    // Counts evaluators on the host that evaluates. Every program of Nix there is a link to `nix`.
    on(
        "p620",
        &format!(
            "mv /usr/bin/nix /usr/bin/nix.real; printf %s '{COUNTING}' >/usr/bin/nix; chmod 755 /usr/bin/nix"
        ),
    );
    let _restored = CountingNix;
    let count = || on("p620", "cat /tmp/evaluators 2>/dev/null | wc -l");
    let cold = fleet.deploy(&["all", "--allow-protected", "p510", "--action", "dry-activate"]);
    let evaluated = count();
    let warm = fleet.deploy(&["all", "--allow-protected", "p510", "--action", "dry-activate"]);
    let again = count();
    assert_eq!(
        (evaluated.as_str(), again.as_str()),
        ("4", "4"),
        "{} {}",
        cold.story(),
        warm.story()
    );
    for host in ["p620", "razer", "samsung", "p510"] {
        warm.assert_outcome(host, "dry");
        assert!(warm.log(host, "evaluate").contains("not evaluated again"), "{}", warm.story());
    }
    // What the store of the builder lost is evaluated again.
    let drv = || planned(&fleet, "samsung")["drv"].as_str().unwrap().to_owned();
    let lost = drv();
    on(
        "p620",
        &format!(
            "rm -f /nix/var/nix/gcroots/nixdash/*.drv; nix-store --delete --ignore-liveness {lost}"
        ),
    );
    let healed = fleet.deploy(&["samsung", "--action", "dry-activate"]);
    healed.assert_outcome("samsung", "dry");
    assert!(
        healed.log("samsung", "compare").contains("not in the store of p620 any more"),
        "{}",
        healed.story()
    );
    assert_eq!(drv(), lost);
}

#[test]
#[ignore = "needs the practice fleet: tests/run.sh"]
fn without_any_cache_a_host_takes_what_its_builder_has_and_compiles_the_rest() {
    let fleet = Lab::healthy();
    let _login = Login::new("samsung", "p620");
    assert_ok(&lab(&["bump", "samsung"]));
    let built = fleet.nixdash(&["build", "samsung", "--json"]).output().unwrap();
    let built = Deployed::from_output(built);
    let system = built.result("samsung")["toplevel"].as_str().unwrap().to_owned();
    on(
        "p620",
        &format!(
            "nix --extra-experimental-features nix-command store sign -r --key-file /etc/nix/secret-key {system}"
        ),
    );
    assert_ok(&lab(&["fault", "cache", "down"]));
    let args = ["samsung", "--strategy", "direct", "--skip-caches"];
    let deployed = fleet.deploy(&args);
    let result = deployed.assert_outcome("samsung", "switched");
    assert_eq!((&result["built"], &result["toplevel"]), (&0.into(), &system.into()), "{result}");
    let host = planned(&fleet, "samsung");
    assert_eq!(host["to_build"], 0, "said before anybody is asked: {host}");
    assert!(host["findings"].to_string().contains("caches-skipped"), "{host}");
    let refused = fleet.nixdash(&["deploy", "samsung", "--yes", "--skip-caches"]).output().unwrap();
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && said.contains("--strategy direct"), "{said}");
}
