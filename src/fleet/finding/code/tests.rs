//! The table of codes.

use super::*;
use std::collections::BTreeSet;

#[test]
fn words_are_kebab_case_unique_and_what_json_has() {
    let mut seen = BTreeSet::new();
    for code in Code::ALL {
        let word = code.word();
        assert!(seen.insert(word), "{word} stands twice");
        let is_kebab =
            |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase());
        assert!(word.split('-').all(is_kebab), "{word}");
        assert_eq!(serde_json::to_value(code).unwrap(), word);
        assert_eq!(Code::of_word(word), Some(*code));
    }
}

#[test]
fn every_code_says_in_whole_sentences_what_it_means_and_what_to_do() {
    for code in Code::ALL {
        for text in [code.meaning(), code.advice()] {
            assert!(text.ends_with('.') && text.len() > 15, "{code}: {text}");
            assert!(!text.contains('\n') && !text.contains('|'), "{code}: {text}");
        }
        assert!(code.label().len() <= 16, "{code}: {}", code.label());
    }
    assert_eq!(Code::LockHeld.fix(), "wait for that to end");
    let fix = Code::NoGeneration.fix_on("razer");
    assert!(fix.contains("`nixdash generations razer`"), "{fix}");
    for code in Code::ALL {
        let mut words = code.advice().split(|c: char| !c.is_alphanumeric());
        assert!(
            words.all(|word| word == "HOST" || !word.contains("HOST")),
            "{code}: no other word"
        );
    }
    assert_eq!(Code::of_word("lock"), None);
}

#[test]
fn no_advice_takes_the_name_of_a_host_for_an_alias_of_ssh() {
    for code in Code::ALL {
        let words: Vec<&str> = code.advice().split([' ', '`']).collect();
        let ssh = words.iter().position(|word| *word == "ssh");
        assert!(ssh.is_none_or(|at| !words[at..].contains(&"HOST")), "{code}: {}", code.advice());
    }
}

#[test]
fn a_lost_network_is_not_blamed_on_the_new_system_alone() {
    let advice = Code::NetworkLost.advice();
    assert!(advice.contains("the network between, or"), "{advice}");
}
