//! `[hosts.NAME.hooks]`: commands before and after what deploys do.

use crate::config::error::MistakeReport;
use crate::config::keys::KeyTable;
use crate::config::section::Section;
use crate::config::value;
use crate::fleet::{Hook, HookMoment};
use std::time::Duration;

/// How long a hook may take when nothing is written.
const LIMIT: Duration = Duration::from_secs(60);

/// Reads the hooks of a host, in the order of their moments.
pub(super) fn read(report: &mut MistakeReport<'_>, host: &Section<'_>) -> Vec<Hook> {
    let name = host.name().trim_end_matches(']');
    let Some(section) = host.section(report, "hooks", format!("{name}.hooks]")) else {
        return Vec::new();
    };
    section.check_keys(report, &KeyTable::Hooks.names());
    HookMoment::ALL.into_iter().flat_map(|moment| of_moment(report, &section, moment)).collect()
}

/// Reads the hooks of one moment.
fn of_moment(
    report: &mut MistakeReport<'_>,
    section: &Section<'_>,
    moment: HookMoment,
) -> Vec<Hook> {
    let key = moment.word();
    let Some(value) = section.raw(key) else { return Vec::new() };
    let Some(items) = value.get_ref().as_array() else {
        section.wrong(
            report,
            key,
            value,
            "a list of hooks, such as [{ run = [\"PROGRAM\", \"ARG\"] }]",
        );
        return Vec::new();
    };
    let mut hooks = Vec::new();
    for item in items {
        let Some(table) = item.get_ref().as_table() else {
            section.wrong(report, key, item, "hooks, such as { run = [\"PROGRAM\", \"ARG\"] }");
            continue;
        };
        let hook = Section::new(format!("`{key}` in {}", section.name()), table, item.span().start);
        hooks.extend(hook_of(report, &hook, moment));
    }
    hooks
}

/// Reads one hook.
fn hook_of(report: &mut MistakeReport<'_>, hook: &Section<'_>, moment: HookMoment) -> Option<Hook> {
    hook.check_keys(report, &["run", "on", "limit"]);
    let places = [("here", false), ("host", true)];
    let on_host = hook.word(report, "on", &places).is_some_and(|place| place.value);
    let limit = hook.parsed(report, "limit", value::hook_limit).map_or(LIMIT, |limit| limit.value);
    let run: Vec<String> = hook
        .texts(report, "run")
        .unwrap_or_default()
        .iter()
        .map(|word| word.value.to_owned())
        .collect();
    if run.first().is_none_or(|program| program.contains('=')) {
        report.error(
            hook.at(),
            format!("{} names no program", hook.name()),
            "write run = [\"PROGRAM\", \"ARG\"]; no shell reads it, and the program's name has no `=`",
        );
        return None;
    }
    Some(Hook { moment, run, on_host, limit })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn parse(text: &str) -> Result<crate::fleet::Fleet, String> {
        let file = Path::new("/etc/fleet/hosts.toml");
        crate::config::parse(text, file, None).map_err(|errors| errors.to_string())
    }

    #[test]
    fn hooks_are_read_in_the_order_of_their_moments() {
        let text = "[hosts.p510.hooks]\nafter_activate = [{ run = [\"./tell.sh\", \"a b\"] }]\n\
             before_build = [{ run = [\"sync\"], on = \"host\", limit = \"30s\" }]\n";
        let fleet = parse(text).unwrap();
        let hooks = &fleet.hosts[0].hooks;
        assert_eq!(hooks[0].moment, HookMoment::BeforeBuild);
        assert!(hooks[0].on_host && hooks[0].limit == Duration::from_secs(30));
        assert_eq!(hooks[1].run, ["./tell.sh", "a b"]);
        assert!(!hooks[1].on_host && hooks[1].limit == Duration::from_secs(60));
        // What a person trusts with the file.
        let script = Path::new("/etc/fleet/./tell.sh").to_path_buf();
        assert!(fleet.named_files().contains(&script), "{:?}", fleet.named_files());
        let words = fleet.named_words().join("\n");
        assert!(words.contains("hook of p510, after_activate here: ./tell.sh a b"), "{words}");
    }

    #[test]
    fn hooks_that_are_no_commands_are_mistakes() {
        for (hooks, part) in [
            ("before_build = \"sync\"", "a list of hooks"),
            ("before_build = [\"sync\"]", "hooks, such as"),
            ("before_build = [{ run = [] }]", "names no program"),
            ("before_build = [{ run = [\"A=1\"] }]", "names no program"),
            ("before_build = [{ run = [\"a\", \"x\\u0000y\"] }]", "has a NUL character in it"),
            ("before_build = [{ run = [\"a\", \"\"] }]", "has an empty text in its list"),
            ("before_build = [{ run = [\"a\", 1] }]", "has a whole number in its list"),
            ("before_build = [{ run = [\"x\"], on = \"moon\" }]", "moon"),
            ("before_build = [{ run = [\"x\"], limit = \"2d\" }]", "out of bounds"),
            ("before_build = [{ run = [\"x\"], sudo = true }]", "sudo"),
            ("before_lunch = []", "before_lunch"),
        ] {
            let error = parse(&format!("[hosts.p510.hooks]\n{hooks}\n")).unwrap_err();
            assert!(error.contains(part), "{hooks}: {error}");
        }
    }

    #[test]
    fn a_host_may_be_read_only_and_without_magic_rollback() {
        let fleet =
            parse("[hosts.a]\nread_only = true\nmagic_rollback = false\n[hosts.b]\n").unwrap();
        assert!(fleet.hosts[0].read_only && !fleet.hosts[0].activation.magic_rollback());
        assert!(!fleet.hosts[1].read_only && fleet.hosts[1].activation.magic_rollback());
        assert!(parse("[fleet]\nmagic_rollback = false\n").is_err(), "only a host may");
    }
}
