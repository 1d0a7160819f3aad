//! Reads what S3 answers in XML: lists of objects, old and new, and errors. Pure.
//!
//! Servers differ in whether they name the namespace, so elements are known by their names alone.

use crate::fleet::printable_line;
use roxmltree::{Document, Node, ParsingOptions};

/// Most attributes of one element: its reader compares each with each. S3 writes one.
const ATTRIBUTES: usize = 8;

/// Most elements inside of each other. S3 has four.
const DEPTH: usize = 16;

/// Most nodes of a document: a page of 1000 keys, with all that servers say of each.
const NODES: u32 = 100_000;

/// Longest error that is read, in bytes.
const ERROR_LIMIT: usize = 64 << 10;

/// One page of a bucket's list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Page {
    /// Objects: key and bytes.
    pub(super) objects: Vec<(String, u64)>,
    /// Whether there are more.
    pub(super) truncated: bool,
    /// Where the next page of `ListObjectsV2` begins.
    pub(super) token: Option<String>,
    /// Where the next page of the older `ListObjects` begins.
    pub(super) marker: Option<String>,
}

impl Page {
    /// Reads a page of `ListObjectsV2` or of the older `ListObjects`; nothing when it is neither.
    ///
    /// The older list names no marker unless there is a delimiter: the last key is one.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let document = document(text)?;
        let root = document.root_element();
        if root.tag_name().name() != "ListBucketResult" {
            return None;
        }
        let objects: Vec<(String, u64)> = root
            .children()
            .filter(|node| node.tag_name().name() == "Contents")
            .filter_map(|node| {
                Some((child(node, "Key")?.to_owned(), child(node, "Size")?.trim().parse().ok()?))
            })
            .collect();
        let truncated = child(root, "IsTruncated").is_some_and(|text| text.trim() == "true");
        let next = |name| {
            let text = child(root, name).filter(|text| truncated && !text.is_empty());
            text.map(str::to_owned)
        };
        let last = objects.last().map(|(key, _)| key.clone()).filter(|_| truncated);
        let marker = next("NextMarker").or(last);
        Some(Self { token: next("NextContinuationToken"), marker, truncated, objects })
    }
}

impl Page {
    /// Returns the page with keys as they are below a prefix: those of other caches in the bucket are
    /// left out.
    pub(super) fn below(mut self, prefix: Option<&str>) -> Self {
        if let Some(prefix) = prefix {
            let own = |(key, bytes): (String, u64)| {
                let key = key.strip_prefix(prefix)?.strip_prefix('/')?.to_owned();
                Some((key, bytes))
            };
            self.objects = self.objects.into_iter().filter_map(own).collect();
        }
        self
    }
}

/// Returns the `Code` of an error, such as `AccessDenied`.
pub(super) fn error_code(text: &str) -> Option<String> {
    let document = document(text).filter(|_| text.len() <= ERROR_LIMIT)?;
    let root = document.root_element();
    let code = child(root, "Code")?.trim();
    (root.tag_name().name() == "Error").then(|| printable_line(code))
}

/// Reads a document that is no bigger than what S3 writes.
fn document(text: &str) -> Option<Document<'_>> {
    let options = ParsingOptions { nodes_limit: NODES, ..ParsingOptions::default() };
    is_modest(text).then(|| Document::parse_with_options(text, options).ok())?
}

/// Returns whether a document has few attributes per element and is not deep, in one pass over it:
/// whether it is XML at all is not judged.
fn is_modest(text: &str) -> bool {
    let (mut rest, mut depth) = (text, 0_usize);
    while let Some(at) = rest.find('<') {
        rest = &rest[at..];
        let skipped = [("<!--", "-->"), ("<![CDATA[", "]]>"), ("<?", "?>")]
            .iter()
            .find(|(begin, _)| rest.starts_with(begin));
        if let Some((begin, end)) = skipped {
            let inner = &rest[begin.len()..];
            let Some(close) = inner.find(end) else { return false };
            rest = &inner[close + end.len()..];
            continue;
        }
        let Some(tag) = Tag::read(rest) else { return false };
        depth = match tag.kind {
            TagKind::Begin => depth + 1,
            TagKind::End => depth.saturating_sub(1),
            TagKind::Empty => depth,
        };
        if depth > DEPTH || tag.attributes > ATTRIBUTES {
            return false;
        }
        rest = &rest[tag.length..];
    }
    true
}

/// What a tag does.
#[derive(Clone, Copy)]
enum TagKind {
    Begin,
    End,
    Empty,
}

/// A tag, as far as its outline goes.
struct Tag {
    kind: TagKind,
    attributes: usize,
    length: usize,
}

impl Tag {
    /// Reads the tag that a text begins with; nothing when it has no end.
    fn read(text: &str) -> Option<Self> {
        let (mut quote, mut attributes, mut last) = (None, 0, b'<');
        for (at, byte) in text.bytes().enumerate() {
            match (quote, byte) {
                (Some(open), _) if byte == open => quote = None,
                (None, b'"' | b'\'') => quote = Some(byte),
                (None, b'=') => attributes += 1,
                (None, b'>') => {
                    let kind = match last {
                        _ if text.starts_with("</") => TagKind::End,
                        b'/' => TagKind::Empty,
                        _ => TagKind::Begin,
                    };
                    return Some(Self { kind, attributes, length: at + 1 });
                }
                (Some(_) | None, _) => {}
            }
            last = byte;
        }
        None
    }
}

