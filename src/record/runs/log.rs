//! Reading a host's log: its newest lines first, then what is added.
//!
//! A log is one file, and where it grew beyond what a run may take, further ones in the folders of the
//! end (`tail-1` …). Files are read at offsets, never mapped: one that is cut short while it is read is
//! an end and no crash. Only whole lines are taken.

use crate::fleet::{LogLine, RunId};
use crate::record::Runs;
use crate::record::runs::index::{LogIndex, index_of};
use crate::record::runs::stored::{self, StoredFile};
use crate::record::runs::{host_file, tail_folder, tails};
use std::io;
use std::path::{Path, PathBuf};

/// How many bytes are read at once.
const CHUNK: u64 = 256 * 1024;

/// How many bytes of the newest lines are read at most.
const NEWEST: u64 = 4 << 20;

/// How many bytes of what was added are taken at once.
const AT_ONCE: u64 = 1 << 20;

/// Lines of a host's log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogPart {
    /// Where these lines take the place of all that were read before: how many stand before them in the
    /// log's files.
    pub earlier: Option<u64>,
    /// The lines, oldest first.
    pub lines: Vec<LogLine>,
}

/// Reads the log of one host in a run.
#[derive(Debug)]
pub struct LogReader {
    runs: Runs,
    run: RunId,
    host: String,
    /// How many of the newest lines are wanted.
    newest: usize,
    /// The file that is read, and how far; none while there is no log.
    place: Option<LogPlace>,
}

/// How far a log was read.
#[derive(Debug)]
struct LogPlace {
    /// Which part of the log: 0 is its beginning.
    part: u64,
    file: StoredFile,
    offset: u64,
}

impl Runs {
    /// Begins to read the log of a host in a run; the first lines that come are the `newest`.
    pub fn read_log(&self, run: &RunId, host: &str, newest: usize) -> LogReader {
        let (run, host) = (run.clone(), host.to_owned());
        LogReader { runs: self.clone(), run, host, newest, place: None }
    }

    /// Returns the files that are the log of a host in a run, by their plain names, each with the number
    /// of its part, oldest lines first.
    pub(super) fn log_parts(&self, run: &RunId, host: &str) -> Vec<(u64, PathBuf)> {
        let dir = self.folder(run);
        let ends = tails(&dir).into_iter();
        let log_in = |folder: &Path| host_file(folder, host, "log");
        let ends = ends.map(|number| (number, log_in(&tail_folder(&dir, number))));
        std::iter::once((0, log_in(&dir)))
            .chain(ends)
            .filter(|(_, file)| stored::find(file).is_some())
            .collect()
    }
}

impl LogReader {
    /// Returns what is new: at first the newest lines, later what was added. Nothing when there is
    /// nothing new, or nothing that can be read.
    pub fn look(&mut self) -> Option<LogPart> {
        match self.place.take() {
            None => self.begin(),
            Some(place) => self.go_on(place),
        }
    }

    /// Returns how many of the newest lines come first.
    pub fn newest(&self) -> usize {
        self.newest
    }

    /// Reads the newest lines.
    fn begin(&mut self) -> Option<LogPart> {
        let parts = self.runs.log_parts(&self.run, &self.host);
        let mut found: Option<LogPart> = None;
        let mut earlier = 0;
        for (part, path) in parts.into_iter().rev() {
            // What was removed meanwhile is not read.
            let Ok(file) = StoredFile::open(&path) else { continue };
            let Ok(index) = LogIndex::read(&file, &index_of(&path)) else { continue };
            let lines = found.as_ref().map_or(0, |found| found.lines.len());
            if let Some(wanted) = self.newest.checked_sub(lines).filter(|wanted| *wanted > 0) {
                let newest = newest(&file, index.length, wanted).unwrap_or_default();
                earlier += index.lines.saturating_sub(newest.len() as u64);
                let later = found.take().map(|found| found.lines).unwrap_or_default();
                let lines = newest.into_iter().chain(later).collect();
                found = Some(LogPart { earlier: None, lines });
            } else {
                earlier += index.lines;
            }
            let offset = index.length;
            self.place.get_or_insert(LogPlace { part, file, offset });
        }
        found.map(|found| LogPart { earlier: Some(earlier), ..found })
    }

