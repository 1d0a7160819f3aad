//! Why the host failed, above its log.
//!
//! ```text
//!  ✗ part77.c:118:17: error: implicit declaration of function 'f'
//!    openssl-3.5.1 failed: builder for 'openssl-3.5.1.drv' failed with exit code 2
//!    needed by curl-8.17 → firefox-145.0 → nixos-system-samsung; 12 derivations were not built
//! ```

use crate::dash::model::Model;
use crate::dash::panes::logs::activity::FailureShown;
use crate::dash::panes::logs::state::LogFace;
use crate::dash::theme::Role;
use crate::dash::widgets::text::{wrap, wrap_to};
use crate::dash::words::short_paths;
use crate::fleet::words::without_name;

/// Most of a chain of derivations that is named.
const CHAIN: usize = 4;

/// The least rows that a log keeps below.
const LOG: u16 = 5;

/// Returns the lines that say why the host failed, each with its role, as many as the pane has room for.
pub(super) fn lines(model: &Model, columns: u16, rows: u16) -> Vec<(Role, String)> {
    let (Some(run), Some(host)) = (model.shown_run(), model.shown_host_run()) else {
        return Vec::new();
    };
    if model.log.all_hosts || model.log.face != LogFace::Log {
        return Vec::new();
    }
    let failure = model.log.activity_of(&run.id, &host.host);
    let failure = failure.and_then(|shown| shown.failure.as_ref());
    let error = host.result.as_ref().filter(|result| !result.outcome.is_good());
    let parts = match (failure, error.and_then(|result| result.error.clone())) {
        (Some(failure), _) => parts(failure),
        (None, Some(error)) => {
            vec![(Role::Error, short_paths(without_name(&host.host, &error)), 3)]
        }
        (None, None) => return Vec::new(),
    };
    let room = usize::from(columns).saturating_sub(4).max(8);
    let most = usize::from((rows / 3).min(rows.saturating_sub(LOG)));
    let mut lines = Vec::new();
    for ((role, text, _), height) in parts.iter().zip(heights(&parts, room, most)) {
        for line in wrap_to(text, room, height) {
            let sign = if lines.is_empty() { "✗" } else { " " };
            lines.push((*role, format!(" {sign} {line}")));
        }
    }
    lines
}

/// Returns how many of so many rows each part takes: what it may, and what others leave free where it needs
/// more, the first parts first.
fn heights(parts: &[(Role, String, usize)], room: usize, mut rows: usize) -> Vec<usize> {
    let mut heights = vec![0; parts.len()];
    let whole: Vec<usize> = parts.iter().map(|(_, text, _)| wrap(text, room).len()).collect();
    let planned = whole.iter().zip(parts).map(|(whole, (_, _, height))| *whole.min(height));
    for wanted in [planned.collect(), whole.clone()] {
        for (height, wanted) in heights.iter_mut().zip::<Vec<usize>>(wanted) {
            let more = wanted.saturating_sub(*height).min(rows);
            (*height, rows) = (*height + more, rows - more);
        }
    }
    heights
}

/// Returns what is said of a failure, the most important first, each with the rows that it may take.
fn parts(failure: &FailureShown) -> Vec<(Role, String, usize)> {
    let cause = short_paths(&failure.cause);
    let first = match &failure.name {
        Some(name) => format!("{name} failed: {cause}"),
        None => cause,
    };
    let mut parts = match &failure.said {
        Some(said) if failure.names_a_cause => {
            vec![(Role::Error, said.clone(), 2), (Role::Text, first, 1)]
        }
        Some(said) => {
            vec![(Role::Error, first, 1), (Role::Error, format!("its last words: {said}"), 2)]
        }
        None => vec![(Role::Error, first, 3)],
    };
    if let Some(chain) = chain(failure) {
        parts.push((Role::Text, chain, 2));
    }
    if let Some(advice) = failure.advice {
        parts.push((Role::Text, advice.to_owned(), 2));
    }
    parts
}

/// Returns what needed the derivation that failed, from near to far.
fn chain(failure: &FailureShown) -> Option<String> {
    let not_built = match failure.not_built {
        0 => None,
        1 => Some("1 derivation was not built because of it".to_owned()),
        count => Some(format!("{count} derivations were not built because of it")),
    };
    let names = &failure.needed_by;
    let way = match names.len() {
        0 => return not_built,
        count if count <= CHAIN => names.join(" → "),
        count => {
            let near = names[..CHAIN - 2].join(" → ");
            format!("{near} → … {} more … → {}", count - CHAIN + 1, names[count - 1])
        }
    };
    let way = format!("needed by {way}");
    Some(not_built.map_or(way.clone(), |not_built| format!("{way}; {not_built}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_takes_the_rows_that_others_leave_free() {
        let part = |text: &str, height| (Role::Text, text.to_owned(), height);
        let parts = [part("one", 2), part("one two three four", 1), part("one two", 2)];
        assert_eq!(heights(&parts, 5, 9), [1, 4, 2]);
        assert_eq!(heights(&parts, 5, 5), [1, 2, 2], "what others may take is left to them");
        assert_eq!(heights(&parts, 5, 2), [1, 1, 0]);
    }

    #[test]
    fn a_long_chain_names_what_is_near_and_what_was_asked_for() {
        let failure = |count: usize, not_built: u64| FailureShown {
            name: Some("a-1".to_owned()),
            lines: None,
            cause: String::new(),
            said: None,
            names_a_cause: false,
            needed_by: (1..=count).map(|number| format!("n{number}")).collect(),
            not_built,
            advice: None,
        };
        assert_eq!(chain(&failure(0, 0)), None);
        assert_eq!(chain(&failure(2, 0)).as_deref(), Some("needed by n1 → n2"));
        let long =
            "needed by n1 → n2 → … 6 more … → n9; 12 derivations were not built because of it";
        assert_eq!(chain(&failure(9, 12)).as_deref(), Some(long));
    }
}