/// Returns the text of a child element.
fn child<'a>(node: Node<'a, '_>, name: &str) -> Option<&'a str> {
    node.children().find(|child| child.tag_name().name() == name)?.text()
}

/// What a bucket holds, by what Nix uses it for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Contents {
    /// Objects.
    pub(super) objects: u64,
    /// Their bytes.
    pub(super) bytes: u64,
    /// Narinfos among them.
    pub(super) narinfos: u64,
    /// Objects below `nar/`.
    pub(super) nars: u64,
    /// The bytes of those.
    pub(super) nar_bytes: u64,
}

impl Contents {
    /// Adds an object.
    pub(super) fn add(&mut self, key: &str, bytes: u64) {
        self.objects += 1;
        self.bytes = self.bytes.saturating_add(bytes);
        if key.starts_with("nar/") {
            self.nars += 1;
            self.nar_bytes = self.nar_bytes.saturating_add(bytes);
        } else if !key.contains('/') && key.ends_with(".narinfo") {
            self.narinfos += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const V2: &str = include_str!("../../../../tests/answers/s3/seaweedfs-list-v2.xml");
    const V1: &str = include_str!("../../../../tests/answers/s3/seaweedfs-list-v1.xml");
    const MOTO: &str = include_str!("../../../../tests/answers/s3/moto-list-v2.xml");
    const DENIED: &str = include_str!("../../../../tests/answers/s3/seaweedfs-denied.xml");

    #[test]
    fn both_lists_are_read_page_by_page() {
        let page = Page::parse(V2).unwrap();
        let keys: Vec<&str> = page.objects.iter().map(|(key, _)| key.as_str()).collect();
        assert_eq!(keys, ["1.narinfo", "10.narinfo", "11.narinfo"]);
        assert_eq!(page.objects[0].1, 51);
        assert_eq!((page.truncated, page.token.as_deref()), (true, Some("11.narinfo")));
        let page = Page::parse(V1).unwrap();
        assert_eq!((page.objects.len(), page.marker.as_deref()), (3, Some("11.narinfo")));
        assert_eq!(page.token, None, "a server that knows only the older list is known by that");
        let page = Page::parse(MOTO).unwrap();
        assert_eq!(page.objects.len(), 2);
        assert!(page.token.is_some());
    }

    #[test]
    fn the_last_page_has_no_next() {
        let text = "<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>a&amp;b</Key>\
            <Size>1</Size></Contents><NextMarker>x</NextMarker></ListBucketResult>";
        let page = Page::parse(text).unwrap();
        assert_eq!((page.objects[0].0.as_str(), page.marker, page.truncated), ("a&b", None, false));
        let text = text.replace("false", "true").replace("<NextMarker>x</NextMarker>", "");
        assert_eq!(Page::parse(&text).unwrap().marker.as_deref(), Some("a&b"));
    }

    #[test]
    fn an_error_has_a_code_and_is_no_page() {
        assert_eq!(error_code(DENIED).as_deref(), Some("AccessDenied"));
        assert_eq!((Page::parse(DENIED), error_code(V2)), (None, None));
        assert_eq!(error_code("<html>"), None);
    }

    #[test]
    fn a_document_that_is_no_list_of_s3_is_not_read() {
        let list = |one: fn(u32) -> String| (0..60_000).map(one).collect::<Vec<_>>().concat();
        let many = list(|n| format!(" a{n}=\"\""));
        let spaces = list(|n| format!(" xmlns:a{n}=\"u{n}\""));
        let deep = "<a>".repeat(300_000);
        let wide = format!("<ListBucketResult>{}</ListBucketResult>", "<a/>".repeat(250_000));
        let began = std::time::Instant::now();
        for text in [
            format!("<ListBucketResult{many}/>"),
            format!("<ListBucketResult{spaces}/>"),
            format!("<Error{many}><Code>x</Code></Error>"),
            format!("<ListBucketResult>{deep}"),
            wide,
            format!("<ListBucketResult><a{many}", many = many.replace('"', "'")),
            "<!--".repeat(250_000),
            "<".repeat(1_000_000),
            format!("<ListBucketResult><![CDATA[{}", "<".repeat(1_000_000)),
        ] {
            assert_eq!((Page::parse(&text), error_code(&text)), (None, None), "{}", &text[..20]);
        }
        assert!(began.elapsed() < std::time::Duration::from_secs(3), "{:?}", began.elapsed());
        let fine = "<?xml version=\"1.0\"?><!-- <a b=''> --><Error a='>' b=\"'\"><Code><![CDATA[<x>]]></Code></Error>";
        assert_eq!(error_code(fine).as_deref(), Some("<x>"));
    }

    #[test]
    fn a_bucket_is_counted_by_use() {
        let mut contents = Contents::default();
        for (key, bytes) in [("x.narinfo", 500), ("nar/y.nar.zst", 9000), ("log/z.narinfo", 7)] {
            contents.add(key, bytes);
        }
        let expected = Contents { objects: 3, bytes: 9507, narinfos: 1, nars: 1, nar_bytes: 9000 };
        assert_eq!(contents, expected);
    }

    proptest! {
        #[test]
        fn no_text_breaks_the_reader(text in any::<String>()) {
            let _ = (Page::parse(&text), error_code(&text));
        }
    }
}
