//! Narinfos that are changed after they were signed: each change that people have met, by name, and
//! random ones with a fixed seed.

use super::cache::{Cache, Item, Maker, Packing};
use super::random::Random;
use nixdash::fleet::StorePath;
use nixdash::nix::hash::NixHash;

/// A change: its name, and what it makes of the text.
type Change = (&'static str, fn(&str, &Maker) -> String);

/// A well-formed content address of something else.
const CA: &str = "fixed:r:sha256:0sg9f58l1jj88w6pdrfdpj5x9b1zrwszk84j81zvby36q9whhhqa";

/// The changes of the table.
const MALFORMED: [Change; 34] = [
    ("lines end in CRLF", |text, _| text.replace('\n', "\r\n")),
    ("no final newline", |text, _| text.trim_end().to_owned()),
    ("leading blank line", |text, _| format!("\n{text}")),
    ("NarSize without its blank", |text, _| text.replace("NarSize: ", "NarSize:")),
    ("URL without its blank", |text, _| text.replace("URL: ", "URL:")),
    ("Sig without its blank", |text, _| text.replace("Sig: ", "Sig:")),
    ("two blanks before NarHash", |text, _| text.replace("NarHash: ", "NarHash:  ")),
    ("two blanks before References", |text, _| text.replace("References: ", "References:  ")),
    ("blank line before Sig", |text, _| text.replace("Sig: ", "\nSig: ")),
    ("References without its trailing blank", |text, _| {
        text.replace("References: \n", "References:\n")
    }),
    ("empty Deriver", |text, _| set(text, "Deriver", "")),
    ("Deriver is an absolute path", |text, _| text.replace("Deriver: ", "Deriver: /nix/store/")),
    ("garbage Deriver", |text, _| set(text, "Deriver", "garbage")),
    ("unknown-deriver", |text, _| set(text, "Deriver", "unknown-deriver")),
    ("empty FileHash", |text, _| set(text, "FileHash", "")),
    ("bad FileHash", |text, _| set(text, "FileHash", "sha256:garbage")),
    ("FileHash of another file", |text, _| {
        set(text, "FileHash", "sha256:0sg9f58l1jj88w6pdrfdpj5x9b1zrwszk84j81zvby36q9whhhqa")
    }),
    ("FileSize is no number", |text, _| set(text, "FileSize", "12 kB")),
    ("FileSize of another file", |text, _| set(text, "FileSize", "1")),
    ("References twice", |text, maker| {
        let common = Cache::common(maker);
        let base = common[0].path.base_name();
        text.replace("References: \n", &format!("References: {base}\nReferences: {base}\n"))
    }),
    ("CA twice", |text, _| format!("{text}CA: {CA}\nCA: {CA}\n")),
    ("garbage CA", |text, _| format!("{text}CA: garbage\n")),
    ("CA of something else", |text, _| format!("{text}CA: {CA}\n")),
    ("HTML", |_, _| {
        "<!DOCTYPE html>\n<html><body style=\"color: red\">Log in</body></html>\n".to_owned()
    }),
    ("empty body", |_, _| String::new()),
    ("NarHash in sha512", |text, maker| {
        signed_again(&set(text, "NarHash", &format!("sha512:{}", "0".repeat(103))), maker)
    }),
    ("wrong NarSize", |text, maker| signed_again(&set(text, "NarSize", "123456"), maker)),
    ("NarHash in SRI without its padding", |text, _| set(text, "NarHash", &sri(text))),
    ("Sig without its padding", |text, _| text.trim_end().trim_end_matches('=').to_owned() + "\n"),
    ("a foreign Sig before the good one", |text, maker| {
        text.replace("Sig: ", &format!("Sig: {}\nSig: ", maker.foreign("x")))
    }),
    ("a Sig without a colon beside the good one", |text, _| format!("{text}Sig: garbage\n")),
    ("a foreign Sig in bad base64 beside the good one", |text, _| {
        format!("{text}Sig: other-1:!\n")
    }),
    ("a Sig of a wrong length under the trusted name", |text, _| {
        format!("{text}Sig: own-1:YWJj\n")
    }),
    ("unknown Compression", |text, _| set(text, "Compression", "snappy")),
];

/// Returns a text with another value of a key.
fn set(text: &str, key: &str, value: &str) -> String {
    let prefix = format!("{key}: ");
    let lines = text.split_inclusive('\n').map(|line| {
        if line.starts_with(&prefix) { format!("{prefix}{value}\n") } else { line.to_owned() }
    });
    lines.collect()
}

/// Returns the value of a key.
fn get<'a>(text: &'a str, key: &str) -> &'a str {
    let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(": "));
    line.unwrap_or_default()
}

