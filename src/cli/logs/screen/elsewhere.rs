//! Rows of a log in the person's own pager or editor: a copy of what the pane shows, which goes when the
//! program has ended. Logs that are kept compressed are read as all others are.

use super::taken::write_rows;
use crate::cli::viewer::{self, Viewer};
use crate::dash::{KeptFile, Msg, RowsOf};
use crate::record::Runs;
use std::io::BufWriter;
use tempfile::NamedTempFile;
use tokio::sync::mpsc;

/// Rows of a log.
pub(super) struct RowsElsewhere {
    pub(super) runs: Runs,
    pub(super) of: RowsOf,
    /// The row to begin at; none means the last.
    pub(super) row: Option<u64>,
}

/// Makes the copy, and hands the program that opens it to the screen.
pub(super) async fn open(viewer: Viewer, rows: RowsElsewhere, messages: mpsc::Sender<Msg>) {
    let copied = tokio::task::spawn_blocking(move || copy(&rows)).await;
    let message = match copied {
        Ok(Ok((file, line))) => {
            let path = file.path().to_owned();
            let program = viewer::program(viewer, "the log", &path, line, Some(file));
            Msg::Program(Box::new(program))
        }
        Ok(Err(text)) => Msg::Said { text, bad: true },
        // The thread ends early only with the whole program.
        Err(_) => return,
    };
    // A screen that is gone needs no telling.
    drop(messages.send(message).await);
}

/// Writes rows into a file that only its owner can read; returns it and the line to begin at.
pub(super) fn copy(rows: &RowsElsewhere) -> Result<(KeptFile, Option<u64>), String> {
    let failed = |error: std::io::Error| {
        format!(
            "no copy of the log could be made: {error}; is the disk of the temporary folder full?"
        )
    };
    let file =
        tempfile::Builder::new().prefix("nixdash-").suffix(".log").tempfile().map_err(failed)?;
    let mut out = BufWriter::new(file);
    let written = write_rows(&mut out, &rows.runs, &rows.of).map_err(|error| error.to_string())?;
    let file: NamedTempFile = out.into_inner().map_err(|error| failed(error.into_error()))?;
    let written = written.map_err(failed)?;
    let line = rows.row.map_or(written.rows, |row| (row + 1).min(written.rows));
    Ok((KeptFile::new(file.into_temp_path()), (line > 0).then_some(line)))
}
