//! Rows of text in columns under headings, for a list in a box.

use crate::dash::widgets::text::{cut, left, right, width};

/// Columns between two columns.
const GAP: usize = 2;

/// A column of a list.
pub(in crate::dash) struct ListColumn {
    /// What stands above it.
    pub(in crate::dash) title: &'static str,
    /// What stands in it, a text for each row.
    pub(in crate::dash) cells: Vec<String>,
    /// Whether its texts end at its right, as figures do.
    pub(in crate::dash) at_right: bool,
    /// The least columns with which it is worth showing, where its texts may be cut.
    pub(in crate::dash) least: Option<usize>,
}

impl ListColumn {
    /// Returns a column of words.
    pub(in crate::dash) fn words(title: &'static str, cells: Vec<String>) -> Self {
        Self { title, cells, at_right: false, least: None }
    }

    /// Returns a column of figures.
    pub(in crate::dash) fn figures(title: &'static str, cells: Vec<String>) -> Self {
        Self { at_right: true, ..Self::words(title, cells) }
    }

    /// Lets its texts be cut, down to so many columns.
    pub(in crate::dash) fn at_least(self, columns: usize) -> Self {
        Self { least: Some(columns), ..self }
    }

    /// Returns the columns of its widest text.
    fn widest(&self) -> usize {
        self.cells.iter().map(|cell| width(cell)).max().unwrap_or_default().max(width(self.title))
    }
}

/// Returns the headings and the rows of columns, of which what matters more comes first: those that have no
/// room are left out.
pub(in crate::dash) fn in_columns(columns: &[ListColumn], room: usize) -> (String, Vec<String>) {
    let mut shown: Vec<(&ListColumn, usize)> = Vec::new();
    let mut free = room;
    for column in columns {
        let gap = if shown.is_empty() { 0 } else { GAP };
        let most = free.saturating_sub(gap);
        let (widest, least) = (column.widest(), column.least.unwrap_or(usize::MAX));
        if widest <= most || least <= most {
            let columns = widest.min(most);
            free = most - columns;
            shown.push((column, columns));
        }
    }
    let rows = columns.iter().map(|column| column.cells.len()).max().unwrap_or_default();
    let row = |text: &dyn Fn(&ListColumn) -> String| {
        let cells = shown.iter().map(|(column, columns)| {
            let text = cut(&text(column), *columns);
            if column.at_right { right(&text, *columns) } else { left(&text, *columns) }
        });
        cells.collect::<Vec<_>>().join(&" ".repeat(GAP)).trim_end().to_owned()
    };
    let heading = row(&|column| column.title.to_owned());
    let cell = |column: &ListColumn, at: usize| column.cells.get(at).cloned().unwrap_or_default();
    (heading, (0..rows).map(|at| row(&|column| cell(column, at))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns() -> [ListColumn; 3] {
        let cells = |cells: [&str; 2]| cells.map(str::to_owned).to_vec();
        [
            ListColumn::words("UNIT", cells(["a.service", "b"])),
            ListColumn::figures("MEMORY", cells(["–", "5.24 MB"])),
            ListColumn::words("WHAT IT IS", cells(["Server of a", "B"])).at_least(6),
        ]
    }

    #[test]
    fn every_column_has_its_heading_and_rows_stand_below_each_other() {
        let (heading, rows) = in_columns(&columns(), 40);
        assert_eq!(heading, "UNIT        MEMORY  WHAT IT IS");
        assert_eq!(rows, ["a.service        –  Server of a", "b          5.24 MB  B"]);
    }

    #[test]
    fn what_may_be_cut_is_cut_and_what_has_no_room_is_left_out_as_a_whole() {
        let (heading, rows) = in_columns(&columns(), 27);
        assert_eq!(heading, "UNIT        MEMORY  WHAT I…");
        assert_eq!(rows[0], "a.service        –  Server…");
        assert_eq!(in_columns(&columns(), 20).0, "UNIT        MEMORY");
        assert_eq!(in_columns(&columns(), 12).0, "UNIT");
    }
}
