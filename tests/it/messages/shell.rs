//! The texts of a shell script: what stands in quotes there and is a sentence, not a program.

/// Returns the texts of a script in their order.
pub(super) fn texts(source: &str) -> Vec<String> {
    let mut chars = source.chars().peekable();
    let mut found = Vec::new();
    let mut before = '\n';
    while let Some(c) = chars.next() {
        match c {
            '#' if before.is_whitespace() => while chars.next_if(|c| *c != '\n').is_some() {},
            '\\' => drop(chars.next()),
            '\'' => {
                let text: String = std::iter::from_fn(|| chars.next_if(|c| *c != '\'')).collect();
                chars.next();
                found.push(text);
            }
            '"' => found.push(quoted(&mut chars)),
            _ => {}
        }
        before = c;
    }
    found.retain(|text| !text.contains(is_of_a_program));
    found
}

/// Returns whether a sign stands in programs, and in no sentence of a script.
fn is_of_a_program(sign: char) -> bool {
    matches!(sign, '=' | '|' | '\\' | '^' | '<' | '>' | '\n')
}

/// Reads what stands in double quotes behind the first; what a command there prints is `$(…)`.
fn quoted(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> String {
    let mut text = String::new();
    while let Some(c) = chars.next() {
        match c {
            '"' => break,
            '\\' => text.extend(chars.next()),
            '$' if chars.next_if_eq(&'(').is_some() => {
                let mut depth = 1;
                while depth > 0 {
                    match chars.next() {
                        Some('(') => depth += 1,
                        Some(')') => depth -= 1,
                        Some(_) => {}
                        None => return text,
                    }
                }
                text.push_str("$(…)");
            }
            c => text.push(c),
        }
    }
    text
}

#[test]
fn texts_of_a_script_are_sentences_in_quotes() {
    let source = r#"
        # a "comment's" words
        echo "it ended with $code: $(tail -n 1 "$log")" >&2
        awk 'NR == 2 { print the line }' "$x"
        fail 'not so' # "nor this"
    "#;
    assert_eq!(texts(source), ["it ended with $code: $(…)", "$x", "not so"]);
}
