//! What a host's Nix keeps of caches, read from the host without SQLite.

use crate::nix::disk_cache::{DiskCacheError, PAGE_SIZE, Pages, RecordedCache, caches};
use crate::remote::{Script, ScriptRunner};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::time::Duration;

/// Prints pages of the record.
const RECORDS: &str = include_str!("../scripts/records.sh");

/// How long one question may take.
const LIMIT: Duration = Duration::from_secs(5);

/// How often it is asked for more pages: a table of hundreds of caches has two floors.
const ROUNDS: usize = 3;

/// The pages that nearly always are enough.
const FIRST: [u32; 2] = [1, 2];

/// Reads what root's Nix on a host keeps of caches; nothing where that could not be read. A host
/// whose Nix keeps no record has none of any cache.
pub(super) async fn read(runner: &dyn ScriptRunner, host: &str) -> Option<Vec<RecordedCache>> {
    let mut pages = Pages::new();
    let mut wanted: Vec<u32> = FIRST.to_vec();
    for _ in 0..ROUNDS {
        let mut script = Script::new(RECORDS).root().limit(LIMIT).arg(PAGE_SIZE.to_string());
        for page in &wanted {
            script = script.arg(page.to_string());
        }
        let output = runner.run(host, &script).await.ok().filter(crate::remote::Output::is_ok)?;
        if output.stdout.lines().any(|line| line == "file\tnone") {
            return Some(Vec::new());
        }
        pages.extend(output.stdout.lines().filter_map(page));
        match caches(&pages) {
            Ok(found) => return Some(found),
            Err(DiskCacheError::Needs(more)) if !more.iter().all(|page| wanted.contains(page)) => {
                wanted = more;
            }
            Err(DiskCacheError::Needs(_) | DiskCacheError::Malformed) => return None,
        }
    }
    None
}

/// Reads `page<TAB>NUMBER BASE64`.
fn page(line: &str) -> Option<(u32, Vec<u8>)> {
    let (number, text) = line.strip_prefix("page\t")?.split_once(' ')?;
    let bytes = STANDARD.decode(text).ok().filter(|bytes| bytes.len() == PAGE_SIZE)?;
    Some((number.parse().ok()?, bytes))
}
