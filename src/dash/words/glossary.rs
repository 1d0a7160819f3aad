//! What the signs and words of each view mean: the legend and the glossary of the help.

use crate::dash::model::Screen;
use crate::dash::theme::Role;
use Role::{Accent, Busy, Dim, Error, Graph, Ok, Text, Warn};
use Screen::{Caches, Deploy, Fleet, History, Logs};

/// A sign or a word of the screen, and what it means.
pub(in crate::dash) struct Explained {
    /// The sign or word, as the screen writes it; signs that belong together stand together.
    pub(in crate::dash) name: &'static str,
    /// How it looks.
    pub(in crate::dash) role: Role,
    /// What it means, in whole sentences.
    pub(in crate::dash) meaning: &'static str,
    /// The views in which it stands.
    pub(in crate::dash) screens: &'static [Screen],
}

const fn sign(
    name: &'static str,
    role: Role,
    meaning: &'static str,
    screens: &'static [Screen],
) -> Explained {
    Explained { name, role, meaning, screens }
}

const fn word(name: &'static str, meaning: &'static str, screens: &'static [Screen]) -> Explained {
    Explained { name, role: Accent, meaning, screens }
}

/// The views that are tables.
const TABLES: &[Screen] = &[Fleet, Caches, History];

/// The views in which a sign says how hosts, caches and runs are; in Logs it is of builds and copies.
const STATES: &[Screen] = &[Fleet, Caches, Deploy, History];

/// What can be typed as a filter, and what it lets through.
pub(in crate::dash) const FILTERS: [(&str, &str); 5] = [
    ("/offline", "Rows that have it in a name, a tag, a state or the code of a finding."),
    ("/@laptop", "Hosts with a tag that begins like this."),
    ("/!@laptop", "Rows that do not have it."),
    ("/disk rack01", "Rows that have all of these words."),
    ("/Rack", "Capital letters matter in a word that has one."),
];

/// The signs of the views.
const SIGNS: &[Explained] = &[
    sign(
        "●",
        Ok,
        "It is well: the host or the cache answers, or the run ended well.",
        &Screen::ALL,
    ),
    sign("▲", Warn, "Look at it: something is wrong, or will be.", STATES),
    sign(
        "▲",
        Warn,
        "The build was interrupted, or newer lines of other hosts came before the line.",
        &[Logs],
    ),
    sign("✗", Error, "It failed, or it does not let nixdash in.", STATES),
    sign("✗", Error, "It failed, or the copy is not complete.", &[Logs]),
    sign("○", Dim, "It does not answer, it waits, or it was left out.", STATES),
    sign("○", Text, "The build waits: for a build machine, or for what it needs.", &[Logs]),
    sign("◇", Warn, "The host waits for somebody to unlock its disk.", &[Fleet]),
    sign("◐", Busy, "A run is at work on it.", STATES),
    sign("◐", Busy, "It is being built or copied.", &[Logs]),
    sign("–", Dim, "It is not known: it was not measured.", TABLES),
    sign("–", Dim, "The phase was left out, or its figure is not known.", &[Deploy]),
    sign(
        "–",
        Dim,
        "It was not built because something that it needs failed, or the figure is not known.",
        &[Logs],
    ),
    sign("·", Dim, "The phase has not begun.", &[Deploy]),
    sign("·", Dim, "The build has not begun.", &[Logs]),
    sign("✓", Ok, "It was checked and is good, or the phase is done.", &[Fleet, Caches, Deploy]),
    sign("✓", Dim, "It was built, or it was copied.", &[Logs]),
    sign("×", Accent, "So many equal lines follow each other.", &[Logs]),
    sign("+ -", Text, "Only this build printed the line, or only the last good one did.", &[Logs]),
    sign("?", Dim, "By how many commits the host is behind is not known.", &[Fleet, History]),
    sign("?", Warn, "It is not known how the phase ended.", &[Deploy]),
    sign("⚷", Text, "The host is protected: it is deployed only when its name is typed.", &[Fleet]),
    sign(
        "⊘",
        Text,
        "The host is read-only: hosts.toml says that nothing is changed there.",
        &[Fleet],
    ),
    sign("◆", Accent, "The host is marked.", &[Fleet]),
    sign("◆", Accent, "The line is marked.", &[Logs]),
    sign("›", Accent, "The row is selected.", &Screen::ALL),
    sign("▸ ▾", Text, "A group of hosts that is folded, and one that is open.", &[Fleet]),
    sign(
        "▴ ▾",
        Accent,
        "Rows are sorted by this column: the least on top, or the greatest.",
        TABLES,
    ),
    sign(
        "▁▄▇",
        Graph,
        "Each bar is one measurement, and the newest is on the right.",
        &[Fleet, Caches],
    ),
    sign("█▍", Graph, "How far a fetch or a build is.", &[Deploy, Logs, History]),
    sign("≥", Text, "At least this much: not everything could be counted.", &[Fleet, Caches]),
    sign("≤", Text, "At most this much: not every host or cache could be asked.", &[Fleet, Caches]),
];

