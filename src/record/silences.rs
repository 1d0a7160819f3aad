//! What a person silenced on the screen or with `nixdash silence`: one small file for each hosts.toml.
//!
//! hosts.toml itself is never written. Who changes the file holds a lock and puts a whole new file in
//! its place, so that a dashboard and a command line beside it lose nothing of each other.

use crate::fleet::{Silence, SilenceOrigin};
use crate::record::place::{make_own_folder, name_of, put_whole};
use jiff::{SignedDuration, Timestamp};
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

/// Biggest file that is read, in bytes.
const LIMIT: u64 = 1 << 20;

/// How long one that is over is kept: so long its finding says that it was silenced.
const KEPT: SignedDuration = SignedDuration::from_hours(7 * 24);

/// The silences of the fleet of one hosts.toml.
#[derive(Clone, Debug)]
pub struct KeptSilences {
    file: PathBuf,
}

impl KeptSilences {
    /// Returns those of a hosts.toml, in this folder of the state; without a file those of the fleet that
    /// nixdash shows then.
    pub fn of(state: &Path, hosts_file: Option<&Path>) -> Self {
        let name = hosts_file.map_or_else(|| "no-file".to_owned(), name_of);
        Self { file: state.join("silences").join(format!("{name}.json")) }
    }

    /// Reads them; none where there is no such file.
    pub fn all(&self) -> io::Result<Vec<Silence>> {
        let file = match File::open(&self.file) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut text = String::new();
        file.take(LIMIT).read_to_string(&mut text)?;
        let mut all: Vec<Silence> = serde_json::from_str(&text)?;
        for silence in &mut all {
            silence.origin = SilenceOrigin::State;
        }
        Ok(all)
    }

    /// Adds one, in the place of another one for the same; returns all that there are then.
    pub fn add(&self, silence: Silence, now: Timestamp) -> io::Result<Vec<Silence>> {
        self.change(now, |all| {
            all.retain(|known| !known.is_for_the_same(&silence));
            all.push(Silence { origin: SilenceOrigin::State, ..silence });
        })
    }

    /// Ends those for the same as this one; returns all that there are then.
    pub fn end(&self, silence: &Silence, now: Timestamp) -> io::Result<Vec<Silence>> {
        self.change(now, |all| all.retain(|known| !known.is_for_the_same(silence)))
    }

    fn change(
        &self,
        now: Timestamp,
        change: impl FnOnce(&mut Vec<Silence>),
    ) -> io::Result<Vec<Silence>> {
        let folder = self.file.parent().unwrap_or(Path::new("."));
        make_own_folder(folder)?;
        let lock = File::create(self.file.with_extension("lock"))?;
        lock.lock()?;
        let mut all = self.all()?;
        all.retain(|known| !known.until.is_over(now - KEPT));
        change(&mut all);
        put_whole(&self.file, serde_json::to_string_pretty(&all)?.as_bytes())?;
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::{Code, SilenceEnd};
    use std::fs;

    fn silence(host: &str, reason: &str, until: Timestamp) -> Silence {
        Silence {
            code: Code::DiskLow,
            host: Some(host.to_owned()),
            tier: None,
            reason: reason.to_owned(),
            until: SilenceEnd::At(until),
            severity: None,
            detail: None,
            origin: SilenceOrigin::State,
        }
    }

    #[test]
    fn what_is_silenced_is_kept_for_each_file_and_a_newer_word_replaces_the_older() {
        let state = tempfile::tempdir().unwrap();
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let later = now + SignedDuration::from_hours(1);
        let here = KeptSilences::of(state.path(), Some(Path::new("/a/hosts.toml")));
        assert_eq!(here.all().unwrap(), []);
        here.add(silence("razer", "old", later), now).unwrap();
        here.add(silence("razer", "new", later), now).unwrap();
        here.add(silence("p510", "other", later), now).unwrap();
        let reasons: Vec<String> = here.all().unwrap().into_iter().map(|it| it.reason).collect();
        assert_eq!(reasons, ["new", "other"]);
        let elsewhere = KeptSilences::of(state.path(), Some(Path::new("/b/hosts.toml")));
        assert_eq!(elsewhere.all().unwrap(), []);
        here.end(&silence("razer", "", later), now).unwrap();
        assert_eq!(here.all().unwrap().len(), 1);
    }

    #[test]
    fn one_that_is_over_for_a_week_is_forgotten() {
        let state = tempfile::tempdir().unwrap();
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let kept = KeptSilences::of(state.path(), None);
        kept.add(silence("razer", "over", now), now).unwrap();
        let soon = now + SignedDuration::from_hours(24);
        kept.add(silence("p510", "over too", soon), soon).unwrap();
        assert_eq!(kept.all().unwrap().len(), 2, "its finding says that it was silenced");
        let week = now + KEPT;
        kept.end(&silence("nobody", "", week), week).unwrap();
        let reasons: Vec<String> = kept.all().unwrap().into_iter().map(|it| it.reason).collect();
        assert_eq!(reasons, ["over too"]);
    }

    #[test]
    fn a_file_that_is_not_readable_is_an_error_and_is_not_written_over() {
        let state = tempfile::tempdir().unwrap();
        let kept = KeptSilences::of(state.path(), None);
        fs::create_dir_all(kept.file.parent().unwrap()).unwrap();
        fs::write(&kept.file, "not json").unwrap();
        let now = Timestamp::UNIX_EPOCH;
        assert!(kept.all().is_err());
        assert!(kept.add(silence("razer", "x", now), now).is_err());
        assert_eq!(fs::read_to_string(&kept.file).unwrap(), "not json");
    }
}
