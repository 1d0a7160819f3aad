//! A cache that holds what the test made: narinfos that are signed here, good or changed, and the
//! nars that they are about.

use ::base64::Engine as _;
use ::base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signer as _, SigningKey};
use nixdash::fleet::{PublicKey, StorePath};
use nixdash::nix::base32;
use nixdash::nix::hash::NixHash;
use nixdash::nix::nar::NarStart;
use nixdash::nix::narinfo::NarInfo;
use nixdash::nix::signature::parse_public_key;
use sha2::{Digest as _, Sha256};
use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::Arc;

/// How the nar of an item is packed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Packing {
    /// Not at all.
    Plain,
    /// By `xz`.
    Xz,
    /// By `gzip`.
    Gzip,
}

/// A path, what the cache says of it, and its nar.
pub(super) struct Item {
    /// What was done to it.
    pub(super) name: String,
    pub(super) path: StorePath,
    /// The narinfo, as it is served.
    pub(super) text: String,
    /// With which status it is served.
    pub(super) status: u16,
    /// The nar.
    pub(super) nar: Vec<u8>,
    pub(super) nar_hash: NixHash,
    /// What the nar's first bytes, as they are served, show.
    pub(super) start: NarStart,
    served: Vec<u8>,
    /// The name of the nar's file, which only this item's address has.
    file: String,
}

impl Item {
    /// Returns whether the narinfo, if it can be read, still leads to the nar.
    pub(super) fn leads_to_its_nar(&self) -> bool {
        NarInfo::parse(&self.text).is_ok_and(|narinfo| narinfo.url == self.url())
    }

    fn url(&self) -> String {
        format!("nar/{}", self.file)
    }
}

/// Makes items and signs them.
pub(super) struct Maker {
    secret: SigningKey,
    other: SigningKey,
}

impl Maker {
    pub(super) fn new() -> Self {
        Self { secret: SigningKey::from_bytes(&[7; 32]), other: SigningKey::from_bytes(&[9; 32]) }
    }

    /// Returns the key that hosts trust.
    pub(super) fn key(&self) -> PublicKey {
        let public = STANDARD.encode(self.secret.verifying_key().to_bytes());
        parse_public_key(&format!("own-1:{public}")).unwrap()
    }

    /// Makes a good item; `number` makes it another path than the others.
    pub(super) fn item(&self, number: usize, packing: Packing, references: &[&StorePath]) -> Item {
        let nar = nar_of(format!("content {number}\n").repeat(20).as_bytes());
        let hash = base32::encode(&Sha256::digest(format!("path {number}"))[..20]);
        let path = StorePath::from_base_name(&format!("{hash}-v-{number}")).unwrap();
        let nar_hash = NixHash::sha256(Sha256::digest(&nar).into());
        let (label, served) = match packing {
            Packing::Plain => ("none", nar.clone()),
            Packing::Xz => ("xz", packed("xz", &nar)),
            Packing::Gzip => ("gzip", packed("gzip", &nar)),
        };
        let names: Vec<&str> = references.iter().map(|path| path.base_name()).collect();
        let file = format!("n{number}x.nar");
        let text = format!(
            "StorePath: {path}\nURL: nar/{file}\nCompression: {label}\nFileHash: {}\n\
             FileSize: {}\nNarHash: {nar_hash}\nNarSize: {}\nReferences: {}\n\
             Deriver: {hash}-v-{number}.drv\n",
            NixHash::sha256(Sha256::digest(&served).into()),
            served.len(),
            nar.len(),
            names.join(" "),
        );
        let text = format!("{text}Sig: {}\n", self.signature(&text));
        let start = NarStart::of(&served);
        let name = "good".to_owned();
        Item { name, path, text, status: 200, nar, nar_hash, start, served, file }
    }

    /// Returns the good signature of a narinfo, `name:base64`.
    pub(super) fn signature(&self, text: &str) -> String {
        let fingerprint = NarInfo::parse(text).unwrap().fingerprint();
        format!("own-1:{}", STANDARD.encode(self.secret.sign(fingerprint.as_bytes()).to_bytes()))
    }

    /// Returns a signature by a key that nobody trusts.
    pub(super) fn foreign(&self, text: &str) -> String {
        format!("other-1:{}", STANDARD.encode(self.other.sign(text.as_bytes()).to_bytes()))
    }
}

/// Returns the NAR of one regular file.
fn nar_of(content: &[u8]) -> Vec<u8> {
    let mut nar = Vec::new();
    let words: [&[u8]; 7] =
        [b"nix-archive-1", b"(", b"type", b"regular", b"contents", content, b")"];
    for word in words {
        nar.extend((word.len() as u64).to_le_bytes());
        nar.extend(word);
        nar.resize(nar.len().next_multiple_of(8), 0);
    }
    nar
}

/// Returns what a program packs bytes to.
fn packed(program: &str, bytes: &[u8]) -> Vec<u8> {
    let mut child = Command::new(program)
        .arg("-c")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{program}: {error}"));
    child.stdin.take().unwrap().write_all(bytes).unwrap();
    child.wait_with_output().unwrap().stdout
}

/// The server, which runs until the test ends.
pub(super) struct Cache {
    /// Its address.
    pub(super) url: String,
}

impl Cache {
    /// Serves items, and what they may refer to.
    pub(super) fn serve(items: &[Item], maker: &Maker) -> Self {
        Self::serve_with("StoreDir: /nix/store\nPriority: 30\n", items, maker)
    }

    /// Does what [`Cache::serve`] does, with another `nix-cache-info`.
    pub(super) fn serve_with(info: &str, items: &[Item], maker: &Maker) -> Self {
        let mut files = HashMap::new();
        files.insert("/nix-cache-info".to_owned(), (200, info.as_bytes().to_vec()));
        let common: Vec<Item> = Self::common(maker);
        for item in items.iter().chain(&common) {
            let text = item.text.clone().into_bytes();
            files.insert(format!("/{}.narinfo", item.path.hash()), (item.status, text));
            files.insert(format!("/{}", item.url()), (200, item.served.clone()));
        }
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let files = Arc::new(files);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let files = Arc::clone(&files);
                std::thread::spawn(move || answer(&stream, &files));
            }
        });
        Self { url }
    }

    /// Returns the paths that items may refer to, as the cache holds them.
    pub(super) fn common(maker: &Maker) -> Vec<Item> {
        (900_000..900_002).map(|number| maker.item(number, Packing::Plain, &[])).collect()
    }
}

/// Answers the requests of a connection until it ends.
fn answer(stream: &TcpStream, files: &HashMap<String, (u16, Vec<u8>)>) {
    let mut reader = BufReader::new(stream);
    let mut writer = stream;
    loop {
        let mut first = String::new();
        if reader.read_line(&mut first).is_err() || first.is_empty() {
            return;
        }
        let mut line = String::new();
        while reader.read_line(&mut line).is_ok_and(|count| count > 2) {
            line.clear();
        }
        let path = first.split(' ').nth(1).unwrap_or_default();
        let missing = (404, b"missing".to_vec());
        let (status, body) = files.get(path).unwrap_or(&missing);
        let length = body.len();
        // An answer with 204 has neither a body nor its length.
        let head = if *status == 204 {
            format!("HTTP/1.1 {status} x\r\n\r\n")
        } else {
            format!("HTTP/1.1 {status} x\r\nContent-Length: {length}\r\n\r\n")
        };
        let body: &[u8] = if *status == 204 { &[] } else { body };
        if writer.write_all(&[head.as_bytes(), body].concat()).is_err() {
            return;
        }
    }
}
