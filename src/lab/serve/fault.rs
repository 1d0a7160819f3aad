//! What a cache server is told to do wrong: a small file that it reads before each answer.

use std::path::Path;
use std::time::Duration;

/// The faults that are on. They can be on at the same time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Faults {
    /// Wait so long before each answer, in milliseconds.
    pub(crate) slow_ms: Option<u64>,
    /// Change a byte of every nar.
    pub(crate) corrupt_nar: bool,
    /// Have no nar, whatever the narinfos say.
    pub(crate) nar_missing: bool,
    /// Sign with another key under the same name.
    pub(crate) wrong_key: bool,
    /// Let nobody in.
    pub(crate) token_expired: bool,
}

impl Faults {
    /// Reads the file; no file, no faults.
    pub(crate) fn read(path: &Path) -> Self {
        std::fs::read_to_string(path).map(|text| Self::parse(&text)).unwrap_or_default()
    }

    fn parse(text: &str) -> Self {
        let mut faults = Self::default();
        for line in text.lines() {
            match line.split_once(' ').unwrap_or((line, "")) {
                ("slow", ms) => faults.slow_ms = ms.parse().ok(),
                ("corrupt-nar", _) => faults.corrupt_nar = true,
                ("nar-missing", _) => faults.nar_missing = true,
                ("wrong-key", _) => faults.wrong_key = true,
                ("token-expired", _) => faults.token_expired = true,
                _ => {}
            }
        }
        faults
    }

    /// The file's text.
    pub(crate) fn text(self) -> String {
        let slow = self.slow_ms.map(|ms| format!("slow {ms}\n")).unwrap_or_default();
        let corrupt = if self.corrupt_nar { "corrupt-nar\n" } else { "" };
        let missing = if self.nar_missing { "nar-missing\n" } else { "" };
        let wrong = if self.wrong_key { "wrong-key\n" } else { "" };
        let expired = if self.token_expired { "token-expired\n" } else { "" };
        format!("{slow}{corrupt}{missing}{wrong}{expired}")
    }

    /// Waits, if that is the fault.
    pub(crate) async fn delay(self) {
        if let Some(ms) = self.slow_ms {
            tokio::time::sleep(Duration::from_millis(ms)).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_survive_their_file() {
        for faults in [
            Faults::default(),
            Faults { slow_ms: Some(250), corrupt_nar: true, ..Faults::default() },
            Faults { nar_missing: true, ..Faults::default() },
            Faults { wrong_key: true, ..Faults::default() },
            Faults { token_expired: true, ..Faults::default() },
        ] {
            assert_eq!(Faults::parse(&faults.text()), faults);
        }
    }
}