/// The words of the views that need to be explained.
const WORDS: &[Explained] = &[
    word(
        "finding",
        "Something that is wrong or worth knowing, with its cause and what to do about it.",
        &[Fleet, Caches, Deploy],
    ),
    word(
        "generation",
        "A system that a host has kept. The host can go back to it, and its boot menu lists it.",
        &[Fleet],
    ),
    word(
        "closure",
        "A system and everything that it needs: all its store paths.",
        &[Fleet, Caches],
    ),
    word(
        "behind",
        "How many commits the flake has that the system of the host was built without.",
        &[Fleet, History],
    ),
    word("degraded", "The host answers, but systemd says that a unit failed.", &[Fleet]),
    word(
        "tier",
        "One binary cache. hosts.toml lists tiers in the order in which hosts should ask.",
        &[Caches],
    ),
    word(
        "coverage",
        "The share of the closure of a host that a cache holds now. The cache itself was asked.",
        &[Fleet, Caches],
    ),
    word(
        "hit rate",
        "Of the paths that the builder lacked when a run began, the share that came from caches. The rest was \
         built. It counts all caches together.",
        &[Caches, Deploy],
    ),
    word(
        "served",
        "Share served: of all bytes that hosts and builders got, those that came from this cache.",
        &[Caches],
    ),
    word(
        "answered",
        "Of the paths that the server was asked for, the share that it had. The server counts them itself.",
        &[Caches],
    ),
    word("latency", "The time until the first byte of an answer.", &[Fleet, Caches]),
    word(
        "priority",
        "PRIO: hosts ask the cache with the lowest number first, unless their own settings say otherwise.",
        &[Caches],
    ),
    word("nar", "The archive in which a cache keeps one store path.", &[Caches]),
    word("substituter", "A binary cache that the settings of a host name.", &[Caches]),
    word(
        "phase",
        "One of the steps that a run takes with each host, from preflight to persist.",
        &[Deploy, Logs],
    ),
    word(
        "strategy",
        "How a host gets its system. via-cache: the builder builds it and the host fetches it from the cache. \
         push: the builder copies it over ssh. direct: the host builds it.",
        &[Deploy, History],
    ),
    word(
        "wave",
        "Hosts of a run that begin together. The next wave waits until they are well.",
        &[Deploy],
    ),
    word("soak", "How long a wave must stay well before the next one begins.", &[Deploy]),
    word("gate", "A check between two waves. It must hold before the next wave begins.", &[Deploy]),
    word(
        "settle",
        "The time after the activation until a second, fresh connection must work. Only then is the new system \
         made permanent.",
        &[Deploy],
    ),
    word("persist", "The last phase: from now on the host starts with its new system.", &[Deploy]),
    word(
        "rolled back",
        "The host runs again what it ran before: nobody could reach it, a check failed, or somebody asked for it.",
        &[Deploy, History],
    ),
    word(
        "needs reboot",
        "The new system is installed and starts at the next reboot.",
        &[Deploy, History],
    ),
    word(
        "superseded",
        "Somebody else deployed another system meanwhile, so this run left it alone.",
        &[Deploy, History],
    ),
    word("dirty", "The flake had changes that were not committed.", &[Fleet, History]),
    word("derivation", "One thing that Nix builds, such as a package.", &[Logs]),
];

/// Returns the signs of a view.
pub(in crate::dash) fn signs_in(screen: Screen) -> impl Iterator<Item = &'static Explained> {
    SIGNS.iter().filter(move |one| one.screens.contains(&screen))
}

/// Returns the words of a view.
pub(in crate::dash) fn words_in(screen: Screen) -> impl Iterator<Item = &'static Explained> {
    WORDS.iter().filter(move |one| one.screens.contains(&screen))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_meaning_is_a_sentence_and_stands_once_in_a_view() {
        for screen in Screen::ALL {
            let all: Vec<_> = signs_in(screen).chain(words_in(screen)).collect();
            for (index, one) in all.iter().enumerate() {
                assert!(one.meaning.ends_with('.'), "{}: {}", one.name, one.meaning);
                let twice = all[index + 1..].iter().any(|other| other.name == one.name);
                assert!(!twice, "{} stands twice in {}", one.name, screen.title());
            }
        }
    }
}
