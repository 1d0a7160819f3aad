//! Copies and saves rows of a pane of logs.
//!
//! All text that is copied is printable: no control byte of a log reaches a clipboard.

use super::rows::PaneRows;
use crate::cli::clipboard::ClipboardWays;
use crate::dash::{Msg, PaneRow, RowsOf, RowsTaken};
use crate::fleet::{LogLine, number_of};
use crate::record::{LineLevel, RecordError, Runs};
use std::fs::OpenOptions;
use std::io::{BufWriter, Write};
use std::ops::Range;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// How many lines stand before an error that is copied, and behind it.
const AROUND: u64 = 10;

/// Most bytes that are read to be copied: more than a clipboard takes.
const MOST: usize = 1 << 20;

/// How long the rows are looked at in one go.
const PATIENCE: Duration = Duration::from_secs(3);

/// How many rows are read at once.
const PIECE: u64 = 4096;

/// Copies rows, and says what came of it.
pub(super) async fn copy(runs: Runs, of: RowsOf, what: RowsTaken, messages: mpsc::Sender<Msg>) {
    let read = tokio::task::spawn_blocking(move || text_of(&runs, &of, &what)).await;
    let message = match read {
        Ok(Ok(Some((text, what)))) => ClipboardWays::here().copy(text, what).await,
        Ok(Ok(None)) => said("no line there tells of an error", false),
        Ok(Err(error)) => said(error.to_string(), true),
        // The thread ends early only with the whole program.
        Err(_) => return,
    };
    // A screen that is gone needs no telling.
    drop(messages.send(message).await);
}

/// Returns the text that is to be copied and what it is; nothing where there is none.
pub(super) fn text_of(
    runs: &Runs,
    of: &RowsOf,
    what: &RowsTaken,
) -> Result<Option<(String, String)>, RecordError> {
    let rows = all_rows(runs, of)?;
    let (wanted, error) = match what {
        RowsTaken::Rows(wanted) => (wanted.clone(), false),
        RowsTaken::AroundTrouble(at) => match trouble_near(&rows, *at)? {
            Some(row) => (row.saturating_sub(AROUND)..row + AROUND + 1, true),
            None => return Ok(None),
        },
    };
    let mut text = String::new();
    let mut lines = 0;
    each(&rows, wanted, |row| {
        if lines > 0 {
            text.push('\n');
        }
        text.push_str(&row.text);
        lines += 1;
        // One byte too many is enough to say that it is too much.
        text.len() <= MOST
    })?;
    let count = number_of(lines, "line");
    let what = if error { format!("the error with the lines around it ({count})") } else { count };
    Ok((lines > 0).then_some((text, what)))
}

/// Returns the row that tells of an error: this one, or else the nearest before it, or behind it.
fn trouble_near(rows: &PaneRows, at: u64) -> Result<Option<u64>, RecordError> {
    let mut end = (at + 1).min(rows.count());
    while end > 0 {
        let begin = end.saturating_sub(PIECE);
        let piece = rows.rows(begin..end)?;
        if let Some(found) = piece.iter().rposition(|row| row.level == LineLevel::Error) {
            return Ok(Some(begin + found as u64));
        }
        end = begin;
    }
    let (mut number, mut found) = (at, None);
    each(rows, at..rows.count(), |row| {
        found = (row.level == LineLevel::Error).then_some(number);
        number += 1;
        found.is_none()
    })?;
    Ok(found)
}

/// Reads which lines are rows, all of them.
fn all_rows(runs: &Runs, of: &RowsOf) -> Result<PaneRows, RecordError> {
    let mut rows = PaneRows::new(runs, of);
    rows.look()?;
    while !rows.go_on(Instant::now() + PATIENCE, &|| true)? {}
    Ok(rows)
}

/// Gives rows one after the other, as long as more are wanted.
fn each(
    rows: &PaneRows,
    wanted: Range<u64>,
    mut take: impl FnMut(&PaneRow) -> bool,
) -> Result<(), RecordError> {
    let end = wanted.end.min(rows.count());
    let mut at = wanted.start;
    while at < end {
        let piece = rows.rows(at..(at + PIECE).min(end))?;
        if piece.is_empty() || !piece.iter().all(&mut take) {
            return Ok(());
        }
        at += PIECE;
    }
    Ok(())
}

