//! `[[rollout.gates]]`: what is asked after a wave.

use crate::config::error::MistakeReport;
use crate::config::keys::KeyTable;
use crate::config::section::{At, Section, entries};
use crate::config::server::{self, RawServer};
use crate::config::value::{self, Meaning, fail, within};
use crate::fleet::{Gate, GateQuestion};
use std::time::Duration;

/// How a gate is written.
const GATE: &str =
    "[[rollout.gates]] with name, and command = [\"PROGRAM\", \"ARG\"] or url = \"http://…\"";

/// Reads `[[rollout.gates]]`.
pub(super) fn read(report: &mut MistakeReport<'_>, rollout: &Section<'_>) -> Vec<Gate> {
    let mut gates: Vec<Gate> = Vec::new();
    for entry in entries(report, rollout, "gates", GATE) {
        let required = keys_of_gate(entry.key("command"), entry.key("url"));
        let entry = entry.requiring(required);
        if let Some(gate) = gate(report, &entry) {
            if gates.iter().any(|other| other.name == gate.name) {
                let at = entry.raw("name").map_or(entry.at(), |value| value.span().start);
                let name = entry.name();
                let message = format!("`name` in {name}: two gates are called {:?}", gate.name);
                report.error(at, message, "give one of them another name");
            }
            gates.push(gate);
        }
    }
    gates
}

/// Returns the keys that a gate must have, when it has a command, an address, or both.
fn keys_of_gate(command: Option<usize>, url: Option<usize>) -> &'static [&'static str] {
    match (command, url) {
        (Some(_), None) => &["name", "command"],
        (None, Some(_)) => &["name", "url"],
        (Some(_), Some(_)) | (None, None) => &["name"],
    }
}

/// Checks the name of a gate: the answers and orders of a run name gates, so the checks that nixdash makes
/// itself keep their names.
fn gate_name(text: &str) -> Meaning<String> {
    if Gate::BUILT_IN.contains(&text) {
        return fail(
            format!("{text:?} is the name of a check that nixdash makes itself"),
            format!("choose another name, such as \"my-{text}\""),
        );
    }
    value::name(text)
}

/// Reads one gate.
fn gate(report: &mut MistakeReport<'_>, entry: &Section<'_>) -> Option<Gate> {
    entry.check_keys(report, &KeyTable::Gates.names());
    let name = entry.parsed(report, "name", gate_name);
    if entry.key("name").is_none() {
        report.error(
            entry.at(),
            format!("{} has no `name`", entry.name()),
            format!("write {GATE}"),
        );
    }
    if entry.key("command").is_some() == entry.key("url").is_some() {
        let has = if entry.key("url").is_some() { "both" } else { "neither" };
        let message = format!("{} has {has} of `command` and `url`", entry.name());
        report.error(entry.at(), message, format!("write {GATE}"));
    }
    let command = entry.texts(report, "command").map(|words| words_of(report, entry, &words));
    let url = entry.parsed(report, "url", |text| server::url(text, RawServer::Gate));
    let time = |report: &mut MistakeReport<'_>, key, least, usual| {
        let hint = if least == 0 { "from \"0s\" to \"1d\"" } else { "from \"1s\" to \"1d\"" };
        let time = entry.parsed(report, key, |text| within(text, least, 86_400, hint));
        time.map_or(Duration::from_secs(usual), |time| time.value)
    };
    let (delay, interval) = (time(report, "delay", 0, 0), time(report, "interval", 1, 10));
    let limit = time(report, "limit", 1, 10);
    let number = |report: &mut MistakeReport<'_>, key, least, usual: i64| {
        let number = entry.integer(report, key, least..=1000).unwrap_or(usual);
        u32::try_from(number).unwrap_or(0)
    };
    let successes_in_a_row = number(report, "successes_in_a_row", 1, 1);
    let failures = number(report, "failures", 0, 0);
    let asks = match (command, url) {
        (Some(command), _) => GateQuestion::Command(command),
        (None, Some(url)) => GateQuestion::Url(url.value),
        (None, None) => return None,
    };
    let name = name?.value;
    Some(Gate { name, asks, delay, interval, successes_in_a_row, failures, limit })
}

/// Returns a command, which is at least a program.
fn words_of(
    report: &mut MistakeReport<'_>,
    entry: &Section<'_>,
    words: &[At<&str>],
) -> Vec<String> {
    if words.is_empty() {
        let at = entry.key("command").unwrap_or(entry.at());
        let message = format!("`command` in {} is empty", entry.name());
        report.error(at, message, "write command = [\"PROGRAM\", \"ARG\"]");
    }
    words.iter().map(|word| word.value.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    const HOSTS: &str =
        "[hosts.a]\ntags = [\"canary\", \"etcd\"]\n[hosts.b]\ntags = [\"etcd\"]\n[hosts.c]\n";

    fn fleet(text: &str) -> Result<crate::fleet::Fleet, crate::config::ConfigErrors> {
        crate::config::parse(&format!("{HOSTS}{text}"), Path::new("hosts.toml"), None)
    }

    #[test]
    fn a_gate_asks_a_command_or_an_address() {
        let text = "[[rollout.gates]]\nname = \"quorum\"\ncommand = [\"etcdctl\", \"endpoint\", \"health\"]\n\
            delay = \"5s\"\ninterval = \"2s\"\nsuccesses_in_a_row = 3\nfailures = 1\nlimit = \"4s\"\n\
            [[rollout.gates]]\nname = \"site\"\nurl = \"https://example.org/health\"\n";
        let gates = fleet(text).unwrap().rollout.gates;
        assert!(matches!(&gates[0].asks, GateQuestion::Command(words) if words.len() == 3));
        assert_eq!((gates[0].delay.as_secs(), gates[0].limit.as_secs()), (5, 4));
        assert_eq!((gates[0].successes_in_a_row, gates[0].failures), (3, 1));
        assert_eq!(gates[1].asks, GateQuestion::Url("https://example.org/health".to_owned()));
        assert_eq!((gates[1].successes_in_a_row, gates[1].interval.as_secs()), (1, 10));
    }

    #[test]
    fn a_gate_has_a_name_of_its_own_and_none_of_nixdashs_own_checks() {
        let gate = |name: &str| format!("[[rollout.gates]]\nname = {name:?}\nurl = \"http://x\"\n");
        for name in ["soak", "proof"] {
            let error = fleet(&gate(name)).unwrap_err().to_string();
            let said = format!(
                "hosts.toml:7:8: `name` in entry 1 of [[rollout.gates]]: {name:?} is the name of a check \
                 that nixdash makes itself\n  hint: choose another name, such as \"my-{name}\""
            );
            assert_eq!(error, said);
        }
        assert!(fleet(&gate("my-soak")).is_ok());
        let error = fleet(&format!("{}{}", gate("a"), gate("a"))).unwrap_err().to_string();
        assert!(error.contains("hosts.toml:10:8: `name` in entry 2"), "{error}");
        assert!(error.contains("two gates are called \"a\""), "{error}");
    }
}
