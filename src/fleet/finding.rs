//! A finding: something that is wrong or worth knowing, as a type.
//!
//! It is the only carrier of "what is wrong": probes make findings, and the screen, the command
//! line, JSON and the exporter show them. Nobody reads a sentence to learn what it says: what kind
//! of thing it is stands in the [`Code`], how bad it is in the [`Severity`].

mod code;
mod snippet;

pub use code::Code;
pub use snippet::NixSnippet;

use crate::fleet::{RunId, Silenced, Tier, printable_line};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// How bad a finding is; the worst is the greatest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing; nobody has to do anything.
    Note,
    /// Something works, but not as it should, or will stop working.
    Warning,
    /// Something does not work.
    Error,
}

impl Severity {
    /// Returns the word used in JSON, by the exporter and in the documentation.
    pub fn word(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// What a finding is about, by the names of `hosts.toml`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Subject {
    /// A host.
    Host {
        /// Its name.
        host: String,
    },
    /// A tier.
    Tier {
        /// Its name.
        tier: String,
    },
    /// A tier as one host sees it.
    TierOnHost {
        /// The tier's name.
        tier: String,
        /// The host's name.
        host: String,
    },
    /// A run, or one host of it.
    Run {
        /// The run's number.
        run: String,
        /// The host, where it is about one.
        host: Option<String>,
    },
}

impl Subject {
    /// Makes a host the subject.
    pub fn host(host: &str) -> Self {
        Self::Host { host: host.to_owned() }
    }

    /// Makes a tier the subject.
    pub fn tier(tier: &Tier) -> Self {
        Self::Tier { tier: tier.name.clone() }
    }

    /// Makes a tier, as one host sees it, the subject.
    pub fn tier_on_host(tier: &Tier, host: &str) -> Self {
        Self::TierOnHost { tier: tier.name.clone(), host: host.to_owned() }
    }

    /// Returns the host that it is about, where it is about one.
    pub fn host_name(&self) -> Option<&str> {
        match self {
            Self::Host { host } | Self::TierOnHost { host, .. } => Some(host),
            Self::Run { host, .. } => host.as_deref(),
            Self::Tier { .. } => None,
        }
    }

    /// Returns the tier that it is about, where it is about one.
    pub fn tier_name(&self) -> Option<&str> {
        match self {
            Self::Tier { tier } | Self::TierOnHost { tier, .. } => Some(tier),
            Self::Host { .. } | Self::Run { .. } => None,
        }
    }
}

/// Something that is wrong or worth knowing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What it is about.
    pub subject: Subject,
    /// What kind of thing it is.
    pub code: Code,
    /// How bad it is.
    pub severity: Severity,
    /// What was observed, and where: a printable clause without a full stop.
    pub cause: String,
    /// What to do about it: a printable clause without a full stop; empty when nothing is to be done.
    pub fix: String,
    /// The fix as lines of the host's NixOS configuration, where it is a change of that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snippet: Option<NixSnippet>,
    /// The cause in a few words, where the code's own label says less: `2 of 3 servers`.
    #[serde(default)]
    pub short: Option<String>,
    /// The run that it tells of, where that is not its subject: several hosts can have one run in common.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
    /// When it was observed; none when that is when its subject was.
    #[serde(default)]
    pub measured_at: Option<Timestamp>,
    /// Whether it is silenced, or was until lately.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub silenced: Option<Silenced>,
}

impl Finding {
    /// Returns those that are about a run as a whole, and about no host of it alone.
    pub fn of_whole_run(findings: &[Self]) -> Vec<&Self> {
        let is_of_run = |found: &&Self| matches!(found.subject, Subject::Run { host: None, .. });
        findings.iter().filter(is_of_run).collect()
    }

    /// Makes a finding that is as bad as its code says.
    pub fn new(subject: Subject, code: Code, cause: &str, fix: &str) -> Self {
        Self {
            subject,
            code,
            severity: code.severity(),
            // A sentence joins both with a semicolon: what Nix says may end in one.
            cause: printable_line(cause.trim_end_matches([';', ' '])),
            fix: printable_line(fix),
            snippet: None,
            short: None,
            run: None,
            measured_at: None,
            silenced: None,
        }
    }

    /// Makes a finding about a tier.
    pub fn of_tier(tier: &Tier, code: Code, cause: &str, fix: &str) -> Self {
        Self::new(Subject::tier(tier), code, cause, fix)
    }

    /// Says the cause in a few words too.
    #[must_use]
    pub fn in_short(self, words: &str) -> Self {
        Self { short: Some(printable_line(words)), ..self }
    }

    /// Says of which run it tells.
    #[must_use]
    pub fn of_run(self, run: &RunId) -> Self {
        Self { run: Some(run.clone()), ..self }
    }

    /// Says the fix as lines of the host's NixOS configuration too.
    #[must_use]
    pub fn with_snippet(self, snippet: NixSnippet) -> Self {
        Self { snippet: Some(snippet), ..self }
    }

    /// Says how bad it is, where that is not what its code says.
    #[must_use]
    pub fn rated(self, severity: Severity) -> Self {
        Self { severity, ..self }
    }

    /// Makes another subject of it: what was found of a tier was found on a host.
    #[must_use]
    pub fn about(self, subject: Subject) -> Self {
        Self { subject, ..self }
    }

    /// Says when it was observed, unless that is known.
    #[must_use]
    pub fn at(self, now: Timestamp) -> Self {
        Self { measured_at: self.measured_at.or(Some(now)), ..self }
    }