/// Returns a text with a good signature instead of the one that it has.
fn signed_again(text: &str, maker: &Maker) -> String {
    set(text, "Sig", &maker.signature(text))
}

/// Returns the `NarHash` of a text in SRI, without padding.
fn sri(text: &str) -> String {
    use ::base64::Engine as _;
    let hash = NixHash::parse(get(text, "NarHash")).unwrap().in_base16();
    let digits = hash.trim_start_matches("sha256:");
    let bytes: Vec<u8> = (0..digits.len() / 2)
        .map(|index| u8::from_str_radix(&digits[index * 2..index * 2 + 2], 16).unwrap())
        .collect();
    format!("sha256-{}", ::base64::engine::general_purpose::STANDARD_NO_PAD.encode(bytes))
}

/// Makes the items of the table.
pub(super) fn malformed(maker: &Maker) -> Vec<Item> {
    let mut items: Vec<Item> = Vec::new();
    for (name, change) in MALFORMED {
        let mut item = maker.item(items.len(), Packing::Plain, &[]);
        item.text = change(&item.text, maker);
        name.clone_into(&mut item.name);
        items.push(item);
    }
    let mut empty = maker.item(items.len(), Packing::Plain, &[]);
    (empty.name, empty.status, empty.text) = ("status 204".to_owned(), 204, String::new());
    items.push(empty);
    for (name, packing, label) in [
        ("Compression says xz, the nar is plain", Packing::Plain, "xz"),
        ("Compression says none, the nar is xz", Packing::Xz, "none"),
        ("Compression says zstd, the nar is xz", Packing::Xz, "zstd"),
    ] {
        let mut item = maker.item(items.len(), packing, &[]);
        item.text = set(&item.text, "Compression", label);
        name.clone_into(&mut item.name);
        items.push(item);
    }
    // What does not lead to the nar says nothing of the import.
    items.retain(|item| !was_read(item) || item.leads_to_its_nar());
    items
}

/// Returns whether nixdash reads the narinfo at all.
fn was_read(item: &Item) -> bool {
    nixdash::nix::narinfo::NarInfo::parse(&item.text).is_ok()
}

/// Makes all items of the comparison: those of the table, and random ones up to a count.
pub(super) fn all(maker: &Maker, count: usize) -> Vec<Item> {
    let mut items = malformed(maker);
    let common = Cache::common(maker);
    let paths: Vec<&StorePath> = common.iter().map(|item| &item.path).collect();
    let mut random = Random::with_seed(seed());
    let mut number = 1000;
    while items.len() < count {
        number += 1;
        let packing = *random.one_of(&[Packing::Plain, Packing::Plain, Packing::Xz, Packing::Gzip]);
        let references = &paths[..random.below(paths.len() + 1)];
        let mut item = maker.item(number, packing, references);
        item.name = format!("random {number}:");
        for _ in 0..=random.below(3) {
            let (name, text) = change(&mut random, &item.text, maker);
            item.text = text;
            item.name = format!("{} {name}", item.name);
        }
        if !was_read(&item) || item.leads_to_its_nar() {
            items.push(item);
        }
    }
    items
}

/// Returns the fixed seed, or the one that `NIXDASH_SEED` names, to look for other differences.
fn seed() -> u64 {
    let named = std::env::var("NIXDASH_SEED").ok().and_then(|text| text.parse().ok());
    named.unwrap_or(0x6e69_7864_6173_6821)
}

/// Values that a key may get.
const VALUES: [&str; 26] = [
    "",
    " ",
    "garbage",
    "0",
    "-1",
    "+5",
    "007",
    "18446744073709551616",
    "1 2",
    "1\t",
    "unknown-deriver",
    "/nix/store/l0znnv1nxsr0ry7gmadkh49s1d0hycgd-x",
    "l0znnv1nxsr0ry7gmadkh49s1d0hycgd-x",
    "l0znnv1nxsr0ry7gmadkh49s1d0hycgd_x",
    "l0znnv1nxsr0ry7gmadkh49s1d0hycgd-.x",
    "l0znnv1nxsr0ry7gmadkh49s1d0hycgd-..-x",
    "l0znnv1nxsr0ry7gmadkh49s1d0hycge-x",
    "none",
    "xz",
    "gzip",
    "lzma",
    "snappy",
    "identity",
    "sha256:garbage",
    "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU",
    "sha1:x5zjnshbjrrhpg88n2da87884cmn2i2i",
];

