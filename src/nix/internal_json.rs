//! One line of Nix's `--log-format internal-json`.
//!
//! The format is Nix's own business and grows (`libutil/logging`): numbers of activities and
//! results that are not known here pass through, missing fields are none, and a line that is not
//! of the format at all is a plain line. Nothing in a log can make the reader fail.

use serde_json::{Map, Value};

/// Numbers of activity types.
pub mod activity {
    /// A path is copied: path, source, destination.
    pub const COPY_PATH: u64 = 100;
    /// A file is downloaded: its URL.
    pub const FILE_TRANSFER: u64 = 101;
    /// Several paths are copied; its progress counts paths.
    pub const COPY_PATHS: u64 = 103;
    /// Derivations are built; its progress counts them.
    pub const BUILDS: u64 = 104;
    /// A derivation is built: its path, machine, round, rounds.
    pub const BUILD: u64 = 105;
    /// A path is substituted: path, cache.
    pub const SUBSTITUTE: u64 = 108;
    /// A cache is asked what it knows of a path: the path, the cache.
    pub const QUERY_PATH_INFO: u64 = 109;
}

/// Numbers of result types.
pub mod result {
    /// A line of a build's output.
    pub const BUILD_LOG_LINE: u64 = 101;
    /// A build entered a phase.
    pub const SET_PHASE: u64 = 104;
    /// Done, expected, running, failed.
    pub const PROGRESS: u64 = 105;
    /// How much is expected of an activity type.
    pub const SET_EXPECTED: u64 = 106;
    /// A line of a post-build hook's output.
    pub const POST_BUILD_LOG_LINE: u64 = 107;
}

/// A field of an activity or result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Field {
    /// A number; Nix's are unsigned and may need all 64 bits.
    Number(u64),
    /// A text, untrusted.
    Text(String),
    /// Something else, kept so that the fields behind it stay in place.
    Other,
}

impl Field {
    /// Returns the number, if it is one.
    pub fn number(&self) -> Option<u64> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Text(_) | Self::Other => None,
        }
    }

    /// Returns the text, if it is one.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Number(_) | Self::Other => None,
        }
    }
}

/// What one line says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Activity {
    /// Something began.
    Start {
        /// Its number, unique in one process of Nix.
        id: u64,
        /// The activity it belongs to; 0 when none.
        parent: u64,
        /// 0 error, 1 warning, 2 notice, 3 info, 4 talkative … 7.
        level: u64,
        /// What it is; see [`activity`].
        kind: u64,
        /// In words, untrusted.
        text: String,
        /// What it is about.
        fields: Vec<Field>,
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
        /// What news; see [`result`].
        kind: u64,
        /// The news.
        fields: Vec<Field>,
    },
    /// A message of Nix.
    Message {
        /// As in [`Activity::Start`].
        level: u64,
        /// The message, untrusted, of one or several lines.
        text: String,
    },
    /// A line that is not of the format: another program's.
    Plain(String),
}

/// Parses a line, with or without its end.
pub fn parse_line(line: &str) -> Activity {
    let line = line.trim_end_matches(['\n', '\r']);
    let plain = || Activity::Plain(line.to_owned());
    let Some(json) = line.strip_prefix("@nix ") else { return plain() };
    let Ok(Value::Object(object)) = serde_json::from_str(json) else { return plain() };
    match object.get("action").and_then(Value::as_str) {
        Some("start") => Activity::Start {
            id: number(&object, "id"),
            parent: number(&object, "parent"),
            level: number(&object, "level"),
            kind: number(&object, "type"),
            text: text(&object, "text"),
            fields: fields(&object),
        },
        Some("stop") => Activity::Stop { id: number(&object, "id") },
        Some("result") => Activity::Result {
            id: number(&object, "id"),
            kind: number(&object, "type"),
            fields: fields(&object),
        },
        Some("msg") => {
            Activity::Message { level: number(&object, "level"), text: text(&object, "msg") }
        }
        Some(_) | None => plain(),
    }
}

/// Returns a number; 0 when it is not there, since Nix leaves defaults out.
fn number(object: &Map<String, Value>, key: &str) -> u64 {
    object.get(key).and_then(Value::as_u64).unwrap_or(0)
}

/// Returns a text; empty when it is not there.
fn text(object: &Map<String, Value>, key: &str) -> String {
    object.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// Returns the fields; none when there are none.
fn fields(object: &Map<String, Value>) -> Vec<Field> {
    let Some(Value::Array(values)) = object.get("fields") else { return Vec::new() };
    values
        .iter()
        .map(|value| match value {
            Value::Number(number) => number.as_u64().map_or(Field::Other, Field::Number),
            Value::String(text) => Field::Text(text.clone()),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => Field::Other,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lines_of_the_format_are_read() {
        let line = r#"@nix {"action":"start","fields":["/nix/store/x.drv","",1,1],"id":9,"level":3,"text":"building","type":105}"#;
        let Activity::Start { id: 9, parent: 0, level: 3, kind: activity::BUILD, fields, .. } =
            parse_line(line)
        else {
            panic!("{:?}", parse_line(line));
        };
        assert_eq!(fields[0].text(), Some("/nix/store/x.drv"));
        assert_eq!(fields[2].number(), Some(1));
    }

    #[test]
    fn numbers_may_need_all_64_bits_and_fields_of_other_types_keep_their_place() {
        let line = r#"@nix {"action":"result","id":18446744073709551615,"type":106,"fields":[100,9223372036854775808,null,-1,1.5,{}]}"#;
        let Activity::Result { id, fields, .. } = parse_line(line) else { panic!() };
        assert_eq!(id, u64::MAX);
        assert_eq!(fields[1].number(), Some(1 << 63));
        assert_eq!(fields.len(), 6);
        assert!(fields[2..].iter().all(|field| *field == Field::Other));
    }

    #[test]
    fn what_is_unknown_passes_through() {
        assert_eq!(parse_line("hello\r\n"), Activity::Plain("hello".to_owned()));
        for line in ["@nix {", "@nix []", "@nix {\"action\":\"dance\"}", "@nix", "@nix {}"] {
            assert_eq!(parse_line(line), Activity::Plain(line.to_owned()));
        }
        let line = r#"@nix {"action":"result","id":1,"type":4711,"payload":{"a":1}}"#;
        assert_eq!(parse_line(line), Activity::Result { id: 1, kind: 4711, fields: Vec::new() });
    }

    proptest! {
        #[test]
        fn any_line_is_survived(line in any::<String>(), json in "[\\[\\]{}\",:a-z0-9 ]{0,80}") {
            let _ = parse_line(&line);
            let _ = parse_line(&format!("@nix {json}"));
        }
    }
}
