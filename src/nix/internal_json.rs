//! One line of Nix's `--log-format internal-json`, borrowed from the text that it stands in.
//!
//! The format is Nix's own business and grows (`libutil/logging`): numbers of activities and
//! results that are not known here pass through, missing fields are none, and a line that is not
//! of the format at all is a plain line. Nothing in a log can make the reader fail.
//!
//! Determinate Nix gives two numbers another meaning than Nix 2.36 does: its results 109 and 110
//! have a `payload` in place of fields. So a number alone says nothing there; see [`Payload`].

mod read;

pub use read::{parse_line, payload};

use std::borrow::Cow;

/// What stands before the JSON of a line.
const MARK: &str = "@nix ";

/// Numbers of activity types.
pub mod activity_type {
    /// Only its text says what it is.
    pub const UNKNOWN: u64 = 0;
    /// A path is copied: path, source, destination.
    pub const COPY_PATH: u64 = 100;
    /// A file is downloaded: its URL.
    pub const FILE_TRANSFER: u64 = 101;
    /// What was asked for is made to exist; says how many bytes are expected.
    pub const REALISE: u64 = 102;
    /// Several paths are copied; its progress counts paths.
    pub const COPY_PATHS: u64 = 103;
    /// Derivations are built; its progress counts them.
    pub const BUILDS: u64 = 104;
    /// A derivation is built: its path, machine, round, rounds.
    pub const BUILD: u64 = 105;
    /// Equal files of the store become one.
    pub const OPTIMISE_STORE: u64 = 106;
    /// Paths of the store are compared with their hashes.
    pub const VERIFY_PATHS: u64 = 107;
    /// A path is substituted: path, cache.
    pub const SUBSTITUTE: u64 = 108;
    /// A cache is asked what it knows of a path: the path, the cache.
    pub const QUERY_PATH_INFO: u64 = 109;
    /// The hook after a build runs: the derivation.
    pub const POST_BUILD_HOOK: u64 = 110;
    /// A build waits, for a lock, a machine or a build user; or, with two fields, for the
    /// derivation that this one turned out to be: derivation, resolved derivation.
    pub const BUILD_WAITING: u64 = 111;
    /// An input of a flake is fetched.
    pub const FETCH_TREE: u64 = 112;
    /// A source is copied into the store, or hashed (since 2.36): source, 1 when it is only hashed.
    pub const FETCH_TO_STORE: u64 = 113;
}

/// Numbers of result types.
pub mod result_type {
    /// A file was found twice: bytes, blocks.
    pub const FILE_LINKED: u64 = 100;
    /// A line of a build's output.
    pub const BUILD_LOG_LINE: u64 = 101;
    /// A path without a trusted signature.
    pub const UNTRUSTED_PATH: u64 = 102;
    /// A path that is not what its hash says.
    pub const CORRUPTED_PATH: u64 = 103;
    /// A build entered a phase.
    pub const SET_PHASE: u64 = 104;
    /// Done, expected, running, failed.
    pub const PROGRESS: u64 = 105;
    /// How much is expected of an activity type.
    pub const SET_EXPECTED: u64 = 106;
    /// A line of a post-build hook's output.
    pub const POST_BUILD_LOG_LINE: u64 = 107;
    /// A line about the fetch of an input.
    pub const FETCH_STATUS: u64 = 108;
    /// Nix 2.36: the store path of a source. Determinate Nix: a hash that is not the expected one.
    pub const FETCH_TO_STORE: u64 = 109;
    /// Determinate Nix: how a build ended.
    pub const BUILD_RESULT: u64 = 110;
}

/// A field of an activity or result.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Field<'a> {
    /// A number; Nix's are unsigned and may need all 64 bits.
    Number(u64),
    /// A text, untrusted.
    Text(Cow<'a, str>),
    /// Something else, kept so that the fields behind it stay in place.
    #[default]
    Other,
}

/// The fields of an activity or result: the first four, as many as Nix has, and how many there are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JsonFields<'a> {
    first: [Field<'a>; 4],
    count: usize,
}

impl JsonFields<'_> {
    /// Returns a number at a place; none where there is no number.
    pub fn number(&self, index: usize) -> Option<u64> {
        match self.first.get(index)? {
            Field::Number(number) => Some(*number),
            Field::Text(_) | Field::Other => None,
        }
    }

    /// Returns the text at a place; none where there is no text.
    pub fn text(&self, index: usize) -> Option<&str> {
        match self.first.get(index)? {
            Field::Text(text) => Some(text),
            Field::Number(_) | Field::Other => None,
        }
    }

    /// Returns how many fields the line had, more than four too.
    pub fn count(&self) -> usize {
        self.count
    }
}

/// What one line says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JsonLine<'a> {
    /// Something began.
    Start {
        /// Its number, unique in one process of Nix.
        id: u64,
        /// The activity it belongs to, 0 for no other; none from a Nix before 2.18, which does not
        /// say.
        parent: Option<u64>,
        /// 0 error, 1 warning, 2 notice, 3 info, 4 talkative … 7.
        level: u64,
        /// What it is; see [`activity_type`].
        kind: u64,
        /// In words, untrusted.
        text: Cow<'a, str>,
        /// What it is about.
        fields: JsonFields<'a>,
    },
    /// Something ended, well or not.
    Stop {
        /// Its number.
        id: u64,
    },
    /// News of something that runs.
    Result {
        /// Its number.
        id: u64,
        /// What news; see [`result_type`].
        kind: u64,
        /// The news.
        fields: JsonFields<'a>,
        /// Whether the line has a `payload`, which [`payload`] reads.
        has_payload: bool,
    },
    /// A message of Nix.
    Message {
        /// As in [`JsonLine::Start`].
        level: u64,
        /// The message, untrusted, of one or several lines.
        text: Cow<'a, str>,
    },
    /// A line that is not of the format: another program's, or a torn one.
    Plain(&'a str),
}

/// What Determinate Nix tells of a build beyond the format of Nix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payload {
    /// What was fetched has another hash than the expression says.
    HashMismatch {
        /// The derivation.
        drv: String,
    },
    /// A build, or a substitution, ended.
    BuildResult {
        /// The derivation, where it was one.
        drv: Option<String>,
        /// Whether it ended well.
        success: bool,
        /// Nix's word for how it ended, such as `Built`, `AlreadyValid`, `TimedOut`.
        status: String,
        /// Why it failed; empty when it did not.
        error: String,
    },
}

/// A line in the log of a build by which its builder tells Nix something.
#[derive(Debug, serde::Deserialize)]
pub struct BuilderLine {
    /// What it is about, such as `setPhase`.
    pub action: String,
    /// The phase that begins, untrusted.
    #[serde(default)]
    pub phase: Option<String>,
}

/// Reads such a line; none for any other.
pub fn builder_line(line: &str) -> Option<BuilderLine> {
    serde_json::from_str(line.strip_prefix(MARK)?).ok()
}

#[cfg(test)]
mod tests;
