//! The texts that Prometheus reads: OpenMetrics 1.0.0 for who asks for it, and the older text format
//! 0.0.4 for everybody else. They differ in types, in units and in the end of the text.

use crate::fleet::printable_line;
use std::fmt::Write;

/// Which text is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MetricsFormat {
    /// OpenMetrics, version 1.0.0.
    OpenMetrics,
    /// Prometheus' text format, version 0.0.4, which every reader takes.
    Plain,
}

impl MetricsFormat {
    /// Returns the format that a client is answered in, from the value of its `Accept` header (the values,
    /// with commas between them, where there are several; empty where there is none).
    ///
    /// OpenMetrics is for who names it, and likes nothing better (RFC 9110, section 12.5.1).
    pub(super) fn wanted(accept: &str) -> Self {
        let mut open = 0.0_f64;
        let mut plain = 0.0_f64;
        for range in accept.split(',') {
            let mut parts = range.split(';').map(str::trim);
            let media = parts.next().unwrap_or_default().to_ascii_lowercase();
            let parameter = |name: &str| {
                parts.clone().find_map(|part| {
                    let (key, value) = part.split_once('=')?;
                    let value = value.trim().trim_matches('"');
                    key.trim().eq_ignore_ascii_case(name).then_some(value)
                })
            };
            // A quality that is no number says nothing.
            let quality = parameter("q").map_or(1.0, |q| q.parse().unwrap_or(0.0));
            let is_version = |version| parameter("version").is_none_or(|asked| asked == version);
            match media.as_str() {
                "application/openmetrics-text" if is_version("1.0.0") => open = open.max(quality),
                "text/plain" if is_version("0.0.4") => plain = plain.max(quality),
                "text/*" | "*/*" => plain = plain.max(quality),
                _ => {}
            }
        }
        if open > 0.0 && open >= plain { Self::OpenMetrics } else { Self::Plain }
    }

    /// Returns what a client is told that the text is.
    pub(super) fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Plain => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

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

impl MetricKind {
    /// Returns the word for it in a format. The older one knows neither infos nor sets of states.
    fn word(self, format: MetricsFormat) -> &'static str {
        let (open, plain) = match self {
            Self::Gauge => ("gauge", "gauge"),
            Self::Counter => ("counter", "counter"),
            Self::Info => ("info", "gauge"),
            Self::StateSet => ("stateset", "gauge"),
        };
        match format {
            MetricsFormat::OpenMetrics => open,
            MetricsFormat::Plain => plain,
        }
    }

    /// Returns what the names of its samples end in.
    fn ending(self) -> &'static str {
        match self {
            Self::Gauge | Self::StateSet => "",
            Self::Counter => "_total",
            Self::Info => "_info",
        }
    }
}

/// A whole exposition, as it grows.
pub(super) struct MetricsPage {
    format: MetricsFormat,
    text: String,
}

impl MetricsPage {
    /// Begins an exposition.
    pub(super) fn new(format: MetricsFormat) -> Self {
        Self { format, text: String::new() }
    }

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
        self.describe(family);
        let MetricFamily { name, kind, .. } = family;
        let ending = kind.ending();
        for MetricSample { labels, value } in samples {
            let labels: Vec<String> = labels
                .iter()
                .map(|(label, text)| format!("{label}=\"{}\"", escape(&printable_line(text))))
                .collect();
            let labels =
                if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
            // Writing into a String cannot fail.
            let _ = writeln!(self.text, "{name}{ending}{labels} {value}");
        }
    }

    /// Writes what stands before the samples of a family.
    fn describe(&mut self, family: &MetricFamily) {
        let MetricFamily { name, kind, unit, help } = family;
        debug_assert!(unit.is_none_or(|unit| name.ends_with(unit)), "{name} ends in its unit");
        let word = kind.word(self.format);
        // Writing into a String cannot fail.
        let _ = match self.format {
            MetricsFormat::OpenMetrics => {
                let unit = unit.map(|unit| format!("# UNIT {name} {unit}\n")).unwrap_or_default();
                let help = escape(help);
                writeln!(self.text, "# TYPE {name} {word}\n{unit}# HELP {name} {help}")
            }
            // There a family is called as its samples are, and quotes of a help stay as they are.
            MetricsFormat::Plain => {
                let name = format!("{name}{}", kind.ending());
                let help = help.replace('\\', "\\\\").replace('\n', "\\n");
                writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {word}")
            }
        };
    }

    /// Ends the exposition and returns it.
    pub(super) fn end(mut self) -> String {
        match self.format {
            MetricsFormat::OpenMetrics => self.text.push_str("# EOF\n"),
            MetricsFormat::Plain => {}
        }
        self.text
    }
}

/// Escapes a text for a label, or for a help of OpenMetrics.
fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns a page of one family with one sample, and of one without.
    fn page(format: MetricsFormat, kind: MetricKind) -> String {
        let mut page = MetricsPage::new(format);
        let family =
            MetricFamily { name: "x_bytes", kind, unit: Some("bytes"), help: "What \"x\" is." };
        page.add(&family, [MetricSample::new([("tier", "a\\b\"c\u{1b}[31m")], 81_200_000_000.0)]);
        page.add(&MetricFamily { name: "y", ..family }, []);
        page.end()
    }

    #[test]
    fn a_family_has_type_unit_and_help_before_its_samples() {
        assert_eq!(
            page(MetricsFormat::OpenMetrics, MetricKind::Counter),
            "# TYPE x_bytes counter\n# UNIT x_bytes bytes\n# HELP x_bytes What \\\"x\\\" is.\n\
             x_bytes_total{tier=\"a\\\\b\\\"c\"} 81200000000\n# EOF\n"
        );
    }

    #[test]
    fn the_older_format_names_families_as_their_samples_and_has_no_unit_and_no_end() {
        assert_eq!(
            page(MetricsFormat::Plain, MetricKind::Counter),
            "# HELP x_bytes_total What \"x\" is.\n# TYPE x_bytes_total counter\n\
             x_bytes_total{tier=\"a\\\\b\\\"c\"} 81200000000\n"
        );
        for (kind, line) in [
            (MetricKind::Info, "# TYPE x_bytes_info gauge\n"),
            (MetricKind::StateSet, "# TYPE x_bytes gauge\n"),
        ] {
            let page = page(MetricsFormat::Plain, kind);
            assert!(page.contains(line), "{page}");
        }
    }

    #[test]
    fn openmetrics_is_for_who_asks_for_it() {
        let open = MetricsFormat::OpenMetrics;
        let plain = MetricsFormat::Plain;
        for (accept, format) in [
            ("", plain),
            ("*/*", plain),
            ("text/html,application/xhtml+xml,*/*;q=0.8", plain),
            ("text/plain;version=0.0.4", plain),
            ("application/openmetrics-text", open),
            ("Application/OpenMetrics-Text; Version=\"1.0.0\"; charset=utf-8", open),
            // What Prometheus 2 and 3 send.
            (
                "application/openmetrics-text;version=1.0.0,application/openmetrics-text;\
                 version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
                open,
            ),
            (
                "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,\
                 application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;\
                 escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1",
                open,
            ),
            ("application/openmetrics-text;q=0.3,text/plain;q=0.7", plain),
            ("application/openmetrics-text;q=0.1,*/*", plain),
            ("application/openmetrics-text;q=0", plain),
            ("application/openmetrics-text;q=much", plain),
            ("application/openmetrics-text;version=2.0.0", plain),
            ("application/json", plain),
            (";;,=,q=1;", plain),
        ] {
            assert_eq!(MetricsFormat::wanted(accept), format, "{accept}");
        }
    }
}