    /// Reads what was added; where that is more than anybody reads, or a part of it is gone, the newest
    /// lines again.
    fn go_on(&mut self, mut place: LogPlace) -> Option<LogPart> {
        let mut size = place.file.length().ok()?;
        if size == place.offset
            && let Some((part, path)) = self.next_part(place.part)
        {
            // Nothing is added to a part once the next one is there.
            size = place.file.length().ok()?;
            if size == place.offset {
                if part != place.part + 1 {
                    return self.begin();
                }
                place = LogPlace { part, file: StoredFile::open(&path).ok()?, offset: 0 };
                size = place.file.length().ok()?;
            }
        }
        if size < place.offset || size - place.offset > NEWEST {
            return self.begin();
        }
        let lines = added(&place.file, &mut place.offset, size).unwrap_or_default();
        self.place = Some(place);
        (!lines.is_empty()).then_some(LogPart { earlier: None, lines })
    }

    /// Returns the part of the log that comes after one.
    fn next_part(&self, part: u64) -> Option<(u64, PathBuf)> {
        let parts = self.runs.log_parts(&self.run, &self.host);
        parts.into_iter().find(|(number, _)| *number > part)
    }
}

/// Returns the newest lines of a file that has whole lines up to `end`, oldest first.
fn newest(file: &StoredFile, end: u64, count: usize) -> io::Result<Vec<LogLine>> {
    let (mut offset, _) = start_of_newest(file, end, count)?;
    let mut lines = Vec::new();
    while offset < end {
        let before = offset;
        lines.extend(added(file, &mut offset, end.min(before + CHUNK))?);
        if offset == before {
            // A line that is longer than all that is read at once.
            lines.extend(added(file, &mut offset, end)?);
        }
        if offset == before {
            break;
        }
    }
    Ok(lines)
}

/// Returns where the newest lines of a file begin that has whole lines up to `end`, and how many they are.
pub(super) fn start_of_newest(
    file: &StoredFile,
    end: u64,
    count: usize,
) -> io::Result<(u64, usize)> {
    let (mut start, mut breaks, mut chunk) = (end, 0, vec![0; CHUNK as usize]);
    // The last break ends the last line.
    while start > 0 {
        let size = CHUNK.min(start);
        let chunk = &mut chunk[..size as usize];
        let filled = file.fill_at(chunk, start - size)?;
        chunk[filled..].fill(0);
        start -= size;
        for (place, _) in chunk.iter().enumerate().rev().filter(|(_, byte)| **byte == b'\n') {
            let after = start + place as u64 + 1;
            if breaks == count || end - after > NEWEST {
                return Ok((after, breaks));
            }
            breaks += 1;
        }
    }
    Ok((0, breaks))
}

