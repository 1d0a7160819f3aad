//! Waits for a machine that starts: after it was woken, or told to restart.

use crate::fleet::printable_line;
use crate::remote::{RemoteError, Script, ScriptRunner, Trouble, Way};
use std::fmt;
use std::time::Duration;
use tokio::time::Instant;

/// What is asked.
const PRESENCE: &str = include_str!("scripts/presence.sh");

/// How long one try may take.
const TRY_LIMIT: Duration = Duration::from_secs(8);

/// How long to wait before a machine that is silent is asked again.
const AGAIN: Duration = Duration::from_secs(1);

/// How long to wait after something answered that is not the system: each try is a login.
const AFTER_ANSWER: Duration = Duration::from_secs(5);

/// How long logins may be refused: while a machine starts, its sshd may be there before its users.
const REFUSED_FOR: Duration = Duration::from_secs(45);

/// How a machine that starts stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Presence {
    /// Nothing answers.
    Silent,
    /// It has not gone down yet: the start that was there before answers.
    StillUp,
    /// Something answers at its address, but no ssh server yet.
    NoSshYet,
    /// Its initrd answers: it waits for its disk to be unlocked.
    WaitsForUnlock,
    /// Something answers with a host key that is not the known one: most likely its initrd, which waits for its
    /// disk to be unlocked.
    OtherHostKey,
    /// It refuses the login.
    Refuses(String),
}

impl fmt::Display for Presence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Silent => f.write_str("nothing answers yet"),
            Self::StillUp => f.write_str("it has not gone down yet"),
            Self::NoSshYet => f.write_str("the machine answers, its ssh server not yet"),
            Self::WaitsForUnlock => f.write_str("it waits for its disk to be unlocked"),
            Self::OtherHostKey => f.write_str(
                "something answers with another host key; if that is its initrd, it waits for its \
                 disk to be unlocked",
            ),
            Self::Refuses(why) => write!(f, "it refuses the login: {why}"),
        }
    }
}

/// A machine that answers with its system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Started {
    /// Which start of the machine it is.
    pub boot_id: String,
    /// The system that runs there, as its path; none where no system of NixOS does.
    pub running: Option<String>,
}

/// A machine did not come in time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it did not come back within {}: {last}", crate::fleet::duration(*limit))]
pub struct NotStarted {
    /// How long it was waited for.
    pub limit: Duration,
    /// How it stood at the end.
    pub last: Presence,
}

/// Waits until a host answers with its system, or `limit` is over. With `before` it must be another start of
/// the machine than that one. `tell` hears of every change of how it stands.
pub async fn wait_until_started(
    runner: &dyn ScriptRunner,
    host: &str,
    before: Option<&str>,
    limit: Duration,
    mut tell: impl FnMut(&Presence),
) -> Result<Started, NotStarted> {
    let began = Instant::now();
    let mut last: Option<Presence> = None;
    let mut refused_since: Option<Instant> = None;
    loop {
        let now = match look(runner, host, before).await {
            Ok(started) => return Ok(started),
            Err(presence) => presence,
        };
        if last.as_ref() != Some(&now) {
            tell(&now);
            last = Some(now.clone());
        }
        let is_refused = matches!(now, Presence::Refuses(_));
        refused_since = is_refused.then(|| refused_since.unwrap_or_else(Instant::now));
        let given_up = refused_since.is_some_and(|since| since.elapsed() > REFUSED_FOR);
        if given_up || began.elapsed() > limit {
            return Err(NotStarted { limit: began.elapsed(), last: now });
        }
        let pause = match now {
            Presence::Silent | Presence::StillUp | Presence::NoSshYet => AGAIN,
            Presence::WaitsForUnlock | Presence::OtherHostKey | Presence::Refuses(_) => {
                AFTER_ANSWER
            }
        };
        tokio::time::sleep(pause).await;
    }
}

