//! The settings of Nix on targets, which a phase need not ask for again a moment after another read them.

use crate::nix::settings::Settings;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// How long settings that were read count as those that hold.
const FRESH: Duration = Duration::from_secs(30);

/// What was read, with the time at which it was, by host.
#[derive(Default)]
pub(super) struct ReadSettings {
    read: Mutex<HashMap<String, (Instant, Settings)>>,
}

impl ReadSettings {
    /// Notes what was read on a host just now; settings that could not be read are not noted.
    pub(super) fn note(&self, host: &str, settings: &Settings) {
        if !settings.is_empty() {
            let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
            read.insert(host.to_owned(), (Instant::now(), settings.clone()));
        }
    }

    /// Returns the settings of a host, where they were read a moment ago.
    pub(super) fn fresh(&self, host: &str) -> Option<Settings> {
        let read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, settings) = read.get(host)?;
        (at.elapsed() < FRESH).then(|| settings.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn settings_that_were_read_a_while_ago_are_asked_for_again() {
        let read = ReadSettings::default();
        read.note("samsung", &Settings::parse(""));
        assert_eq!(read.fresh("samsung"), None, "nothing was read");
        let settings = Settings::parse("substitute = true\n");
        read.note("samsung", &settings);
        assert_eq!(read.fresh("samsung"), Some(settings));
        assert_eq!(read.fresh("razer"), None);
        tokio::time::advance(FRESH).await;
        assert_eq!(read.fresh("samsung"), None);
    }
}
