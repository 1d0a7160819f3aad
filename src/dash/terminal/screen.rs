//! What is written to the terminal: a frame as one synchronized update, and nothing at all where a frame
//! is like the one before.
//!
//! ratatui's backend sets colours and hides the cursor with every frame, also where no cell changed.

use crossterm::queue;
use crossterm::terminal::{BeginSynchronizedUpdate, EndSynchronizedUpdate};
use ratatui::backend::{Backend, ClearType, CrosstermBackend, WindowSize};
use ratatui::buffer::Cell;
use ratatui::layout::{Position, Size};
use std::io::{self, Write};

/// A terminal that hears only of changes. Whoever gives it away and takes it back hides its cursor.
pub(super) struct ChangesOnly<W: Write> {
    terminal: CrosstermBackend<W>,
    is_cursor_hidden: bool,
}

impl<W: Write> ChangesOnly<W> {
    /// Writes to a terminal whose cursor is hidden.
    pub(super) fn new(terminal: W) -> Self {
        Self { terminal: CrosstermBackend::new(terminal), is_cursor_hidden: true }
    }
}

impl<W: Write> Write for ChangesOnly<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.terminal.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Write::flush(&mut self.terminal)
    }
}

impl<W: Write> Backend for ChangesOnly<W> {
    type Error = io::Error;

    fn draw<'a, I>(&mut self, cells: I) -> io::Result<()>
    where
        I: Iterator<Item = (u16, u16, &'a Cell)>,
    {
        let mut cells = cells.peekable();
        if cells.peek().is_none() {
            return Ok(());
        }
        queue!(self.terminal, BeginSynchronizedUpdate)?;
        let drawn = self.terminal.draw(cells);
        // What was begun is ended however it went: a terminal would wait for the end.
        drawn.and(queue!(self.terminal, EndSynchronizedUpdate))
    }

    fn hide_cursor(&mut self) -> io::Result<()> {
        if !std::mem::replace(&mut self.is_cursor_hidden, true) {
            self.terminal.hide_cursor()?;
        }
        Ok(())
    }

    fn show_cursor(&mut self) -> io::Result<()> {
        self.is_cursor_hidden = false;
        self.terminal.show_cursor()
    }

    fn get_cursor_position(&mut self) -> io::Result<Position> {
        self.terminal.get_cursor_position()
    }

    fn set_cursor_position<P: Into<Position>>(&mut self, position: P) -> io::Result<()> {
        self.terminal.set_cursor_position(position)
    }

    fn clear(&mut self) -> io::Result<()> {
        self.terminal.clear()
    }

    fn clear_region(&mut self, region: ClearType) -> io::Result<()> {
        self.terminal.clear_region(region)
    }

    fn size(&self) -> io::Result<Size> {
        self.terminal.size()
    }

    fn window_size(&mut self) -> io::Result<WindowSize> {
        self.terminal.window_size()
    }

    fn flush(&mut self) -> io::Result<()> {
        Backend::flush(&mut self.terminal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ratatui::layout::Rect;
    use ratatui::{Terminal, TerminalOptions, Viewport};

    #[test]
    fn a_frame_like_the_one_before_writes_nothing() {
        let written = tempfile::NamedTempFile::new().unwrap();
        let backend = ChangesOnly::new(written.reopen().unwrap());
        let viewport = Viewport::Fixed(Rect::new(0, 0, 20, 2));
        let mut screen = Terminal::with_options(backend, TerminalOptions { viewport }).unwrap();
        let mut draw = |text: &'static str| {
            screen.draw(|frame| frame.render_widget(text, frame.area())).unwrap();
            std::fs::read_to_string(written.path()).unwrap()
        };
        let first = draw("up");
        assert!(
            first.starts_with("\u{1b}[?2026h") && first.ends_with("\u{1b}[?2026l"),
            "{first:?}"
        );
        assert_eq!(draw("up"), first);
        assert!(draw("down").len() > first.len());
    }
}
