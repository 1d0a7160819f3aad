//! Runs the scripts of look-ups before a run, and wakes hosts that sleep, as the run itself does.

use crate::cli::wait;
use crate::fleet::Fleet;
use crate::remote::{Answer, Output, Script, ScriptRunner, Trouble, WakeNews, rouse};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{OnceCell, mpsc};

/// Runs scripts, and once more where their host had to be woken; each host is woken once.
pub(super) struct AwakeRunner<'a> {
    fleet: &'a Fleet,
    inner: &'a dyn ScriptRunner,
    /// Says what is done to wake a host.
    tell: fn(&str),
    /// Whether hosts that slept are awake now.
    woken: Mutex<HashMap<String, Arc<OnceCell<bool>>>>,
}

impl<'a> AwakeRunner<'a> {
    /// Makes it; what is done is said on standard error, unless nobody reads that.
    pub(super) fn new(fleet: &'a Fleet, inner: &'a dyn ScriptRunner, is_detached: bool) -> Self {
        let tell = if is_detached { |_: &str| () } else { wait::line };
        Self { fleet, inner, tell, woken: Mutex::default() }
    }

    /// Wakes a host that is silent, where hosts.toml says how; returns whether it answers now.
    async fn is_woken(&self, host: &str) -> bool {
        let Some(host) = self.fleet.host(host).filter(|host| host.wake.is_some()) else {
            return false;
        };
        let cell = {
            let mut woken = self.woken.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(woken.entry(host.name.clone()).or_default())
        };
        let tell = |news: WakeNews| (self.tell)(news.sentence());
        *cell.get_or_init(|| rouse(self.inner, host, tell)).await
    }
}

impl ScriptRunner for AwakeRunner<'_> {
    fn run<'a>(&'a self, host: &'a str, script: &'a Script) -> Answer<'a, Output> {
        Box::pin(async move {
            match self.inner.run(host, script).await {
                Err(error)
                    if matches!(error.trouble, Trouble::Unreachable | Trouble::Lost)
                        && self.is_woken(host).await =>
                {
                    self.inner.run(host, script).await
                }
                ended => ended,
            }
        })
    }

    fn follow<'a>(
        &'a self,
        host: &'a str,
        script: &'a Script,
        pieces: mpsc::Sender<Vec<u8>>,
    ) -> Answer<'a, Output> {
        self.inner.follow(host, script, pieces)
    }

    fn address(&self, host: &str) -> Option<String> {
        self.inner.address(host)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::rollback::targets;
    use crate::fleet::Outcome;
    use crate::remote::{FakeRunner, RemoteError};
    use std::path::Path;
    use std::sync::atomic::{AtomicBool, Ordering};

    /// Returns a runner for hosts that sleep until razer sends a packet, and then list their generations. Those that
    /// stay asleep never answer.
    fn asleep(stay: bool) -> FakeRunner {
        let is_awake = AtomicBool::new(false);
        FakeRunner::new(move |host, script| {
            if host == "razer" {
                is_awake.store(!stay, Ordering::Release);
                return Ok(Output { stdout: "by broadcast\n".to_owned(), ..Output::default() });
            }
            if !is_awake.load(Ordering::Acquire) {
                return Err(RemoteError::new(host, Trouble::Unreachable, "No route to host"));
            }
            let path = |name: &str| format!("/nix/store/l0znnv1nxsr0ry7gmadkh49s1d0hycgd-{name}");
            let stdout = if script.body.contains("initrd-release") {
                "boot_id\t1\n".to_owned()
            } else {
                let (old, new) = (path("old"), path("new"));
                format!(
                    "generation\t4\t1700000000\t{old}\ngeneration\t5\t1700000100\t{new}\nrunning\t{new}\n\
                     profile\tsystem-5-link\nend\tok\n"
                )
            };
            Ok(Output { stdout, ..Output::default() })
        })
    }

    /// Returns a fleet of two hosts that can be woken, or cannot.
    fn fleet(mac: &str) -> Fleet {
        let text = format!("[hosts.razer]\n[hosts.samsung]\n{mac}\n[hosts.p510]\n");
        crate::config::parse(&text, Path::new("hosts.toml"), None).unwrap()
    }

    const MAC: &str = "mac = \"0a:1b:2c:3d:4e:5f\"\nwake_via = \"razer\"";

    #[tokio::test(start_paused = true)]
    async fn a_host_that_sleeps_is_woken_to_be_rolled_back() {
        for (mac, stay, goes) in [(MAC, false, 1), (MAC, true, 0), ("", false, 0)] {
            let (fleet, sleeper) = (fleet(mac), asleep(stay));
            let awake = AwakeRunner::new(&fleet, &sleeper, true);
            let hosts = ["samsung", "p510"].map(str::to_owned);
            let found = targets(&awake, &hosts, None, false).await;
            assert_eq!(found.goes.iter().filter(|(host, _)| host == "samsung").count(), goes);
            assert_eq!(!found.set_aside.contains_key("samsung"), goes == 1);
            let packets = sleeper.asked().iter().filter(|(host, _)| host == "razer").count();
            assert_eq!(packets, usize::from(!mac.is_empty()), "one packet: {mac}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_host_that_stays_asleep_is_waited_for_once() {
        let (fleet, sleeper) = (fleet(MAC), asleep(true));
        let awake = AwakeRunner::new(&fleet, &sleeper, true);
        let began = tokio::time::Instant::now();
        let hosts = ["samsung".to_owned()];
        let (first, second) = tokio::join!(
            targets(&awake, &hosts, None, false),
            targets(&awake, &hosts, None, false)
        );
        let third = targets(&awake, &hosts, None, false).await;
        for found in [first, second, third] {
            assert_eq!(found.set_aside["samsung"].outcome, Outcome::Offline);
        }
        assert!(began.elapsed().as_secs() < 200, "{:?}", began.elapsed());
    }
}