/// Looks once at a host that starts.
async fn look(
    runner: &dyn ScriptRunner,
    host: &str,
    before: Option<&str>,
) -> Result<Started, Presence> {
    let script = Script::new(PRESENCE).way(Way::Fresh).limit(TRY_LIMIT);
    let output = match runner.run(host, &script).await {
        Ok(output) => output,
        Err(error) => return Err(judge(&error)),
    };
    let find = |wanted: &str| {
        let lines = output.stdout.lines().filter_map(|line| line.split_once('\t'));
        lines.filter(|(key, _)| *key == wanted).map(|(_, value)| printable_line(value)).next()
    };
    if find("initrd").is_some() {
        return Err(Presence::WaitsForUnlock);
    }
    match find("boot_id") {
        None => Err(Presence::NoSshYet),
        Some(boot_id) if before == Some(boot_id.as_str()) => Err(Presence::StillUp),
        Some(boot_id) => Ok(Started { boot_id, running: find("running") }),
    }
}

/// Says what it means that a host could not be asked.
fn judge(error: &RemoteError) -> Presence {
    match &error.trouble {
        Trouble::Locked => Presence::WaitsForUnlock,
        Trouble::HostKey(_) => Presence::OtherHostKey,
        Trouble::Unreachable if error.nobody_listens => Presence::NoSshYet,
        Trouble::Unreachable | Trouble::Lost | Trouble::Slow(_) => Presence::Silent,
        Trouble::Denied | Trouble::NotRoot(_) | Trouble::Untrusted | Trouble::Here => {
            Presence::Refuses(error.cause.clone())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remote::{FakeRunner, Output};
    use std::sync::Mutex;

    /// A host that answers so, one after the other, and then always with the last.
    fn host(answers: Vec<Result<&'static str, Trouble>>) -> FakeRunner {
        let left = Mutex::new(answers.into_iter().peekable());
        FakeRunner::new(move |host, _| {
            let mut left = left.lock().unwrap();
            let next = left.next().unwrap();
            if left.peek().is_none() {
                *left = vec![next.clone()].into_iter().peekable();
            }
            match next {
                Ok(text) => Ok(Output { stdout: text.to_owned(), ..Output::default() }),
                Err(trouble) => Err(RemoteError::new(host, trouble, "Connection refused")),
            }
        })
    }

    async fn wait(
        runner: &FakeRunner,
        before: Option<&str>,
    ) -> (Result<Started, NotStarted>, Vec<Presence>) {
        let mut told = Vec::new();
        let limit = Duration::from_secs(120);
        let found = wait_until_started(runner, "samsung", before, limit, |presence| {
            told.push(presence.clone());
        });
        (found.await, told)
    }

    #[tokio::test(start_paused = true)]
    async fn a_restart_is_over_when_another_start_of_the_machine_answers() {
        let runner = host(vec![
            Ok("boot_id\told\nrunning\t/nix/store/a\n"),
            Err(Trouble::Lost),
            Err(Trouble::Unreachable),
            Err(Trouble::Locked),
            Ok("boot_id\tnew\nrunning\t/nix/store/b\n"),
        ]);
        let (found, told) = wait(&runner, Some("old")).await;
        let started = found.unwrap();
        assert_eq!(
            (started.boot_id.as_str(), started.running.as_deref()),
            ("new", Some("/nix/store/b"))
        );
        assert_eq!(
            told,
            [Presence::StillUp, Presence::Silent, Presence::NoSshYet, Presence::WaitsForUnlock]
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_disk_that_nobody_unlocks_is_said_when_the_time_is_over() {
        let runner = host(vec![Ok("initrd\ttrue\nboot_id\tnew\n")]);
        let (found, _) = wait(&runner, Some("old")).await;
        let said = found.unwrap_err().to_string();
        assert!(said.contains("waits for its disk to be unlocked"), "{said}");
        assert!(said.contains("did not come back within 2 min"), "{said}");
        let runner = host(vec![Err(Trouble::HostKey(crate::remote::KeyTrouble::Changed))]);
        let (found, _) = wait(&runner, Some("old")).await;
        assert_eq!(found.unwrap_err().last, Presence::OtherHostKey);
    }

    #[tokio::test(start_paused = true)]
    async fn a_refused_login_is_not_tried_until_the_address_is_shut_out() {
        let runner = host(vec![Err(Trouble::Denied)]);
        let (found, _) = wait(&runner, None).await;
        assert!(matches!(found.unwrap_err().last, Presence::Refuses(_)));
        assert!(runner.asked().len() < 12, "{}", runner.asked().len());
    }
}