    /// Returns it in a few words: its own, else its code's label.
    pub fn words(&self) -> &str {
        self.short.as_deref().unwrap_or(self.code.label())
    }

    /// Returns cause and fix as one sentence: `CAUSE; FIX`. One that is silenced, or was, says so.
    pub fn sentence(&self) -> String {
        let fix = if self.fix.is_empty() { String::new() } else { format!("; {}", self.fix) };
        let silenced = self.silenced.as_ref();
        let silenced = silenced.map(|it| format!("; {}", it.words())).unwrap_or_default();
        format!("{}{fix}{silenced}", self.cause)
    }

    /// Returns whether a person does not want to hear of it now.
    pub fn is_silenced(&self) -> bool {
        self.silenced.as_ref().is_some_and(|silenced| !silenced.is_over)
    }

    /// Returns whether another finding says the same, be it of another subject.
    pub fn says_the_same(&self, other: &Self) -> bool {
        (self.code, &self.cause, &self.fix, &self.silenced)
            == (other.code, &other.cause, &other.fix, &other.silenced)
    }

    /// Returns whether somebody should do something about it; not of one that is silenced.
    pub fn is_trouble(&self) -> bool {
        self.severity > Severity::Note && !self.is_silenced()
    }
}

/// Returns what went wrong first in a run, by its findings in the order in which they came.
pub fn first_fault(findings: &[Finding]) -> Option<&Finding> {
    findings.iter().find(|finding| finding.code.is_fault())
}

/// Says that the operator ended a run in which nothing went wrong before; nothing where it was nobody's order.
pub fn ended_by_order(findings: &[Finding]) -> Option<&'static str> {
    let has = |code: Code| findings.iter().any(|finding| finding.code == code);
    if first_fault(findings).is_some() {
        None
    } else if has(Code::RunStopped) {
        Some("stopped by the operator")
    } else if has(Code::RunRolledBack) {
        Some("rolled back by the operator")
    } else {
        None
    }
}

/// Returns the finding that says best what is wrong: the first of the worst; none when nothing is
/// worse than a note.
pub fn worst(findings: &[Finding]) -> Option<&Finding> {
    let trouble = findings.iter().filter(|finding| finding.is_trouble());
    // Of equals `max_by_key` returns the last.
    trouble.rev().max_by_key(|finding| finding.severity)
}

/// Returns what is wrong, the worst first; notes and what is silenced are left out.
pub fn troubles(findings: &[Finding]) -> Vec<&Finding> {
    let mut trouble: Vec<&Finding> =
        findings.iter().filter(|finding| finding.is_trouble()).collect();
    trouble.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    trouble
}

/// Returns what is wrong as one sentence, the worst first; none when nothing is.
pub fn told(findings: &[Finding]) -> Option<String> {
    let all: Vec<String> = troubles(findings).into_iter().map(Finding::sentence).collect();
    (!all.is_empty()).then(|| all.join("; "))
}

/// Returns the findings of subjects that say the same as one, with their names: hosts that have the
/// same trouble are told together.
pub fn grouped<'a>(
    all: impl IntoIterator<Item = (&'a str, &'a [Finding])>,
) -> Vec<(Vec<&'a str>, &'a Finding)> {
    let mut groups: Vec<(Vec<&str>, &Finding)> = Vec::new();
    for (name, findings) in all {
        for finding in troubles(findings) {
            match groups.iter_mut().find(|(_, known)| known.says_the_same(finding)) {
                Some((names, _)) => names.push(name),
                None => groups.push((vec![name], finding)),
            }
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::KindName;

    fn of(code: Code, cause: &str) -> Finding {
        let tier = Tier::new("weed", KindName::Seaweedfs, "http://weed:8333/b");
        Finding::of_tier(&tier, code, cause, "fix it")
    }

    #[test]
    fn the_worst_comes_first_and_the_first_of_equals_stays_first() {
        let note = of(Code::OnBattery, "note");
        let (one, other) = (of(Code::RoomLow, "one"), of(Code::DiskLow, "other"));
        let error = of(Code::VolumesLost, "error");
        assert_eq!(worst(std::slice::from_ref(&note)), None);
        assert_eq!(worst(&[note.clone(), one.clone(), other.clone()]), Some(&one));
        assert_eq!(worst(&[one.clone(), error.clone(), other.clone()]), Some(&error));
        let all = told(&[note.clone(), one, error, other]);
        assert_eq!(all.as_deref(), Some("error; fix it; one; fix it; other; fix it"));
        assert_eq!(told(&[note]), None);
    }

    #[test]
    fn nothing_unprintable_and_no_secret_is_in_a_finding() {
        let finding = of(Code::RoomLow, "\u{1b}[31mred http://me:pw@x").in_short("a\u{7}b");
        assert_eq!(finding.cause, "red http://[secret]@x");
        assert_eq!(finding.words(), "ab");
        assert_eq!(of(Code::RoomLow, "that; ").sentence(), "that; fix it");
    }

    #[test]
    fn a_finding_comes_back_from_json_as_it_was() {
        let at = Timestamp::UNIX_EPOCH;
        let finding = of(Code::VolumesLost, "one").in_short("1 lost").at(at);
        let json = serde_json::to_value(&finding).unwrap();
        assert_eq!((&json["code"], &json["severity"]), (&"volumes-lost".into(), &"error".into()));
        assert_eq!(serde_json::from_value::<Finding>(json).unwrap(), finding);
    }
}
