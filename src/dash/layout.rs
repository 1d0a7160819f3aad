//! Where the parts of the screen are: worked out once, for what is drawn and for what keys do.
//!
//! ```text
//!  nixdash  ~/nixos 3f2c1ab clean                                       12:04    title
//!  4 hosts  3 up · 1 unreachable    coverage  p620 98 % · nixos.org 61 %   no run    overview
//!  1 Fleet   2 Caches   3 Deploy   4 Logs   5 History                            tabs
//! ───────────────────────────────────────────────────────────────────────────    top rule
//!  the view                                                                      body
//! ───────────────────────────────────────────────────────────────────────────    bottom rule
//!  ↑↓ select   d deploy   b build   / filter   : palette   ? help   q quit       footer
//! ```
//!
//! What lies inside of the body is the matter of each view, which is given this body both when it is
//! drawn and when a key is pressed in it.

use crate::dash::model::Model;
use ratatui::layout::Rect;

/// From this many rows and columns on, the title, the tabs and the rules have room.
const FULL: (u16, u16) = (20, 60);

/// With fewer columns or rows, one line is all that is left.
const SMALLEST: (u16, u16) = (20, 4);

/// From this many rows on, the footer has room.
const WITH_FOOTER: u16 = 6;

/// The parts of the screen; what has no room has no rectangle.
#[derive(Clone, Copy, Debug)]
pub(super) struct ScreenLayout {
    pub(super) title: Option<Rect>,
    pub(super) overview: Rect,
    pub(super) tabs: Option<Rect>,
    pub(super) top_rule: Option<Rect>,
    /// The row of what to try next of the practice fleet.
    pub(super) next_try: Option<Rect>,
    /// Where the view is.
    pub(super) body: Rect,
    pub(super) bottom_rule: Option<Rect>,
    pub(super) footer: Option<Rect>,
    /// Where overlays lie: over everything but the footer.
    pub(super) over: Rect,
    /// The row of the sentence of the moment.
    pub(super) toast: Option<Rect>,
}

/// Returns whether a screen has room for one line alone.
pub(super) fn is_one_line(columns: u16, rows: u16) -> bool {
    columns < SMALLEST.0 || rows < SMALLEST.1
}

/// Returns where the parts of a model's screen are.
pub(super) fn layout(model: &Model) -> ScreenLayout {
    ScreenLayout::of(Rect::new(0, 0, model.size.0, model.size.1)).for_model(model)
}

impl ScreenLayout {
    /// Returns where the parts of a screen are.
    pub(super) fn of(area: Rect) -> Self {
        let full = area.height >= FULL.0 && area.width >= FULL.1;
        let has_footer = area.height >= WITH_FOOTER;
        let mut top = area.y;
        let mut next = |wanted: bool| {
            let row = Rect { y: top, height: 1, ..area };
            top += u16::from(wanted);
            wanted.then_some(row)
        };
        let title = next(full);
        let overview = next(true).unwrap_or(area);
        let tabs = next(full);
        let top_rule = next(full);
        let mut bottom = area.bottom();
        let mut last = |wanted: bool| {
            bottom -= u16::from(wanted);
            wanted.then_some(Rect { y: bottom, height: 1, ..area })
        };
        let footer = last(has_footer);
        let bottom_rule = last(full);
        let body = Rect { y: top, height: bottom.saturating_sub(top), ..area };
        let over = Rect { height: footer.map_or(area.height, |row| row.y - area.y), ..area };
        let toast = bottom_rule.or(footer);
        let next_try = None;
        Self { title, overview, tabs, top_rule, next_try, body, bottom_rule, footer, over, toast }
    }

    /// Returns them as a model has them: the practice fleet takes a row for what to try next, where
    /// nothing else has lost its own.
    pub(super) fn for_model(mut self, model: &Model) -> Self {
        let has_next = model.practice.as_ref().is_some_and(|practice| practice.next().is_some());
        if has_next && self.top_rule.is_some() {
            self.next_try = Some(Rect { height: 1, ..self.body });
            self.body = Rect { y: self.body.y + 1, height: self.body.height - 1, ..self.body };
        }
        self
    }
}

/// Returns by how many rows a page moves in that body.
pub(super) fn page(body: Rect) -> u16 {
    body.height.saturating_sub(2).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_large_screen_has_every_part_and_a_small_one_the_view_and_the_overview() {
        let large = ScreenLayout::of(Rect::new(0, 0, 80, 24));
        let rows = [large.title, large.tabs, large.top_rule, large.bottom_rule, large.footer];
        assert_eq!(rows.map(|row| row.map(|row| row.y)), [0, 2, 3, 22, 23].map(Some));
        assert_eq!((large.body, page(large.body)), (Rect::new(0, 4, 80, 18), 16));
        assert_eq!((large.over.height, large.toast), (23, large.bottom_rule));
        let small = ScreenLayout::of(Rect::new(0, 0, 40, 5));
        assert!(small.title.is_none() && small.footer.is_none() && small.toast.is_none());
        assert_eq!((small.body, small.over), (Rect::new(0, 1, 40, 4), Rect::new(0, 0, 40, 5)));
    }

    proptest! {
        #[test]
        fn no_part_lies_outside_of_the_screen_or_over_another(columns in 1u16..300, rows in 1u16..100) {
            let area = Rect::new(0, 0, columns, rows);
            let all = ScreenLayout::of(area);
            let rows = [all.title, Some(all.overview), all.tabs, all.top_rule, Some(all.body)];
            let parts = rows.into_iter().chain([all.bottom_rule, all.footer]).flatten();
            let mut used = 0;
            for part in parts {
                prop_assert!(area.union(part) == area, "{part:?}");
                prop_assert_eq!(part.y, used);
                used += part.height;
            }
            prop_assert_eq!(used, area.height);
        }
    }
}
