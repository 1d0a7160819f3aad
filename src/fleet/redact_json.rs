//! Hides what looks like a secret in a JSON document, and makes its texts printable.

use crate::fleet::{printable_line, redact};
use serde_json::Value;

/// Hides what looks like a secret in every text of a document, and every text that stands under the name
/// of a secret.
pub fn redact_json(document: &mut Value) {
    each_text(document, &mut |text| redact(text).into_owned());
}

/// Makes every text of a document that came from elsewhere printable, line by line, and hides what looks
/// like a secret.
pub fn printable_json(document: &mut Value) {
    each_text(document, &mut |text| {
        text.split('\n').map(printable_line).collect::<Vec<_>>().join("\n")
    });
}

/// Changes every text of a document: names, values, and values together with their names, since these
/// may say that it is a secret.
pub(crate) fn each_text(value: &mut Value, change: &mut impl FnMut(&str) -> String) {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
        Value::String(text) => *text = change(text),
        Value::Array(values) => values.iter_mut().for_each(|value| each_text(value, change)),
        Value::Object(entries) => {
            let old = std::mem::take(entries);
            for (name, mut value) in old {
                each_text(&mut value, change);
                if let Value::String(text) = &mut value {
                    hide_named(&name, text);
                }
                entries.insert(change(&name), value);
            }
        }
    }
}

/// Hides a text that its name says to be a secret.
fn hide_named(name: &str, text: &mut String) {
    let before = format!("{name}=");
    let one_word = text.split_whitespace().next().unwrap_or_default();
    let judged = format!("{before}{one_word}");
    if !one_word.is_empty() && redact(&judged) != judged {
        "[secret]".clone_into(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn secrets_are_hidden_wherever_they_stand_and_nothing_else() {
        let mut document = json!({
            "event": "result",
            "error": "fetching https://me:hunter2@cache.example failed: password=hunter2",
            "token": "hunter2 and more of it",
            "nested": [{ "api_key": "hunter2" }, "Authorization: Bearer hunter2hunter2"],
            "hosts": { "samsung": 3, "GITHUB_TOKEN=hunter2": 1 },
            "number": 12, "none": null, "path": "/nix/store/abc-token",
        });
        redact_json(&mut document);
        let text = document.to_string();
        assert!(!text.contains("hunter2"), "{text}");
        assert_eq!(document["hosts"]["samsung"], 3);
        assert_eq!(document["path"], "/nix/store/abc-token");
        assert_eq!(document["nested"][0]["api_key"], "[secret]");
        let plain = json!({ "a": "one\ntwo", "outcome": "switched", "title": "switch via-cache" });
        let mut same = plain.clone();
        redact_json(&mut same);
        printable_json(&mut same);
        assert_eq!(same, plain);
    }

    #[test]
    fn text_from_elsewhere_is_made_printable() {
        let mut document = json!({ "a\u{1b}[31m": ["\u{1b}]0;title\u{7}one\ntwo\u{202e}"] });
        printable_json(&mut document);
        assert_eq!(document, json!({ "a": ["one\ntwo"] }));
    }
}
