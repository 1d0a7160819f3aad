//! What a host that is in no `hosts.toml` yet says of itself and of its caches: for a first file.
//!
//! Two questions: a script of its own, and the look at the settings of its Nix that tiers are judged
//! by, so that the caches come in the order in which the host really asks them.

use crate::fleet::PublicKey;
use crate::probe::on_host;
use crate::remote::{RemoteError, Script, ScriptRunner};
use jiff::Timestamp;
use std::time::Duration;

/// What is asked.
const SCRIPT: &str = concat!(include_str!("scripts/says.sh"), include_str!("scripts/serves.sh"));

/// How long that may take, connecting included.
const LIMIT: Duration = Duration::from_secs(15);

/// A host and its caches, as it says itself. Texts are untrusted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostCaches {
    /// Whether it runs NixOS.
    pub is_nixos: bool,
    /// Its system as Nix names it.
    pub system: Option<String>,
    /// Number of processors.
    pub cpus: Option<u32>,
    /// Servers of its own store that run there: `nix-serve`, `harmonia`.
    pub servers: Vec<String>,
    /// The caches of its settings, as they are written there, in the order in which it asks them.
    pub caches: Vec<String>,
    /// The keys that it trusts.
    pub keys: Vec<PublicKey>,
    /// Why its settings could not be read, as a clause.
    pub error: Option<String>,
}

/// Asks a host. Fails where it does not answer; settings that cannot be read are no failure.
pub async fn host_caches(
    runner: &dyn ScriptRunner,
    host: &str,
    now: Timestamp,
) -> Result<HostCaches, RemoteError> {
    let output = runner.run(host, &Script::new(SCRIPT).limit(LIMIT)).await?;
    let mut found = parse(&output.stdout);
    let view = on_host::look(runner, host, now).await;
    found.caches = view.in_order();
    found.keys = view.trusted();
    found.error = view.trouble();
    Ok(found)
}

/// Reads what the script printed.
fn parse(text: &str) -> HostCaches {
    let all = |key: &'static str| {
        let lines = text.lines().filter_map(|line| line.split_once('\t'));
        lines.filter(move |(known, _)| *known == key).map(|(_, value)| value.trim().to_owned())
    };
    HostCaches {
        is_nixos: all("nixos").next().is_some(),
        system: all("system").next(),
        cpus: all("cpus").next().and_then(|cpus| cpus.parse().ok()),
        servers: all("serves").collect(),
        ..HostCaches::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remote::{FakeRunner, Output};

    #[tokio::test]
    async fn a_host_says_what_it_is_and_what_it_asks_in_its_order() {
        let runner = FakeRunner::new(|_, script| {
            let serves = "nixos\ttrue\nsystem\taarch64-linux\ncpus\t4\nserves\tharmonia\n";
            let settings = "root\tyes\n---\nsubstituters = http://a:5000?priority=50 \
                            http://b?priority=10\ntrusted-public-keys = \
                            b-1:MOYk7cam7pmSQgkAgHCqQVzYsjyi9d862m06xgAkwBk=\n";
            let is_settings = script.text().contains("substituters");
            let stdout = if is_settings { settings } else { serves }.to_owned();
            Ok(Output { code: 0, stdout, stderr: String::new() })
        });
        let found = host_caches(&runner, "pi", Timestamp::UNIX_EPOCH).await.unwrap();
        assert!(found.is_nixos && found.error.is_none(), "{found:?}");
        assert_eq!((found.system.as_deref(), found.cpus), (Some("aarch64-linux"), Some(4)));
        assert_eq!(found.servers, ["harmonia"]);
        assert_eq!(found.caches, ["http://b?priority=10", "http://a:5000?priority=50"]);
        assert_eq!(found.keys[0].name, "b-1");
    }

    #[tokio::test]
    async fn a_host_that_does_not_answer_is_a_failure() {
        let runner = FakeRunner::unreachable();
        assert!(host_caches(&runner, "pi", Timestamp::UNIX_EPOCH).await.is_err());
    }
}