/// Returns the whole lines that stand in a file of that size from an offset on, which it moves; as many
/// as are taken at once.
fn added(file: &StoredFile, offset: &mut u64, size: u64) -> io::Result<Vec<LogLine>> {
    let mut bytes = vec![0; (size - *offset).min(AT_ONCE) as usize];
    let filled = file.fill_at(&mut bytes, *offset)?;
    let Some(last) = bytes[..filled].iter().rposition(|byte| *byte == b'\n') else {
        return Ok(Vec::new());
    };
    *offset += last as u64 + 1;
    Ok(bytes[..last].split(|byte| *byte == b'\n').map(LogLine::read).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::{Phase, RunEvent, RunWhat};
    use crate::record::RunWriter;
    use jiff::Timestamp;
    use std::fs::{self, OpenOptions};
    use std::io::Write;

    /// Returns a state folder, its runs and the writer of one, whose logs may take so many bytes.
    fn a_run(limit: u64) -> (tempfile::TempDir, Runs, RunWriter) {
        let dir = tempfile::tempdir().unwrap();
        let runs = Runs::open(dir.path()).unwrap();
        let writer = runs.begin(None).unwrap().with_limit(limit);
        (dir, runs, writer)
    }

    fn log(writer: &mut RunWriter, number: u64) {
        let at = Timestamp::from_second(i64::try_from(number).unwrap()).unwrap();
        let (host, line) = ("a".to_owned(), number.to_string());
        let what = RunWhat::log(host, Phase::Build, line);
        writer.write(&RunEvent { run: writer.run().clone(), at, what });
    }

    fn numbers(part: &LogPart) -> Vec<u64> {
        part.lines.iter().filter_map(|line| line.text.parse().ok()).collect()
    }

    #[test]
    fn the_newest_lines_come_first_then_what_is_added() {
        let (_dir, runs, mut writer) = a_run(1 << 30);
        let run = writer.run().clone();
        let mut reader = runs.read_log(&run, "a", 100);
        assert_eq!(reader.look(), None);
        for number in 0..20_000 {
            log(&mut writer, number);
        }
        writer.flush().unwrap();
        let part = reader.look().unwrap();
        assert_eq!((part.earlier, numbers(&part)), (Some(19_900), (19_900..20_000).collect()));
        assert_eq!(part.lines[0].phase, Some(Phase::Build));
        assert_eq!(reader.look(), None);
        for number in 20_000..20_010 {
            log(&mut writer, number);
        }
        writer.flush().unwrap();
        let part = reader.look().unwrap();
        assert_eq!((part.earlier, numbers(&part)), (None, (20_000..20_010).collect()));
        assert_eq!(reader.look(), None);
        // More lines than there are, and of a host without a log.
        let part = runs.read_log(&run, "a", 1 << 20).look().unwrap();
        assert_eq!((part.earlier, part.lines.len()), (Some(0), 20_010));
        assert_eq!(runs.read_log(&run, "b", 100).look(), None);
    }

    #[test]
    fn a_log_without_an_index_is_read_the_same_way() {
        let (_dir, runs, mut writer) = a_run(1 << 30);
        let run = writer.run().clone();
        for number in 0..5000 {
            log(&mut writer, number);
        }
        writer.finish();
        let with = runs.read_log(&run, "a", 10).look();
        fs::remove_file(runs.folder(&run).join("a.index")).unwrap();
        assert_eq!(runs.read_log(&run, "a", 10).look(), with);
        assert_eq!(with.unwrap().earlier, Some(4990));
    }

    #[test]
    fn a_half_line_is_read_when_it_is_whole() {
        let (_dir, runs, mut writer) = a_run(1 << 30);
        let run = writer.run().clone();
        log(&mut writer, 1);
        writer.flush().unwrap();
        let mut reader = runs.read_log(&run, "a", 10);
        assert_eq!(numbers(&reader.look().unwrap()), [1]);
        let path = runs.folder(&run).join("a.log");
        let mut file = OpenOptions::new().append(true).open(path).unwrap();
        file.write_all(b"1970-01-01T00:00:02Z build       2").unwrap();
        assert_eq!(reader.look(), None);
        file.write_all(b"2\n").unwrap();
        assert_eq!(numbers(&reader.look().unwrap()), [22]);
    }

    #[test]
    fn whoever_follows_a_log_whose_middle_is_removed_misses_no_line_and_sees_none_twice() {
        let (_dir, runs, mut writer) = a_run(20_000);
        let run = writer.run().clone();
        let mut reader = runs.read_log(&run, "a", 1000);
        let mut seen = Vec::new();
        for number in 0..2000 {
            log(&mut writer, number);
            if number % 10 == 0 {
                writer.flush().unwrap();
                while let Some(part) = reader.look() {
                    assert!(part.earlier.is_none() || seen.is_empty());
                    seen.extend(numbers(&part));
                }
            }
        }
        writer.finish();
        while let Some(part) = reader.look() {
            seen.extend(numbers(&part));
        }
        assert_eq!(seen, (0..2000).collect::<Vec<u64>>());
        // Whoever comes later reads its beginning and its end, with marks between.
        let part = runs.read_log(&run, "a", 5000).look().unwrap();
        let late = numbers(&part);
        assert!(late.is_sorted() && late.first() == Some(&0) && late.last() == Some(&1999));
        let marks = part.lines.iter().filter(|line| line.phase.is_none());
        assert!(marks.clone().count() > 0);
        assert!(marks.into_iter().all(|mark| mark.text.contains("max_run_size")));
    }

    #[test]
    fn whoever_falls_far_behind_goes_on_with_the_newest_lines() {
        let (_dir, runs, mut writer) = a_run(1 << 30);
        let run = writer.run().clone();
        log(&mut writer, 0);
        writer.flush().unwrap();
        let mut reader = runs.read_log(&run, "a", 10);
        reader.look().unwrap();
        let many = NEWEST / 30;
        for number in 1..many {
            log(&mut writer, number);
        }
        writer.flush().unwrap();
        let part = reader.look().unwrap();
        assert_eq!((part.earlier, part.lines.len()), (Some(many - 10), 10));
        // A file that was cut short is read again.
        let path = runs.folder(&run).join("a.log");
        OpenOptions::new().write(true).open(path).unwrap().set_len(1000).unwrap();
        assert_eq!(reader.look().unwrap().lines.len(), 10);
    }
}
