//! OpenMetrics text, version 1.0.0: families with their type, unit and help, ended by `# EOF`.

use crate::fleet::printable_line;
use std::fmt::Write;

/// What a browser or Prometheus is told that the text is.
pub(super) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The type of a family.
#[derive(Clone, Copy)]
pub(super) enum MetricKind {
    /// A value that goes up and down.
    Gauge,
    /// A value that only grows; its samples end in `_total`.
    Counter,
    /// Words that describe; its samples end in `_info` and are 1.
    Info,
    /// One of several states; the sample of the one that holds is 1.
    StateSet,
}

/// A family: what its samples have in common.
pub(super) struct MetricFamily {
    /// Its name; ends in the unit, where it has one.
    pub(super) name: &'static str,
    pub(super) kind: MetricKind,
    /// The unit: seconds, bytes, ratio.
    pub(super) unit: Option<&'static str>,
    pub(super) help: &'static str,
}

/// A sample: labels and a value.
pub(super) struct MetricSample<'a> {
    pub(super) labels: Vec<(&'static str, &'a str)>,
    pub(super) value: f64,
}

impl<'a> MetricSample<'a> {
    pub(super) fn new(labels: impl Into<Vec<(&'static str, &'a str)>>, value: f64) -> Self {
        Self { labels: labels.into(), value }
    }
}

/// A whole exposition, as it grows.
#[derive(Default)]
pub(super) struct MetricsPage {
    text: String,
}

impl MetricsPage {
    /// Adds a family; one without samples is left out.
    pub(super) fn add<'a>(
        &mut self,
        family: &MetricFamily,
        samples: impl IntoIterator<Item = MetricSample<'a>>,
    ) {
        let mut samples = samples.into_iter().peekable();
        if samples.peek().is_none() {
            return;
        }
        let MetricFamily { name, kind, unit, help } = family;
        debug_assert!(unit.is_none_or(|unit| name.ends_with(unit)), "{name} ends in its unit");
        let (kind, ending) = match kind {
            MetricKind::Gauge => ("gauge", ""),
            MetricKind::Counter => ("counter", "_total"),
            MetricKind::Info => ("info", "_info"),
            MetricKind::StateSet => ("stateset", ""),
        };
        // Writing into a String cannot fail.
        let _ = writeln!(self.text, "# TYPE {name} {kind}");
        if let Some(unit) = unit {
            let _ = writeln!(self.text, "# UNIT {name} {unit}");
        }
        let _ = writeln!(self.text, "# HELP {name} {}", escape(help));
        for MetricSample { labels, value } in samples {
            let labels: Vec<String> = labels
                .iter()
                .map(|(label, text)| format!("{label}=\"{}\"", escape(&printable_line(text))))
                .collect();
            let labels =
                if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
            let _ = writeln!(self.text, "{name}{ending}{labels} {value}");
        }
    }

    /// Ends the exposition and returns it.
    pub(super) fn end(mut self) -> String {
        self.text.push_str("# EOF\n");
        self.text
    }
}

/// Escapes a text for a label or a help.
fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_has_type_unit_and_help_before_its_samples() {
        let mut page = MetricsPage::default();
        let family = MetricFamily {
            name: "x_bytes",
            kind: MetricKind::Counter,
            unit: Some("bytes"),
            help: "What \"x\" is.",
        };
        page.add(&family, [MetricSample::new([("tier", "a\\b\"c\u{1b}[31m")], 81_200_000_000.0)]);
        page.add(&MetricFamily { name: "y", ..family }, []);
        assert_eq!(
            page.end(),
            "# TYPE x_bytes counter\n# UNIT x_bytes bytes\n# HELP x_bytes What \\\"x\\\" is.\n\
             x_bytes_total{tier=\"a\\\\b\\\"c\"} 81200000000\n# EOF\n"
        );
    }
}
