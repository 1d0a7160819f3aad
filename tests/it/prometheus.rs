//! The exporter, scraped by a real Prometheus (Debian's package) on loopback.

use jiff::{SignedDuration, Timestamp};
use nixdash::record::{Prometheus, Series};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A program that is ended with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Starts the exporter on a fleet of this machine and a tier that is down; returns its address.
fn exporter(dir: &Path) -> (Running, String) {
    let fleet = "[hosts.here]\naddresses = []\n\n[[tiers]]\nname = \"gone\"\nkind = \"http\"\n\
                 url = \"http://127.0.0.1:9\"\n";
    std::fs::write(dir.join("hosts.toml"), fleet).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_nixdash"))
        .args(["exporter", "--listen", "127.0.0.1:0"])
        .current_dir(dir)
        .env("XDG_STATE_HOME", dir.join("state"))
        .env("NIXDASH_HOSTS", "hosts.toml")
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let running = Running(child);
    let line = lines.next().unwrap().unwrap();
    let address = line.strip_prefix("nixdash: serving http://").unwrap();
    (running, address.strip_suffix("/metrics").unwrap().to_owned())
}

/// Asks a server; returns what it says.
fn ask(url: &str, query: Option<&str>) -> String {
    let mut curl = Command::new("curl");
    curl.args(["-s", "--max-time", "5", "--get", url]);
    if let Some(query) = query {
        curl.args(["--data-urlencode", &format!("query={query}")]);
    }
    String::from_utf8(curl.output().unwrap().stdout).unwrap()
}

/// Asks until the answer holds what is waited for.
fn wait_for(url: &str, query: Option<&str>, words: &[&str]) -> String {
    let began = Instant::now();
    loop {
        let answer = ask(url, query);
        if words.iter().all(|word| answer.contains(word)) {
            return answer;
        }
        assert!(began.elapsed() < Duration::from_secs(60), "no {words:?} at {url}: {answer}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

#[test]
#[ignore = "needs Debian's prometheus, which tests/run.sh unpacks"]
fn prometheus_scrapes_the_exporter_and_answers_with_its_series() {
    let dir = tempfile::tempdir().unwrap();
    let (_exporter, address) = exporter(dir.path());
    let page = wait_for(&format!("http://{address}/metrics"), None, &["nixdash_tier_state="]);
    assert!(!page.contains("# EOF"), "curl does not ask for OpenMetrics: {page}");
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let config = format!(
        "global:\n  scrape_interval: 1s\nscrape_configs:\n  - job_name: nixdash\n    \
         static_configs:\n      - targets: ['{address}']\n"
    );
    std::fs::write(dir.path().join("prometheus.yml"), config).unwrap();
    let program = std::env::var_os("NIXDASH_PROMETHEUS").unwrap_or_else(|| "prometheus".into());
    let log = std::fs::File::create(dir.path().join("log")).unwrap();
    let child = Command::new(program)
        .arg(format!("--config.file={}", dir.path().join("prometheus.yml").display()))
        .arg(format!("--storage.tsdb.path={}", dir.path().join("tsdb").display()))
        .arg(format!("--web.listen-address={free}"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .unwrap();
    let _prometheus = Running(child);
    let query = "nixdash_tier_state{tier=\"gone\"} == 1";
    let url = format!("http://{free}/api/v1/query");
    wait_for(&url, Some(query), &["\"kind\":\"http\"", "\"nixdash_tier_state\":\"down\""]);
    wait_for(&url, Some("up{job=\"nixdash\"}"), &["\"1\"]"]);
    // Units come through in OpenMetrics alone: it was read as that.
    let metadata = ask(&format!("http://{free}/api/v1/targets/metadata"), None);
    let memory = "\"metric\":\"nixdash_host_memory_used_bytes\",\"type\":\"gauge\",\
                  \"help\":\"Main memory in use.\",\"unit\":\"bytes\"";
    assert!(metadata.contains(memory), "{metadata}");
    let server = Prometheus::new(&format!("http://{free}/")).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let values = |host: &str| {
        let now = Timestamp::now();
        let (ago, step) = (now - SignedDuration::from_secs(60), SignedDuration::from_secs(1));
        let load = Series::HostLoad(host.to_owned());
        runtime.block_on(server.values(&load, ago, now, step)).unwrap()
    };
    let began = Instant::now();
    while values("here").len() < 2 {
        assert!(began.elapsed() < Duration::from_secs(30), "no trend");
        std::thread::sleep(Duration::from_millis(200));
    }
    assert!(values("nobody").is_empty());
}

/// Returns what promtool says of a page, and whether it has nothing to complain of.
fn promtool(page: &str) -> (bool, String) {
    let program = std::env::var_os("NIXDASH_PROMTOOL").unwrap_or_else(|| "promtool".into());
    let mut child = Command::new(program)
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(page.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

#[test]
#[ignore = "needs Debian's prometheus, which tests/run.sh unpacks"]
fn promtool_has_nothing_to_complain_of() {
    let dir = tempfile::tempdir().unwrap();
    let (_exporter, address) = exporter(dir.path());
    let words = ["nixdash_tier_state{", "nixdash_host_load1{", "nixdash_finding{"];
    let page = wait_for(&format!("http://{address}/metrics"), None, &words);
    let (is_fine, said) = promtool(&page);
    assert!(is_fine && said.is_empty(), "{said}\n{page}");
    let (is_fine, said) = promtool(&page.replace("# HELP nixdash_build_info", "# X"));
    assert!(!is_fine && said.contains("nixdash_build_info"), "promtool sees nothing: {said}");
}
