//! Each machine's own store: whether its database can be read, and how full its disk is.
//!
//! It is asked through [`crate::remote::ScriptRunner`], host by host; a laptop that is asleep says nothing
//! against the stores of the others. What hard links save and what collecting garbage would free is
//! looked at seldom (`probe/depth.rs`), and only told here.

use crate::fleet::words::kinds;
use crate::fleet::{
    Bytes, Code, Finding, SizeFacts, StorePath, Subject, Tier, TierFacts, TierOnHost, TierState,
    bytes, percent, printable_line,
};
use crate::probe::asking::{Asking, TierFuture, TierProbe};
use crate::probe::checks::answer::{detail, size};
use crate::probe::depth::depths;
use crate::probe::schedule::Pace;
use crate::probe::store;
use crate::probe::transport::{RequestError, Rules};
use crate::probe::words::NOTHING_TO_DO;
use crate::remote::{Script, Trouble, Way};
use futures_util::future::join_all;
use std::time::Duration;

/// Asks a host for its store.
const SCRIPT: &str = include_str!("../../scripts/local.sh");

/// How long a host may take.
const LIMIT: Duration = Duration::from_secs(8);

/// From which share on a disk is a finding.
const FULL: f64 = 0.95;

/// It is asked nothing over HTTP.
static RULES: Rules = Rules::new(&[]);

/// The kind `local`.
pub(super) struct Local;

impl TierProbe for Local {
    fn rules(&self) -> &'static Rules {
        &RULES
    }

    fn target(&self, _tier: &Tier) -> Pace {
        Pace::LanTier
    }

    fn interval(&self, _tier: &Tier) -> Duration {
        Duration::from_secs(60)
    }

    fn look<'a>(&'a self, asking: &'a Asking<'a>) -> TierFuture<'a, TierFacts> {
        Box::pin(async move {
            let hosts = &asking.fleet.hosts;
            let answers = join_all(hosts.iter().map(|host| ask(asking, &host.name))).await;
            let answers: Vec<_> =
                hosts.iter().map(|host| host.name.as_str()).zip(answers).collect();
            let mut facts = join(asking, &answers);
            facts.depths = depths(asking.memory, asking.tier);
            facts.depths.retain(|host, _| asking.fleet.host(host).is_some());
            facts
        })
    }

    fn holds<'a>(
        &'a self,
        asking: &'a Asking<'a>,
        _paths: &'a [&'a StorePath],
    ) -> TierFuture<'a, Result<Vec<bool>, RequestError>> {
        let cause = "a host's own store holds what the host runs";
        let error = RequestError::new(&asking.tier.name, cause, NOTHING_TO_DO);
        Box::pin(std::future::ready(Err(error)))
    }
}

/// Returns how big the stores of all hosts are together, as they were counted last.
pub(in crate::probe) fn whole_size(asking: &Asking<'_>) -> Option<SizeFacts> {
    let mut stores = asking.memory.stores();
    stores.retain(|host, _| asking.fleet.host(host).is_some());
    let oldest = stores.values().map(|store| store.measured_at).min()?;
    let bytes = stores.values().map(|store| store.bytes).sum();
    let paths = stores.values().map(|store| store.paths).sum();
    // A host that is asleep has a store too.
    let exact = stores.len() == asking.fleet.hosts.len();
    let mut whole = size(asking, bytes, Some(paths), None, exact);
    // The limit is that of each of them.
    whole.limit = whole.limit.map(|limit| limit.saturating_mul(stores.len() as u64));
    Some(SizeFacts { measured_at: Some(oldest), ..whole })
}

/// Measures a tier that serves one host's live store: that store, by NAR sizes. Nothing when
/// hosts.toml does not name the host, or the host does not say.
pub(super) async fn size_of_host(asking: &Asking<'_>) -> Option<SizeFacts> {
    let host = asking.tier.host.as_deref()?;
    let store = if let Some(counted) = asking.memory.stores().remove(host) {
        counted
    } else {
        let counted = store::count(asking.runner, host).await;
        counted.inspect_err(|error| tracing::debug!(host, %error, "size")).ok()?
    };
    let whole = size(asking, store.bytes, Some(store.paths), None, true);
    Some(SizeFacts { measured_at: Some(store.measured_at), ..whole })
}

/// What a host said of its store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Store {
    disk: Option<Bytes>,
    readable: bool,
    error: Option<String>,
}

/// Why a host said nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Silent {
    /// Whether it did not answer at all; else it did, but not as it should.
    is_away: bool,
    /// What kind of trouble it is.
    code: Code,
    why: String,
}

/// Asks a host.
async fn ask(asking: &Asking<'_>, host: &str) -> Result<Store, Silent> {
    let script = Script::new(SCRIPT).limit(LIMIT).way(Way::Beside);
    let output = asking.runner.run(host, &script).await.map_err(|error| Silent {
        is_away: matches!(
            error.trouble,
            Trouble::Unreachable
                | Trouble::Locked
                | Trouble::Lost
                | Trouble::Slow(_)
                | Trouble::Untrusted
                | Trouble::Here
        ),
        code: error.code(),
        why: error.to_string(),
    })?;
    Ok(read(&output.stdout))
}