/// Signatures beside the good one.
const SIGNATURES: [&str; 10] = [
    "",
    "garbage",
    ":YWJj",
    "own-1:",
    "own-1:YWJj",
    "own-1:not base64!",
    "other-1:",
    "other-1:YWJj",
    "other-1:not base64!",
    "own-1",
];

/// Content addresses.
const ADDRESSES: [&str; 9] = [
    "",
    "garbage",
    CA,
    "fixed:sha256:094qif9n4cq4fdg459qzbhg1c6wywawwaaivx0k0x8xhbyx4vwic",
    "fixed:r:sha1:x5zjnshbjrrhpg88n2da87884cmn2i2i",
    "text:sha1:x5zjnshbjrrhpg88n2da87884cmn2i2i",
    "text:sha256:0x84z5jxhhafpx5r0zf36j3aqllgv07x65rklhs7f86n8vnwj5m1",
    "fixed:git:sha1:x5zjnshbjrrhpg88n2da87884cmn2i2i",
    "fixed:r:sha256:short",
];

/// Makes one random change of lines, or of what follows a key.
fn change(random: &mut Random, text: &str, maker: &Maker) -> (&'static str, String) {
    let mut lines: Vec<String> = text.split_inclusive('\n').map(str::to_owned).collect();
    if lines.is_empty() {
        return ("nothing", text.to_owned());
    }
    let at = random.below(lines.len());
    let to = random.below(lines.len());
    let line = lines[at].clone();
    let key = line.split(':').next().unwrap_or_default().to_owned();
    let name = match random.below(14) {
        0 => {
            lines[at] = line.replace('\n', "\r\n");
            "CR"
        }
        1 => {
            lines.insert(at, "\n".to_owned());
            "blank line"
        }
        2 => {
            lines[at] = line.replacen(": ", ":", 1);
            "no blank"
        }
        3 => {
            lines[at] = line.replacen(": ", ":  ", 1);
            "two blanks"
        }
        4 => {
            lines[at] = line.replacen(": ", ":\t", 1);
            "tab"
        }
        5 => {
            lines.remove(at);
            "line removed"
        }
        6 => {
            lines.insert(to, line);
            "line twice"
        }
        7 => {
            lines.swap(at, to);
            "lines swapped"
        }
        8 => {
            lines[at] = line.replace('\n', " \n");
            "blank at the end"
        }
        9 => {
            lines[at] = format!(" {line}");
            "blank before the key"
        }
        10 => {
            lines[at] = line.to_lowercase();
            "lower case"
        }
        11 => {
            lines.insert(
                to,
                random
                    .one_of(&["Unknown: x\n", "System: x86_64-linux\n", "no colon\n"])
                    .to_string(),
            );
            "unknown line"
        }
        12 => {
            lines[at] = format!("{key}: {}\n", random.one_of(&VALUES));
            "another value"
        }
        _ => return change_of_text(random, text, maker),
    };
    (name, lines.concat())
}

/// Makes one random change of the text as a whole, or of what is signed.
fn change_of_text(random: &mut Random, text: &str, maker: &Maker) -> (&'static str, String) {
    match random.below(8) {
        0 => ("cut", text[..random.below(text.len())].to_owned()),
        1 => {
            let at = random.below(text.len());
            let with = *random.one_of(&["x", ":", "\n", " ", "=", "/", "\0", "0"]);
            ("one character", format!("{}{with}{}", &text[..at], &text[at + 1..]))
        }
        2 => ("no final newline", text.trim_end().to_owned()),
        3 if get(text, "NarHash").starts_with("sha256:")
            && NixHash::parse(get(text, "NarHash")).is_some() =>
        {
            let base16 = NixHash::parse(get(text, "NarHash")).unwrap().in_base16();
            let value = if random.below(2) == 0 { base16 } else { sri(text) };
            ("NarHash spelled otherwise", set(text, "NarHash", &value))
        }
        4 => ("CA", format!("{text}CA: {}\n", random.one_of(&ADDRESSES))),
        5 => ("foreign signature", format!("{text}Sig: {}\n", maker.foreign(text))),
        6 => ("no padding", text.replace("==\n", "\n")),
        _ => ("another signature", format!("{text}Sig: {}\n", random.one_of(&SIGNATURES))),
    }
}