/// Saves rows, and says what came of it.
pub(super) async fn save(runs: Runs, of: RowsOf, file: String, messages: mpsc::Sender<Msg>) {
    let saved = tokio::task::spawn_blocking(move || save_in(&runs, &of, &file)).await;
    let message = match saved {
        Ok(Ok(saved)) => said(saved.sentence(), saved.is_cut),
        Ok(Err(why)) => said(why, true),
        // The thread ends early only with the whole program.
        Err(_) => return,
    };
    // A screen that is gone needs no telling.
    drop(messages.send(message).await);
}

/// What was saved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SavedRows {
    /// The file.
    pub(super) path: PathBuf,
    /// How many lines it has.
    pub(super) lines: u64,
    /// Whether there were more than are kept at once, which it lacks.
    pub(super) is_cut: bool,
}

impl SavedRows {
    fn sentence(&self) -> String {
        let Self { path, lines, is_cut } = self;
        let saved = format!("saved {lines} lines in {}", path.display());
        if *is_cut {
            format!("{saved}; too many lines match, so the last ones are not in the file")
        } else {
            saved
        }
    }
}

/// Saves rows in a new file, readable for its owner alone.
pub(super) fn save_in(runs: &Runs, of: &RowsOf, file: &str) -> Result<SavedRows, String> {
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let path = match (file.strip_prefix("~/"), home) {
        (Some(rest), Some(home)) => home.join(rest),
        (Some(_) | None, _) => PathBuf::from(file),
    };
    let failed = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => {
            format!("{} is there already and stays as it is; choose another name", path.display())
        }
        _ => format!("the lines could not be saved in {}: {error}", path.display()),
    };
    let opened = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
    let mut out = BufWriter::new(opened.map_err(failed)?);
    let written = write_rows(&mut out, runs, of).map_err(|error| error.to_string())?;
    let WrittenRows { lines, is_cut, .. } = written.map_err(failed)?;
    Ok(SavedRows { path, lines, is_cut })
}

/// How much of rows was written.
pub(super) struct WrittenRows {
    /// How many rows, each a line of the file.
    pub(super) rows: u64,
    /// How many lines of the log these are.
    pub(super) lines: u64,
    /// Whether there were more than are kept at once.
    pub(super) is_cut: bool,
}

/// Writes rows, and says how many; the inner error is that of whoever takes them.
pub(super) fn write_rows(
    out: &mut impl Write,
    runs: &Runs,
    of: &RowsOf,
) -> Result<std::io::Result<WrittenRows>, RecordError> {
    let rows = all_rows(runs, of)?;
    let (mut count, mut lines) = (0, 0);
    let mut refused = None;
    let names = of.hosts.iter().map(String::len).max().unwrap_or_default();
    each(&rows, 0..rows.count(), |row| {
        let written = out.write_all(saved_line(row, of, names).as_bytes());
        refused = written.err();
        count += 1;
        lines += row.times;
        refused.is_none()
    })?;
    Ok(match refused.or(out.flush().err()) {
        Some(error) => Err(error),
        None => Ok(WrittenRows { rows: count, lines, is_cut: rows.is_cut() }),
    })
}

/// Returns a row as it stands in a file: as in the log, with the host's name where there are several.
fn saved_line(row: &PaneRow, of: &RowsOf, names: usize) -> String {
    let line = LogLine::plain(row.at, row.phase, &row.text).written();
    let line = match of.hosts.get(row.place.host).filter(|_| of.hosts.len() > 1) {
        Some(host) => format!("{host:names$}  {line}"),
        None => line,
    };
    if row.times > 1 { format!("{} (× {})\n", line.trim_end(), row.times) } else { line }
}

fn said(text: impl Into<String>, bad: bool) -> Msg {
    Msg::Said { text: text.into(), bad }
}