/// Reads what the script printed.
fn read(text: &str) -> Store {
    let mut found = Store::default();
    for (key, value) in text.lines().filter_map(|line| line.split_once('\t')) {
        match key {
            "disk_kib" => {
                let mut numbers = value.split(' ').map(|word| word.parse::<u64>().ok());
                if let (Some(Some(used)), Some(Some(total))) = (numbers.next(), numbers.next()) {
                    let kib = |count: u64| count.saturating_mul(1024);
                    found.disk = Some(Bytes { used: kib(used), total: kib(total) });
                }
            }
            "database" => found.readable = value == "readable",
            "error" => found.error = Some(printable_line(value)),
            _ => {}
        }
    }
    found
}

/// Joins what the hosts said to one tier: it is up when every store that answers can be read.
fn join(asking: &Asking<'_>, answers: &[(&str, Result<Store, Silent>)]) -> TierFacts {
    let mut facts = TierFacts::default();
    let mut troubles: Vec<Finding> = Vec::new();
    let mut answered = 0;
    for (host, answer) in answers {
        let mut on_host = TierOnHost {
            configured: Some(true),
            trusted: Some(true),
            via: Some((*host).to_owned()),
            measured_at: Some(asking.now),
            ..TierOnHost::default()
        };
        match answer {
            Ok(store) => {
                answered += 1;
                disk(asking.tier, host, store, &mut facts);
                if store.readable {
                    on_host.state = TierState::Up;
                } else {
                    on_host.state = TierState::Degraded;
                    let why =
                        store.error.clone().unwrap_or_else(|| "it did not say why".to_owned());
                    let finding = kinds::store_unreadable(asking.tier, host, &why);
                    troubles.push(finding.clone().about(Subject::tier(asking.tier)));
                    on_host.findings.push(finding);
                }
            }
            Err(silent) => {
                on_host.state = TierState::Down;
                let finding = kinds::store_silent(asking.tier, host, silent.code, &silent.why);
                if !silent.is_away {
                    troubles.push(finding.clone().about(Subject::tier(asking.tier)));
                }
                on_host.findings.push(finding);
            }
        }
        facts.hosts.insert((*host).to_owned(), on_host);
    }
    facts.state = match (answered, troubles.is_empty()) {
        (_, false) => TierState::Degraded,
        (0, true) if answers.is_empty() => TierState::Unknown,
        (0, true) => TierState::Down,
        (_, true) => TierState::Up,
    };
    facts.findings.extend(troubles);
    if facts.state == TierState::Down {
        facts.findings.push(kinds::no_host_answers(asking.tier));
    }
    facts.size = whole_size(asking);
    let text = format!("{answered} of {} hosts answered", answers.len());
    facts.details.insert(0, detail("stores", &text));
    facts
}

