//! Reads the text that Prometheus scrapes, as harmonia, ncps and SeaweedFS print it.
//!
//! Only samples are kept: name, labels, value (Prometheus' text format 0.0.4). Pure, and lenient:
//! a line that is no sample is left out, so that a new kind of line breaks no figure.

/// Most samples that are kept of one text.
const SAMPLES: usize = 100_000;

/// Longest line that is read, in bytes.
const LINE: usize = 16 << 10;

/// Most labels of a sample.
const LABELS: usize = 64;

/// One line of metrics.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Sample {
    /// The metric's name.
    pub(super) name: String,
    /// Its labels, in the order they were written.
    pub(super) labels: Vec<(String, String)>,
    /// Its value; never NaN.
    pub(super) value: f64,
}

impl Sample {
    /// Returns the value of a label.
    pub(super) fn label(&self, name: &str) -> Option<&str> {
        self.labels.iter().find(|(label, _)| label == name).map(|(_, value)| value.as_str())
    }
}

/// Everything that a server printed at once.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Metrics(Vec<Sample>);

impl Metrics {
    /// Reads a text; nothing when there is no sample in it.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let lines = text.lines().filter(|line| line.len() <= LINE);
        let samples: Vec<Sample> = lines.filter_map(sample).take(SAMPLES).collect();
        (!samples.is_empty()).then_some(Self(samples))
    }

    /// Returns the samples of a metric.
    pub(super) fn named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Sample> {
        self.0.iter().filter(move |sample| sample.name == name)
    }

    /// Returns the sum of a metric's samples that a condition holds for; nothing when the server
    /// does not have the metric at all.
    pub(super) fn sum(&self, name: &str, wanted: impl Fn(&Sample) -> bool) -> Option<f64> {
        self.named(name).next()?;
        Some(self.named(name).filter(|sample| wanted(sample)).map(|sample| sample.value).sum())
    }

    /// Returns the sum of all of a metric's samples.
    pub(super) fn total(&self, name: &str) -> Option<f64> {
        self.sum(name, |_| true)
    }
}

/// Returns by how much a counter grew; one that dropped was reset, and grew from 0.
pub(super) fn grown(before: f64, now: f64) -> f64 {
    if now < before { now } else { now - before }
}

/// Reads one line; nothing for comments and what is no sample.
fn sample(line: &str) -> Option<Sample> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return None;
    }
    let (name, labels, rest) = match line.split_once('{') {
        Some((name, rest)) if !name.contains(char::is_whitespace) => {
            let (labels, rest) = labels(rest)?;
            (name, labels, rest)
        }
        Some(_) | None => {
            let (name, rest) = line.split_once(char::is_whitespace)?;
            (name, Vec::new(), rest)
        }
    };
    let named = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == ':');
    // A timestamp may follow the value.
    let value: f64 = rest.split_whitespace().next()?.parse().ok()?;
    (named && !name.is_empty() && !value.is_nan()).then(|| Sample {
        name: name.to_owned(),
        labels,
        value,
    })
}

/// Labels, and what follows their closing brace.
type Labels<'a> = (Vec<(String, String)>, &'a str);

/// Reads labels up to the closing brace; a value may hold braces, commas and escaped quotes.
fn labels(text: &str) -> Option<Labels<'_>> {
    let mut found = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches([' ', ',']);
        if let Some(after) = rest.strip_prefix('}') {
            return Some((found, after));
        }
        if found.len() >= LABELS {
            return None;
        }
        let (name, after) = rest.split_once('=')?;
        let mut chars = after.trim_start().strip_prefix('"')?.char_indices();
        let mut value = String::new();
        let quoted = after.trim_start().strip_prefix('"')?;
        let end = loop {
            match chars.next()? {
                (at, '"') => break at,
                (_, '\\') => match chars.next()?.1 {
                    'n' => value.push('\n'),
                    other => value.push(other),
                },
                (_, c) => value.push(c),
            }
        };
        found.push((name.trim().to_owned(), value));
        rest = &quoted[end + 1..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn braces_commas_and_quotes_in_a_label_are_part_of_it() {
        let text = "# HELP x y\n\
            a_total{path=\"/{hash}.narinfo\",note=\"a, \\\"b\\\" = c\\\\\"} 7 1700000000\n\
            b 1.5e3\nc{} +Inf\nd NaN\nno sample\n";
        let metrics = Metrics::parse(text).unwrap();
        let a = metrics.named("a_total").next().unwrap();
        assert_eq!(a.label("path"), Some("/{hash}.narinfo"));
        assert_eq!(a.label("note"), Some("a, \"b\" = c\\"));
        assert!((a.value - 7.0).abs() < f64::EPSILON);
        assert_eq!(metrics.total("b"), Some(1500.0));
        assert_eq!(metrics.total("c"), Some(f64::INFINITY));
        assert_eq!((metrics.total("d"), metrics.total("absent")), (None, None));
        assert_eq!(metrics.sum("b", |_| false), Some(0.0));
        assert_eq!(Metrics::parse("<html>no metrics</html>"), None);
    }

    #[test]
    fn a_text_without_measure_is_read_as_far_as_is_sensible() {
        let labels = (0..=LABELS).map(|n| format!("l{n}=\"\",")).collect::<Vec<_>>().concat();
        let mut text = format!("many{{{labels}}} 1\nlong{{a=\"{}\"}} 1\n", "x".repeat(LINE));
        text.extend((0..=SAMPLES).map(|n| format!("n{n} 1\n")));
        let metrics = Metrics::parse(&text).unwrap();
        assert_eq!((metrics.total("many"), metrics.total("long")), (None, None));
        assert_eq!((metrics.0.len(), metrics.total("n0")), (SAMPLES, Some(1.0)));
    }

    #[test]
    fn a_counter_that_dropped_began_anew() {
        assert!((grown(10.0, 15.0) - 5.0).abs() < f64::EPSILON);
        assert!((grown(10.0, 3.0) - 3.0).abs() < f64::EPSILON);
    }

    proptest! {
        #[test]
        fn no_text_breaks_the_reader(text in any::<String>()) {
            let _ = Metrics::parse(&text);
        }
    }
}
