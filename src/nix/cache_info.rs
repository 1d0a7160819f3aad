//! `nix-cache-info`: what a binary cache says of itself.

/// What a binary cache says of itself; a cache that Nix made itself says only its store directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CacheInfo {
    /// The store directory its paths are for.
    pub store_dir: Option<String>,
    /// Lower is asked first; Nix takes 0 when it is absent.
    pub priority: Option<u32>,
    /// Whether it wants to be asked for many paths at once.
    pub want_mass_query: Option<bool>,
}

impl CacheInfo {
    /// Parses lines of `Key: value`; unknown keys and lines without a colon are ignored, as Nix
    /// does.
    pub fn parse(text: &str) -> Self {
        let mut info = Self::default();
        for line in text.lines() {
            let Some((key, value)) = line.split_once(':') else { continue };
            let value = value.trim();
            match key.trim() {
                "StoreDir" => info.store_dir = (!value.is_empty()).then(|| value.to_owned()),
                "Priority" => info.priority = value.parse().ok(),
                "WantMassQuery" => info.want_mass_query = Some(value == "1"),
                _ => {}
            }
        }
        info
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_said_stays_unknown() {
        let info = CacheInfo::parse("StoreDir: /nix/store\nWantMassQuery: 1\nPriority: 40\n");
        assert_eq!(info.store_dir.as_deref(), Some("/nix/store"));
        assert_eq!((info.priority, info.want_mass_query), (Some(40), Some(true)));
        let made_by_nix = CacheInfo::parse("StoreDir: /nix/store\n");
        assert_eq!((made_by_nix.priority, made_by_nix.want_mass_query), (None, None));
        assert_eq!(CacheInfo::parse("<html>\n<p>:</p>"), CacheInfo::default());
    }
}
