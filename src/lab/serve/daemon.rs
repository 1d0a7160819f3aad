//! A connection to a running nix-daemon, by its own protocol: the quickest way to ask a live store about a path.
//!
//! Only what a cache server asks: which path has this hash, and what is known about it. The protocol is spoken at version 1.19,
//! old enough to have no structured log, new enough for every daemon (numbers and order: Nix, `worker-protocol.hh`, `daemon.cc`).

use std::io;
use std::path::Path;

use tokio::io::{AsyncReadExt, AsyncWriteExt, BufStream};
use tokio::net::UnixStream;

use super::narinfo::{PathInfo, base32};

const HELLO: u64 = 0x6e69_7863;
const HELLO_BACK: u64 = 0x6478_696f;
const VERSION: u64 = 0x113;

const QUERY_PATH_INFO: u64 = 26;
const QUERY_PATH_FROM_HASH_PART: u64 = 29;

const LOG_LINE: u64 = 0x6f6c_6d67;
const LOG_END: u64 = 0x616c_7473;
const LOG_ERROR: u64 = 0x6378_7470;

/// The longest text taken from a daemon.
const LONGEST: u64 = 1 << 20;

/// An open connection.
pub(crate) struct Daemon {
    stream: BufStream<UnixStream>,
}

impl Daemon {
    /// Connects and greets.
    pub(crate) async fn connect(socket: &Path) -> io::Result<Self> {
        let mut daemon = Self { stream: BufStream::new(UnixStream::connect(socket).await?) };
        daemon.write_number(HELLO).await?;
        daemon.stream.flush().await?;
        if daemon.read_number().await? != HELLO_BACK {
            return Err(unexpected("greeting"));
        }
        daemon.read_number().await?;
        daemon.write_number(VERSION).await?;
        // Processor affinity and reserved space: obsolete, still expected.
        daemon.write_number(0).await?;
        daemon.write_number(0).await?;
        daemon.drain_log().await?;
        Ok(daemon)
    }

    /// The valid path whose name begins with this hash.
    pub(crate) async fn path_with_hash(&mut self, hash: &str) -> io::Result<Option<String>> {
        self.write_number(QUERY_PATH_FROM_HASH_PART).await?;
        self.write_text(hash).await?;
        self.drain_log().await?;
        let path = self.read_text().await?;
        Ok((!path.is_empty()).then_some(path))
    }

    /// What the store knows about a path, if it is valid.
    pub(crate) async fn path_info(&mut self, path: &str) -> io::Result<Option<PathInfo>> {
        self.write_number(QUERY_PATH_INFO).await?;
        self.write_text(path).await?;
        self.drain_log().await?;
        if self.read_number().await? == 0 {
            return Ok(None);
        }
        let deriver = self.read_text().await?;
        let hash = self.read_text().await?;
        let nar_hash =
            base32(hash.trim_start_matches("sha256:")).ok_or_else(|| unexpected("hash"))?;
        let mut references = self.read_texts().await?;
        references.sort();
        let _registered = self.read_number().await?;
        let nar_size = self.read_number().await?;
        let _ultimate = self.read_number().await?;
        let _signatures = self.read_texts().await?;
        let _content_address = self.read_text().await?;
        Ok(Some(PathInfo { path: path.to_owned(), nar_hash, nar_size, references, deriver }))
    }

    /// Sends what was written and reads the log up to its end, or to an error.
    async fn drain_log(&mut self) -> io::Result<()> {
        self.stream.flush().await?;
        loop {
            match self.read_number().await? {
                LOG_END => return Ok(()),
                LOG_LINE => {
                    self.read_text().await?;
                }
                LOG_ERROR => {
                    let message = self.read_text().await?;
                    self.read_number().await?;
                    return Err(io::Error::other(message));
                }
                _ => return Err(unexpected("log message")),
            }
        }
    }

    async fn read_number(&mut self) -> io::Result<u64> {
        self.stream.read_u64_le().await
    }

    async fn write_number(&mut self, number: u64) -> io::Result<()> {
        self.stream.write_u64_le(number).await
    }

    async fn read_text(&mut self) -> io::Result<String> {
        let length = self.read_number().await?;
        if length > LONGEST {
            return Err(unexpected("length"));
        }
        let mut bytes = vec![0; length.next_multiple_of(8) as usize];
        self.stream.read_exact(&mut bytes).await?;
        bytes.truncate(length as usize);
        String::from_utf8(bytes).map_err(|_| unexpected("text"))
    }

    async fn read_texts(&mut self) -> io::Result<Vec<String>> {
        let count = self.read_number().await?;
        let mut texts = Vec::new();
        for _ in 0..count {
            texts.push(self.read_text().await?);
        }
        Ok(texts)
    }

    async fn write_text(&mut self, text: &str) -> io::Result<()> {
        self.write_number(text.len() as u64).await?;
        self.stream.write_all(text.as_bytes()).await?;
        let padding = text.len().next_multiple_of(8) - text.len();
        self.stream.write_all(&[0; 8][..padding]).await
    }
}

fn unexpected(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("unexpected {what} from the nix-daemon"))
}
