//! What a host's Nix keeps of caches: the table `BinaryCaches` of `binary-cache-vN.sqlite`.
//!
//! Nix reads a cache's `nix-cache-info` and goes by it for a week (`narinfo-cache-meta-ttl`), so a
//! Priority that was corrected takes effect only then. Hosts need not have SQLite, and the file may
//! be large; but that table is small, so a few of its pages are enough. They are read here, after
//! SQLite's own description of its file format (<https://sqlite.org/fileformat2.html>).

use crate::fleet::CacheRecord;
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;

/// The size of a page, of every file that Nix makes.
pub const PAGE_SIZE: usize = 4096;

/// The page that says where each table begins.
const SCHEMA_PAGE: u32 = 1;

/// Most pages that one table may have before it is not read any further.
const MOST_PAGES: usize = 64;

/// Pages of the file, from 1.
pub type Pages = BTreeMap<u32, Vec<u8>>;

/// Why the table could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DiskCacheError {
    /// More of the file is needed.
    #[error("pages {0:?} of the record are needed")]
    Needs(Vec<u32>),
    /// It is not such a file, or is being written now.
    #[error("the record is not a database that could be read")]
    Malformed,
}

/// A row of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedCache {
    /// The address, without parameters and without a slash at its end.
    pub url: String,
    /// When its `nix-cache-info` was read.
    pub read_at: Timestamp,
    /// The priority that holds: the cache's own, or that of the address when it was read.
    pub priority: i32,
}

impl RecordedCache {
    /// Returns it as a record that holds for so long.
    pub fn record(&self, lifetime: SignedDuration) -> CacheRecord {
        let until = self.read_at.checked_add(lifetime).unwrap_or(Timestamp::MAX);
        CacheRecord { priority: self.priority, read_at: self.read_at, until }
    }
}

/// A value of a row.
#[derive(Debug)]
enum Value {
    Null,
    Number(i64),
    Text(String),
}

/// Reads the table from pages of the file.
pub fn caches(pages: &Pages) -> Result<Vec<RecordedCache>, DiskCacheError> {
    let first = pages.get(&SCHEMA_PAGE).ok_or(DiskCacheError::Needs(vec![SCHEMA_PAGE]))?;
    if !first.starts_with(b"SQLite format 3\0") || u16_at(first, 16) != Some(4096) {
        return Err(DiskCacheError::Malformed);
    }
    let root = rows(pages, SCHEMA_PAGE)?.into_iter().find_map(|(_, row)| match &row[..] {
        [Value::Text(kind), Value::Text(name), _, Value::Number(page), ..]
            if kind == "table" && name == "BinaryCaches" =>
        {
            u32::try_from(*page).ok()
        }
        _ => None,
    });
    let rows = rows(pages, root.ok_or(DiskCacheError::Malformed)?)?;
    let cache = |(_, row): (i64, Vec<Value>)| match &row[..] {
        [_, Value::Text(url), Value::Number(at), Value::Text(_), _, Value::Number(priority)] => {
            Some(RecordedCache {
                url: url.clone(),
                read_at: Timestamp::from_second(*at).ok()?,
                priority: i32::try_from(*priority).ok()?,
            })
        }
        _ => None,
    };
    rows.into_iter().map(|row| cache(row).ok_or(DiskCacheError::Malformed)).collect()
}

/// Reads all rows of a table, each with its number.
fn rows(pages: &Pages, root: u32) -> Result<Vec<(i64, Vec<Value>)>, DiskCacheError> {
    let (mut found, mut needed) = (Vec::new(), Vec::new());
    let mut waiting = vec![root];
    let mut seen = 0;
    while let Some(number) = waiting.pop() {
        seen += 1;
        if seen > MOST_PAGES {
            return Err(DiskCacheError::Malformed);
        }
        let Some(page) = pages.get(&number) else {
            needed.push(number);
            continue;
        };
        read_page(page, number, &mut found, &mut waiting).ok_or(DiskCacheError::Malformed)?;
    }
    if needed.is_empty() { Ok(found) } else { Err(DiskCacheError::Needs(needed)) }
}

/// Reads a page of a table: rows of a leaf, and which pages are below one that is none.
fn read_page(
    page: &[u8],
    number: u32,
    found: &mut Vec<(i64, Vec<Value>)>,
    below: &mut Vec<u32>,
) -> Option<()> {
    let head = if number == SCHEMA_PAGE { 100 } else { 0 };
    let is_leaf = match page.get(head)? {
        0x0d => true,
        0x05 => false,
        _ => return None,
    };
    let cells = usize::from(u16_at(page, head + 3)?);
    let list = head + if is_leaf { 8 } else { 12 };
    for cell in 0..cells {
        let at = usize::from(u16_at(page, list + 2 * cell)?);
        if is_leaf {
            found.push(row(page, at)?);
        } else {
            below.push(u32_at(page, at)?);
        }
    }
    if !is_leaf {
        below.push(u32_at(page, head + 8)?);
    }
    Some(())
}

