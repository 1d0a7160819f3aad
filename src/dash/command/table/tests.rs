//! The rows do not contradict each other.

use super::*;

#[test]
fn a_key_means_one_thing_in_each_context() {
    for (index, one) in COMMANDS.iter().enumerate() {
        for other in &COMMANDS[index + 1..] {
            for context in one.contexts.iter().filter(|c| other.contexts.contains(c)) {
                for key in one.keys {
                    assert!(!other.keys.contains(key), "{key} in {context:?}");
                }
            }
        }
    }
}

#[test]
fn names_in_the_palette_are_unique() {
    let mut names: Vec<_> = COMMANDS.iter().map(|entry| entry.name).collect();
    names.sort_unstable();
    let count = names.len();
    names.dedup();
    assert_eq!(names.len(), count);
}

#[test]
fn esc_is_never_the_only_way_out() {
    for entry in COMMANDS.iter().filter(|entry| entry.keys.contains(&Code(KeyCode::Esc))) {
        for context in entry.contexts {
            let by_key = entry.keys.len() > 1;
            let back = entry.command == Command::Back;
            assert!(by_key || back, "{} in {context:?}", entry.name);
        }
    }
}

#[test]
fn where_text_is_typed_no_character_is_a_command() {
    for entry in COMMANDS.iter().filter(|entry| entry.contexts.iter().any(|c| c.types())) {
        assert!(!entry.keys.iter().any(|key| matches!(key, Char(_))), "{}", entry.name);
    }
}
