//! What was tried of a practice fleet, kept beside it from one dashboard to the next.

use crate::dash::Practice;
use std::path::Path;

/// Returns what was tried; nothing of a file that is not there or cannot be read: then all is proposed.
pub(super) fn read(path: &Path) -> Practice {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    serde_json::from_str(&text).unwrap_or_default()
}

/// Keeps what was tried: a file is whole before it takes the place of the one before, so that an end in
/// this moment loses nothing. Where it cannot be kept, the same is proposed again, which does no harm.
pub(super) fn keep(path: &Path, practice: &Practice) {
    let fresh = path.with_extension("new");
    let written = serde_json::to_string(practice)
        .map_err(std::io::Error::from)
        .and_then(|text| std::fs::write(&fresh, text))
        .and_then(|()| std::fs::rename(&fresh, path));
    if let Err(error) = written {
        tracing::warn!("could not keep what was tried in {}: {error}", path.display());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_tried_is_kept_and_a_file_that_cannot_be_read_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("practice.json");
        assert_eq!(read(&path), Practice::default());
        let text = "{\"tried\":[\"deploy\",\"watch\"],\"revision\":\"3f2c1ab\"}";
        let practice: Practice = serde_json::from_str(text).unwrap();
        keep(&path, &practice);
        assert_eq!(read(&path), practice);
        std::fs::write(&path, "{").unwrap();
        assert_eq!(read(&path), Practice::default());
    }
}
