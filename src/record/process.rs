//! What the kernel tells of a process.

use std::fs;

/// What the kernel tells of a process in `/proc/PID/stat`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessStat {
    /// What it does, as the kernel's letter: R runs, S sleeps, T is stopped, Z is dead and waits to be collected.
    pub state: char,
    /// The process that started it; 0 where that is outside of our namespace of processes.
    pub parent: u32,
    /// The session that it belongs to; 0 where the one that began it is outside of our namespace of processes.
    pub session: u32,
    /// When it started, in the kernel's ticks since boot. With the process number it names a process
    /// for good: numbers are used again, start times are not.
    pub started: u64,
}

impl ProcessStat {
    /// Reads what the kernel tells of a process; nothing where there is none.
    pub fn of(pid: u32) -> Option<Self> {
        Self::parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    /// Reads what the kernel tells of a process that is neither gone nor dead.
    pub fn of_living(pid: u32) -> Option<Self> {
        Self::of(pid).filter(|stat| !matches!(stat.state, 'Z' | 'X'))
    }

    /// Returns whether a signal stopped it.
    pub fn is_stopped(&self) -> bool {
        matches!(self.state, 'T' | 't')
    }

    fn parse(text: &str) -> Option<Self> {
        // The name stands in parentheses and may itself hold some, and spaces.
        let (_, rest) = text.rsplit_once(") ")?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        Some(Self {
            state: fields.first()?.chars().next()?,
            parent: fields.get(1)?.parse().ok()?,
            session: fields.get(3)?.parse().ok()?,
            started: fields.get(19)?.parse().ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_are_read_past_any_name() {
        let text = "7 (a) (b c) S 1 6 5 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4711 100 200";
        let stat = ProcessStat { state: 'S', parent: 1, session: 5, started: 4711 };
        assert_eq!(ProcessStat::parse(text), Some(stat));
        assert_eq!(ProcessStat::parse("7 (a"), None);
    }

    #[test]
    fn one_that_is_dead_and_not_collected_does_not_live() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let began = std::time::Instant::now();
        while ProcessStat::of_living(child.id()).is_some() {
            assert!(began.elapsed() < std::time::Duration::from_secs(20));
            std::thread::yield_now();
        }
        assert_eq!(ProcessStat::of(child.id()).unwrap().state, 'Z');
        assert!(child.wait().unwrap().success());
        assert!(ProcessStat::of_living(std::process::id()).is_some());
    }
}
