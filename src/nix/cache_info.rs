//! `nix-cache-info`: what a binary cache says of itself, as Nix reads it (`BinaryCacheStore::init`).

/// The store directory of every NixOS.
const STORE_DIR: &str = "/nix/store";

/// What Nix trims from a value.
const BLANKS: [char; 4] = [' ', '\n', '\r', '\t'];

/// What a binary cache says of itself; a cache that Nix made itself says only its store directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CacheInfo {
    /// The store directory its paths are for; Nix takes its own when it is absent.
    pub store_dir: Option<String>,
    /// Lower is asked first; Nix takes 0 when it is absent.
    pub priority: Option<i32>,
    /// Whether it wants to be asked for many paths at once.
    pub want_mass_query: Option<bool>,
    /// What Nix does not get over: the first line that has such a thing.
    pub fault: Option<CacheInfoFault>,
    /// Whether nothing that was said is anything that Nix knows: a page, perhaps.
    pub says_nothing: bool,
}

/// A line of `nix-cache-info` that Nix does not get over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CacheInfoFault {
    /// The cache is for another store directory: Nix warns and passes it over.
    OtherStoreDir(String),
    /// The priority is no number. This is no error of the kind that Nix expects there: whatever
    /// opens the cache stops, and with it every build of a host that asks it.
    PriorityUnreadable(String),
}

impl CacheInfo {
    /// Parses lines of `Key: value`; unknown keys and lines without a colon are ignored, as Nix
    /// does. A key with a blank around it is unknown.
    pub fn parse(text: &str) -> Self {
        let mut info = Self { says_nothing: !text.trim().is_empty(), ..Self::default() };
        for line in text.split('\n') {
            let Some((key, value)) = line.split_once(':') else { continue };
            info.take(key, value.trim_matches(BLANKS));
        }
        info
    }

    fn take(&mut self, key: &str, value: &str) {
        match key {
            "StoreDir" => {
                self.store_dir = Some(value.to_owned());
                if value != STORE_DIR {
                    self.fail(CacheInfoFault::OtherStoreDir(value.to_owned()));
                }
            }
            "Priority" => match leading_number(value) {
                Some(number) => self.priority = Some(number),
                None => self.fail(CacheInfoFault::PriorityUnreadable(value.to_owned())),
            },
            "WantMassQuery" => self.want_mass_query = Some(value == "1"),
            _ => return,
        }
        self.says_nothing = false;
    }

    fn fail(&mut self, fault: CacheInfoFault) {
        self.fault.get_or_insert(fault);
    }
}

/// Reads the number that a text begins with, as C++'s `std::stoi` does: blanks, a sign, digits; what
/// follows is not looked at. Nothing when there is no digit, or the number does not fit.
fn leading_number(text: &str) -> Option<i32> {
    let text = text.trim_start_matches([' ', '\t', '\n', '\r', '\x0b', '\x0c']);
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let digits = unsigned.len() - unsigned.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let sign = text.len() - unsigned.len();
    text[..sign + digits].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_not_said_stays_unknown() {
        let info = CacheInfo::parse("StoreDir: /nix/store\nWantMassQuery: 1\nPriority: 40\n");
        assert_eq!(info.store_dir.as_deref(), Some("/nix/store"));
        assert_eq!((info.priority, info.want_mass_query), (Some(40), Some(true)));
        let made_by_nix = CacheInfo::parse("StoreDir: /nix/store\n");
        assert_eq!((made_by_nix.priority, made_by_nix.want_mass_query), (None, None));
        assert_eq!(CacheInfo::parse(""), CacheInfo::default());
        let page = CacheInfo::parse("<html>\n<p>:</p>");
        assert_eq!(page, CacheInfo { says_nothing: true, ..CacheInfo::default() });
    }

    #[test]
    fn a_priority_is_read_as_far_as_it_is_a_number() {
        for (value, priority) in [
            ("30 # x", Some(30)),
            ("-5", Some(-5)),
            ("+5", Some(5)),
            ("0x10", Some(0)),
            ("007", Some(7)),
            ("30\r", Some(30)),
            ("2147483647", Some(i32::MAX)),
            ("-2147483648", Some(i32::MIN)),
            ("2147483648", None),
            ("high", None),
            ("", None),
            ("-", None),
            ("- 5", None),
            ("# 30", None),
        ] {
            let info = CacheInfo::parse(&format!("Priority: {value}\n"));
            assert_eq!(info.priority, priority, "{value}");
            assert_eq!(info.fault.is_none(), priority.is_some(), "{value}");
        }
    }

    #[test]
    fn the_first_line_that_nix_does_not_get_over_decides() {
        let word = || CacheInfoFault::PriorityUnreadable("high".to_owned());
        let other = || CacheInfoFault::OtherStoreDir("/gnu/store".to_owned());
        for (text, fault) in [
            ("Priority: high\nStoreDir: /gnu/store\n", Some(word())),
            ("StoreDir: /gnu/store\nPriority: high\n", Some(other())),
            ("StoreDir: \n", Some(CacheInfoFault::OtherStoreDir(String::new()))),
            ("Priority: high\nPriority: 30\n", Some(word())),
            ("Priority: 30\n", None),
            (" Priority: high\nPriority : high\npriority: high\n", None),
        ] {
            assert_eq!(CacheInfo::parse(text).fault, fault, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_survived(text in any::<String>()) {
            let _ = CacheInfo::parse(&text);
            let _ = CacheInfo::parse(&format!("Priority: {text}"));
        }
    }
}