/// Says how full a host's disk is.
fn disk(tier: &Tier, host: &str, store: &Store, facts: &mut TierFacts) {
    let Some((disk, share)) = store.disk.and_then(|disk| Some((disk, disk.share()?))) else {
        return;
    };
    let text = format!(
        "{} of {} used ({}), {} left",
        bytes(disk.used),
        bytes(disk.total),
        percent(share),
        bytes(disk.free())
    );
    if share >= FULL {
        facts.findings.push(kinds::disk_full_on(tier, host, &text));
    } else {
        facts.details.push(detail(host, &text));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::{KindName, StoreFacts, Tier};
    use crate::probe::asking::Tools;
    use crate::probe::memory::Memory;
    use crate::probe::transport::http::HttpClient;
    use crate::remote::{FakeRunner, Output, RemoteError};
    use jiff::Timestamp;
    use std::path::Path;

    /// Looks at the stores of three hosts whose runner answers so.
    async fn look(
        reply: impl Fn(&str) -> Result<String, RemoteError> + Send + Sync + 'static,
    ) -> TierFacts {
        look_at(&[], reply).await
    }

    /// Does that when the stores of some were counted before: host, paths and bytes.
    async fn look_at(
        counted: &[(&str, u64, u64)],
        reply: impl Fn(&str) -> Result<String, RemoteError> + Send + Sync + 'static,
    ) -> TierFacts {
        let text = "[hosts.p620]\n[hosts.razer]\n[hosts.samsung]\n";
        let fleet = crate::config::parse(text, Path::new("hosts.toml"), None).unwrap();
        let runner = FakeRunner::new(move |host, _| {
            reply(host).map(|stdout| Output { stdout, ..Output::default() })
        });
        let (web, memory) = (HttpClient::new().unwrap(), Memory::default());
        let tools = Tools { web: &web, runner: &runner, fleet: &fleet, memory: &memory };
        for (host, paths, bytes) in counted {
            let measured_at = Timestamp::UNIX_EPOCH;
            memory.put_store(host, StoreFacts { paths: *paths, bytes: *bytes, measured_at });
        }
        let tier = Tier { max_size: Some(1_000), ..Tier::new("store", KindName::Local, "") };
        let asking = tools.asking(&tier, &[], &[], Timestamp::now());
        let facts = Local.look(&asking).await;
        assert_eq!(runner.asked().len(), 3, "stores are counted elsewhere");
        facts
    }

    const WELL: &str = "disk_kib\t300 1000\ndatabase\treadable\n";

    #[test]
    fn the_script_runs_under_a_real_shell() {
        let output = std::process::Command::new("/bin/sh").arg("-c").arg(SCRIPT).output().unwrap();
        assert!(output.status.success());
        let store = read(&String::from_utf8(output.stdout).unwrap());
        assert!(store.readable || store.error.is_some(), "{store:?}");
        assert!(store.disk.is_none_or(|disk| disk.used <= disk.total), "{store:?}");
    }

    #[tokio::test]
    async fn a_laptop_that_is_asleep_says_nothing_against_the_others() {
        let facts = look(|host| match host {
            "razer" => Err(RemoteError::new(host, Trouble::Unreachable, "No route to host")),
            _ => Ok(WELL.to_owned()),
        })
        .await;
        assert_eq!((facts.state, &facts.findings[..]), (TierState::Up, &[][..]));
        assert_eq!(facts.hosts["razer"].state, TierState::Down);
        assert_eq!(facts.hosts["p620"].state, TierState::Up);
        assert_eq!(facts.details[0].text, "2 of 3 hosts answered");
        assert!(facts.details[1].text.contains("(30 %)"), "{:?}", facts.details);
    }

    #[tokio::test]
    async fn a_database_that_cannot_be_read_is_named_with_its_host() {
        let facts = look(|host| match host {
            "samsung" => {
                Ok("disk_kib\t990 1000\nerror\terror: database disk image is malformed\n"
                    .to_owned())
            }
            _ => Ok(WELL.to_owned()),
        })
        .await;
        assert_eq!(facts.state, TierState::Degraded);
        let error = facts.error().unwrap();
        assert!(error.contains("samsung") && error.contains("malformed"), "{error}");
        assert!(facts.findings.iter().any(|found| found.code == Code::DiskLow), "{facts:?}");
    }

    #[tokio::test]
    async fn without_any_host_nothing_is_known_of_stores() {
        let facts =
            look(|host| Err(RemoteError::new(host, Trouble::Unreachable, "timed out"))).await;
        assert_eq!((facts.state, facts.findings[0].code), (TierState::Down, Code::NoHostAnswers));
        assert_eq!(facts.size, None);
    }

    #[tokio::test]
    async fn one_that_lets_us_not_in_is_trouble() {
        let facts = look(|host| match host {
            "p620" => Err(RemoteError::new(host, Trouble::Denied, "Permission denied")),
            _ => Ok(WELL.to_owned()),
        })
        .await;
        assert_eq!(facts.state, TierState::Degraded);
        assert!(facts.error().unwrap().contains("Permission denied"));
    }

    #[tokio::test]
    async fn a_tier_that_serves_a_hosts_store_is_as_big_as_that() {
        let runner = FakeRunner::new(|host, _| {
            let stdout = if host == "p620" { "12\t3400\n" } else { "" }.to_owned();
            Ok(Output { stdout, ..Output::default() })
        });
        let (web, memory) = (HttpClient::new().unwrap(), Memory::default());
        let fleet = crate::config::fallback();
        let tools = Tools { web: &web, runner: &runner, fleet: &fleet, memory: &memory };
        let of = |host: Option<&str>| Tier {
            host: host.map(str::to_owned),
            max_size: Some(5000),
            ..Tier::new("p620", KindName::Harmonia, "http://p620:5000")
        };
        let tier = of(Some("p620"));
        let size = size_of_host(&tools.asking(&tier, &[], &[], Timestamp::now())).await.unwrap();
        assert_eq!((size.bytes, size.objects, size.limit), (3400, Some(12), Some(5000)));
        assert!(size.exact);
        for host in [None, Some("razer")] {
            let tier = of(host);
            let asking = tools.asking(&tier, &[], &[], Timestamp::now());
            assert_eq!(size_of_host(&asking).await, None, "{host:?}");
        }
    }

    #[tokio::test]
    async fn sizes_are_added_and_the_limit_is_that_of_each() {
        let counted = [("p620", 10, 1000), ("razer", 5, 200), ("samsung", 5, 200)];
        let some = look_at(&counted[..2], |_| Ok(WELL.to_owned())).await.size.unwrap();
        assert_eq!((some.bytes, some.exact), (1200, false), "samsung has a store too");
        let size = look_at(&counted, |_| Ok(WELL.to_owned())).await.size.unwrap();
        assert_eq!((size.bytes, size.objects, size.exact), (1400, Some(20), true));
        assert_eq!(size.limit, Some(3_000));
    }
}
