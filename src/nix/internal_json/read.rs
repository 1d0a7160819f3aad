//! Reads a line in one pass, without a copy of texts that need none.

use super::{Field, JsonFields, JsonLine, MARK, Payload};
use serde::de::{self, Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use std::borrow::Cow;
use std::fmt;

/// Parses a line, with or without its end.
pub fn parse_line(line: &str) -> JsonLine<'_> {
    let line = line.trim_end_matches(['\n', '\r']);
    read(line).unwrap_or(JsonLine::Plain(line))
}

/// Reads what Determinate Nix writes as the `payload` of a result; none for what is not known.
pub fn payload(line: &str) -> Option<Payload> {
    let json = line.trim_end_matches(['\n', '\r']).strip_prefix(MARK)?;
    let line: Value = serde_json::from_str(json).ok()?;
    let payload = line.get("payload")?;
    let text = |key: &str| payload.get(key).and_then(Value::as_str);
    if let (Some(drv), Some(_)) = (text("storePath"), payload.get("wanted")) {
        return Some(Payload::HashMismatch { drv: drv.to_owned() });
    }
    let success = payload.get("success").and_then(Value::as_bool)?;
    // A path alone is one that was substituted.
    let drv = payload.get("path").and_then(|path| path.get("drvPath")).and_then(Value::as_str);
    Some(Payload::BuildResult {
        drv: drv.map(in_store),
        success,
        status: text("status").unwrap_or_default().to_owned(),
        error: text("errorMsg").unwrap_or_default().to_owned(),
    })
}

/// Returns the whole path of a derivation: newer versions write only its name.
fn in_store(drv: &str) -> String {
    if drv.starts_with('/') { drv.to_owned() } else { format!("/nix/store/{drv}") }
}

/// Reads a line of the format.
fn read(line: &str) -> Option<JsonLine<'_>> {
    let json = line.strip_prefix(MARK)?;
    let read: RawLine<'_> = serde_json::from_str(json).ok()?;
    let RawLine { action, id, parent, level, kind, text, msg, fields, has_payload } = read;
    let (id, level, kind) = (id.unwrap_or(0), level.unwrap_or(0), kind.unwrap_or(0));
    match action? {
        Action::Start => Some(JsonLine::Start { id, parent, level, kind, text, fields }),
        Action::Stop => Some(JsonLine::Stop { id }),
        Action::Result => Some(JsonLine::Result { id, kind, fields, has_payload }),
        Action::Message => Some(JsonLine::Message { level, text: msg }),
    }
}

/// What a line is for.
#[derive(Clone, Copy)]
enum Action {
    Start,
    Stop,
    Result,
    Message,
}

/// The keys of a line that are known, whatever it is for.
#[derive(Default)]
struct RawLine<'a> {
    action: Option<Action>,
    id: Option<u64>,
    parent: Option<u64>,
    level: Option<u64>,
    kind: Option<u64>,
    text: Cow<'a, str>,
    msg: Cow<'a, str>,
    fields: JsonFields<'a>,
    has_payload: bool,
}

impl<'de> Deserialize<'de> for RawLine<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(LineVisitor)
    }
}

struct LineVisitor;

impl<'de> Visitor<'de> for LineVisitor {
    type Value = RawLine<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<RawLine<'de>, M::Error> {
        let mut line = RawLine::default();
        while let Some(Field::Text(key)) = map.next_key::<Field<'de>>()? {
            match key.as_ref() {
                "action" => line.action = action(&map.next_value::<Field<'de>>()?),
                "id" => line.id = number(&map.next_value()?),
                "parent" => line.parent = number(&map.next_value()?),
                "level" => line.level = number(&map.next_value()?),
                "type" => line.kind = number(&map.next_value()?),
                "text" => line.text = text(map.next_value()?),
                "msg" => line.msg = text(map.next_value()?),
                "fields" => line.fields = map.next_value()?,
                key => {
                    line.has_payload |= key == "payload";
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(line)
    }
}

/// Returns what a line is for; none for what is not known.
fn action(field: &Field<'_>) -> Option<Action> {
    let Field::Text(text) = field else { return None };
    match text.as_ref() {
        "start" => Some(Action::Start),
        "stop" => Some(Action::Stop),
        "result" => Some(Action::Result),
        "msg" => Some(Action::Message),
        _ => None,
    }
}

/// Returns a number; none for anything else.
fn number(field: &Field<'_>) -> Option<u64> {
    match field {
        Field::Number(number) => Some(*number),
        Field::Text(_) | Field::Other => None,
    }
}

/// Returns a text; empty for anything else.
fn text(field: Field<'_>) -> Cow<'_, str> {
    match field {
        Field::Text(text) => text,
        Field::Number(_) | Field::Other => Cow::Borrowed(""),
    }
}

impl<'de> Deserialize<'de> for Field<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(FieldVisitor)
    }
}

/// Takes any JSON value.
struct FieldVisitor;

impl<'de> Visitor<'de> for FieldVisitor {
    type Value = Field<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Field<'de>, E> {
        Ok(Field::Number(value))
    }

    fn visit_borrowed_str<E: de::Error>(self, value: &'de str) -> Result<Field<'de>, E> {
        Ok(Field::Text(Cow::Borrowed(value)))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Field<'de>, E> {
        Ok(Field::Text(Cow::Owned(value.to_owned())))
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<Field<'de>, E> {
        Ok(Field::Other)
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<Field<'de>, E> {
        Ok(Field::Other)
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<Field<'de>, E> {
        Ok(Field::Other)
    }

    fn visit_unit<E: de::Error>(self) -> Result<Field<'de>, E> {
        Ok(Field::Other)
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut seq: S) -> Result<Field<'de>, S::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Field::Other)
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Field<'de>, M::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Field::Other)
    }
}

impl<'de> Deserialize<'de> for JsonFields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(FieldsVisitor)
    }
}

/// Takes a list; anything else is no fields.
struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = JsonFields<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut seq: S) -> Result<JsonFields<'de>, S::Error> {
        let mut fields = JsonFields::default();
        while let Some(field) = seq.next_element::<Field<'de>>()? {
            if let Some(place) = fields.first.get_mut(fields.count) {
                *place = field;
            }
            fields.count += 1;
        }
        Ok(fields)
    }

    fn visit_u64<E: de::Error>(self, _: u64) -> Result<JsonFields<'de>, E> {
        Ok(JsonFields::default())
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<JsonFields<'de>, E> {
        Ok(JsonFields::default())
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<JsonFields<'de>, E> {
        Ok(JsonFields::default())
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<JsonFields<'de>, E> {
        Ok(JsonFields::default())
    }

    fn visit_str<E: de::Error>(self, _: &str) -> Result<JsonFields<'de>, E> {
        Ok(JsonFields::default())
    }

    fn visit_unit<E: de::Error>(self) -> Result<JsonFields<'de>, E> {
        Ok(JsonFields::default())
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<JsonFields<'de>, M::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(JsonFields::default())
    }
}
