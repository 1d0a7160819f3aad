//! Lines of several versions of Nix, and broken ones.

use super::*;
use proptest::prelude::*;

#[test]
fn lines_of_the_format_are_read() {
    let line = r#"@nix {"action":"start","fields":["/nix/store/x.drv","",1,1],"id":9,"level":3,"text":"building","type":105}"#;
    let JsonLine::Start {
        id: 9, parent: None, level: 3, kind: activity_type::BUILD, fields, ..
    } = parse_line(line)
    else {
        panic!("{:?}", parse_line(line));
    };
    assert_eq!(fields.text(0), Some("/nix/store/x.drv"));
    assert_eq!(fields.number(2), Some(1));
    assert_eq!((fields.text(2), fields.number(0), fields.number(7)), (None, None, None));
}

#[test]
fn a_parent_of_zero_is_told_from_a_nix_that_does_not_say() {
    let of = |parent: &str| format!(r#"@nix {{"action":"start","id":1{parent}}}"#);
    let parent = |line: &str| match parse_line(line) {
        JsonLine::Start { parent, .. } => parent,
        other => panic!("{other:?}"),
    };
    assert_eq!(parent(&of(r#","parent":0"#)), Some(0));
    assert_eq!(parent(&of("")), None);
}

#[test]
fn numbers_may_need_all_64_bits_and_fields_of_other_types_keep_their_place() {
    let line = r#"@nix {"action":"result","id":18446744073709551615,"type":106,"fields":[100,9223372036854775808,null,-1,1.5,{}]}"#;
    let JsonLine::Result { id, fields, .. } = parse_line(line) else { panic!() };
    assert_eq!(id, u64::MAX);
    assert_eq!(fields.number(1), Some(1 << 63));
    assert_eq!(fields.count(), 6);
    assert!((2..4).all(|index| fields.number(index).is_none() && fields.text(index).is_none()));
}

#[test]
fn what_is_unknown_passes_through() {
    assert_eq!(parse_line("hello\r\n"), JsonLine::Plain("hello"));
    for line in ["@nix {", "@nix []", "@nix {\"action\":\"dance\"}", "@nix", "@nix {}"] {
        assert_eq!(parse_line(line), JsonLine::Plain(line));
    }
    let line = r#"@nix {"action":"result","id":1,"type":4711,"fields":7,"payload":{"a":1}}"#;
    let fields = JsonFields::default();
    assert_eq!(parse_line(line), JsonLine::Result { id: 1, kind: 4711, fields, has_payload: true });
    assert_eq!(payload(line), None);
}

#[test]
fn a_key_that_is_there_twice_or_has_another_type_does_not_lose_the_line() {
    let line = r#"@nix {"action":"stop","id":1,"id":2,"sid":"x"}"#;
    assert_eq!(parse_line(line), JsonLine::Stop { id: 2 });
    let line =
        r#"@nix {"action":"msg","level":"3","msg":["a",{"b":[1]}],"file":null,"trace":[{}]}"#;
    assert_eq!(parse_line(line), JsonLine::Message { level: 0, text: "".into() });
}

#[test]
fn texts_are_borrowed_unless_they_need_unescaping() {
    let line = |text: &str| format!(r#"@nix {{"action":"msg","level":3,"msg":"{text}"}}"#);
    for (json, said, is_borrowed) in
        [("building", "building", true), (r"a\tb \u001b[0m", "a\tb \u{1b}[0m", false)]
    {
        let line = line(json);
        let JsonLine::Message { text, .. } = parse_line(&line) else { panic!() };
        assert_eq!((text.as_ref(), matches!(text, Cow::Borrowed(_))), (said, is_borrowed));
    }
}

#[test]
fn determinate_nix_tells_by_payload_what_nix_tells_otherwise() {
    let hash = r#"@nix {"action":"result","id":1,"sid":"s","type":109,"payload":{"storePath":"/nix/store/x-a.drv","wanted":{"algorithm":"sha256"},"got":{}}}"#;
    let drv = "/nix/store/x-a.drv".to_owned();
    assert_eq!(payload(hash), Some(Payload::HashMismatch { drv: drv.clone() }));
    let built = r#"@nix {"action":"result","id":1,"type":110,"payload":{"success":false,"status":"TimedOut","errorMsg":"timed out","path":{"drvPath":"x-a.drv","outputs":["*"]},"timesBuilt":0}}"#;
    let (status, error) = ("TimedOut".to_owned(), "timed out".to_owned());
    let expected = Payload::BuildResult { drv: Some(drv), success: false, status, error };
    assert_eq!(payload(built), Some(expected));
    let path = r#"@nix {"action":"result","id":1,"type":110,"payload":{"success":true,"status":"Substituted","path":"/nix/store/x-a"}}"#;
    let found = payload(path);
    assert!(matches!(found, Some(Payload::BuildResult { drv: None, success: true, .. })));
}

proptest! {
    #[test]
    fn any_line_is_survived(line in any::<String>(), json in "[\\[\\]{}\",:a-z0-9\\\\ ]{0,80}") {
        let _ = (parse_line(&line), payload(&line));
        for line in [format!("@nix {json}"), format!("@nix {{\"payload\":{json}}}")] {
            let _ = (parse_line(&line), payload(&line));
        }
    }
}
