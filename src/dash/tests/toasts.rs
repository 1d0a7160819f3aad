//! The sentence of the moment: whole at every width at which people work.

use crate::dash::demo::{self, model, now};
use crate::dash::tests::keys::press;
use crate::dash::tests::screens::{draw, look, snap, text};
use crate::dash::{Model, Msg, update};

fn shown(model: &Model) -> String {
    text(&draw(model, &look(false)))
}

/// Shows a sentence as bad news, which takes most columns.
fn say(model: &mut Model, text: &str) {
    update(model, Msg::Said { text: text.to_owned(), bad: true }, now());
}

/// Returns a text without blanks: where a line ends does not matter, nor where a long word is broken.
fn letters(text: &str) -> String {
    text.split_whitespace().collect()
}

/// Returns every sentence that may be told in a moment: those of the screen, of who carries out what it asks
/// for, and of the rooms whose errors are told there.
fn sentences() -> Vec<&'static str> {
    let mut is_told = false;
    let page = include_str!("../../../docs/messages.txt").lines();
    let told = page.filter_map(|line| {
        if let Some(text) = line.strip_prefix("    ") {
            return is_told.then_some(text);
        }
        let rooms = ["src/dash/", "src/cli/", "src/remote/", "src/record/"];
        is_told = rooms.iter().any(|room| line.starts_with(room));
        None
    });
    // What is longer is a paragraph of help.
    told.filter(|text| text.chars().count() <= LONGEST).collect()
}

/// Longest sentence that is told in a moment, in characters.
const LONGEST: usize = 240;

#[test]
fn every_sentence_is_whole_at_80_and_at_40_columns() {
    let all = sentences();
    assert!(all.len() > 500, "only {} sentences", all.len());
    for (columns, rows) in [(80, 24), (40, 10)] {
        let mut model = model(demo::troubled(), columns, rows);
        for sentence in &all {
            say(&mut model, sentence);
            let is_whole = letters(&shown(&model)).contains(&letters(sentence));
            assert!(is_whole, "{columns} columns: {sentence:?}\n{}", shown(&model));
        }
    }
}

#[test]
fn a_short_sentence_stands_in_the_rule_and_a_long_one_below_it() {
    let mut model = model(demo::well(), 80, 24);
    let before = shown(&model);
    let changed = |model: &Model| -> Vec<usize> {
        let (now, before) = (shown(model), before.lines());
        before.zip(now.lines()).enumerate().filter(|(_, (a, b))| a != b).map(|(at, _)| at).collect()
    };
    say(&mut model, "no host answers");
    assert_eq!(changed(&model), [22]);
    say(&mut model, &"one word more ".repeat(10));
    assert_eq!(changed(&model).last(), Some(&22), "the keys stay");
    assert!(shown(&model).lines().nth(20).unwrap().starts_with("────"), "{}", shown(&model));
}

#[test]
fn a_sentence_hides_neither_what_is_typed_nor_the_keys_of_a_question() {
    for (keys, kept) in [("/sam", "/sam"), ("jjM", "enter silence it")] {
        let mut model = model(demo::troubled(), 40, 10);
        press(&mut model, keys);
        say(&mut model, "type why it needs no alarm; others who look see the text");
        assert!(shown(&model).lines().last().unwrap().contains(kept), "{}", shown(&model));
        assert!(letters(&shown(&model)).contains("otherswholookseethetext"), "{}", shown(&model));
    }
}

#[test]
fn a_long_sentence_at_every_size() {
    snap("toast", |columns, rows| {
        let mut model = model(demo::troubled(), columns, rows);
        let way = "over ssh to your terminal (OSC 52), if the terminal allows that";
        say(&mut model, &format!("copied lines for the NixOS configuration, for “disk low” {way}"));
        model
    });
}