/// Reads a row; nothing for one that goes on in another page, which Nix's short ones do not.
fn row(page: &[u8], at: usize) -> Option<(i64, Vec<Value>)> {
    let (length, at) = varint(page, at)?;
    let (number, at) = varint(page, at)?;
    let payload = page.get(at..at.checked_add(usize::try_from(length).ok()?)?)?;
    let (head, mut kind_at) = varint(payload, 0)?;
    let head = usize::try_from(head).ok()?;
    let mut value_at = head;
    let mut values = Vec::new();
    while kind_at < head {
        let (kind, next) = varint(payload, kind_at)?;
        let (value, length) = value(payload, value_at, kind)?;
        values.push(value);
        kind_at = next;
        value_at = value_at.checked_add(length)?;
    }
    Some((number, values))
}

/// Reads a value of a kind, and says how many bytes it has.
fn value(payload: &[u8], at: usize, kind: i64) -> Option<(Value, usize)> {
    let number = |length: usize| {
        let bytes = payload.get(at..at.checked_add(length)?)?;
        let negative = bytes.first().is_some_and(|first| *first >= 0x80);
        let start = if negative { -1_i64 } else { 0 };
        let number = bytes.iter().fold(start, |sum, byte| sum << 8 | i64::from(*byte));
        Some((Value::Number(number), length))
    };
    match kind {
        0 => Some((Value::Null, 0)),
        1..=4 => number(usize::try_from(kind).ok()?),
        5 => number(6),
        6 => number(8),
        8 => Some((Value::Number(0), 0)),
        9 => Some((Value::Number(1), 0)),
        kind if kind >= 13 && kind % 2 == 1 => {
            let length = usize::try_from((kind - 13) / 2).ok()?;
            let bytes = payload.get(at..at.checked_add(length)?)?;
            Some((Value::Text(String::from_utf8_lossy(bytes).into_owned()), length))
        }
        _ => None,
    }
}

/// Reads a number of one to nine bytes, and says where the next begins.
fn varint(bytes: &[u8], at: usize) -> Option<(i64, usize)> {
    let mut number = 0_i64;
    for place in 0..8 {
        let byte = *bytes.get(at + place)?;
        number = number << 7 | i64::from(byte & 0x7f);
        if byte < 0x80 {
            return Some((number, at + place + 1));
        }
    }
    Some((number << 8 | i64::from(*bytes.get(at + 8)?), at + 9))
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at.checked_add(2)?)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rusqlite::{Connection, params};

    /// A record as Nix makes it (`libstore/nar-info-disk-cache.cc`), with so many caches.
    fn file(caches: i64) -> Pages {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("binary-cache-v6.sqlite");
        let db = Connection::open(&path).unwrap();
        db.execute_batch(
            "create table if not exists BinaryCaches (
                id integer primary key autoincrement not null, url text unique not null,
                timestamp integer not null, storeDir text not null,
                wantMassQuery integer not null, priority integer not null);
             create table if not exists NARs (cache integer not null, hashPart text not null);
             create table if not exists LastPurge (dummy text primary key, value integer);",
        )
        .unwrap();
        for number in 0..caches {
            db.execute(
                "insert into BinaryCaches(url, timestamp, storeDir, wantMassQuery, priority)
                 values (?1, ?2, '/nix/store', ?3, ?4)",
                params![format!("http://p{number}:5000"), 1_795_641_301, number % 2, number - 1],
            )
            .unwrap();
        }
        drop(db);
        let bytes = std::fs::read(&path).unwrap();
        (1..).zip(bytes.chunks(PAGE_SIZE)).map(|(at, page)| (at, page.to_vec())).collect()
    }

    #[test]
    fn a_record_is_read_from_the_two_pages_that_it_has() {
        let mut pages = file(3);
        pages.retain(|number, _| *number <= 2);
        let found = caches(&pages).unwrap();
        let read_at = Timestamp::from_second(1_795_641_301).unwrap();
        let priorities: Vec<i32> = found.iter().map(|cache| cache.priority).collect();
        assert_eq!(priorities, [-1, 0, 1]);
        assert_eq!((found[1].url.as_str(), found[1].read_at), ("http://p1:5000", read_at));
        let record = found[1].record(SignedDuration::from_hours(7 * 24));
        assert!(record.holds(read_at) && !record.holds(record.until));
    }

    #[test]
    fn a_table_of_many_pages_says_which_are_needed() {
        let all = file(300);
        let mut pages = all.clone();
        pages.retain(|number, _| *number <= 2);
        let Err(DiskCacheError::Needs(needed)) = caches(&pages) else { panic!("{pages:?}") };
        assert!(needed.len() > 1);
        for number in needed {
            pages.insert(number, all[&number].clone());
        }
        let mut found = caches(&pages).unwrap();
        found.sort_by_key(|cache| cache.priority);
        assert_eq!((found.len(), found[299].priority), (300, 298));
        assert_eq!(caches(&Pages::new()), Err(DiskCacheError::Needs(vec![1])));
    }

    #[test]
    fn an_empty_record_has_no_caches() {
        assert_eq!(caches(&file(0)), Ok(Vec::new()));
    }

    proptest! {
        #[test]
        fn whatever_stands_there_it_is_read_or_refused(
            at in 0..2 * PAGE_SIZE, change in prop::collection::vec(any::<u8>(), 1..60),
        ) {
            let mut pages = file(3);
            for (place, byte) in (at..).zip(change) {
                let number = u32::try_from(place / PAGE_SIZE + 1).unwrap();
                pages.get_mut(&number).unwrap()[place % PAGE_SIZE] = byte;
            }
            let _ = caches(&pages);
        }
    }
}
