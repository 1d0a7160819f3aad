//! `docs/findings.md`: every code, as a page.

use crate::fleet::Code;
use std::fmt::Write as _;

/// What stands above the table.
const HEAD: &str = "\
# Findings

This page is printed by `nixdash findings`; a test fails when it is stale.

A *finding* is something that is wrong or worth knowing. Hosts and tiers have a list of findings in
`nixdash status --json` and `nixdash caches --json`, each with `code`, `severity`, `cause` (what was
observed, and where) and `fix` (what to do). Where the fix is a change of the host's NixOS
configuration, `snippet` has the lines to put there; so it is for `tool-missing`, `substitution-off`,
`not-configured`, `key-not-trusted`, `builds-wait`, `builds-stop`, `disk-low`, `files-low` and
`deployed-by-others`, and `y` copies them on the screen. What one host makes of a tier is in the tier's
`hosts.NAME.findings`. How a host's run ended is a list of findings in the results of
`nixdash deploy --json` and in `nixdash history --json`; people see the code behind the error,
`… [network-lost]`. The exporter has a sample `nixdash_finding{code,severity,host,tier,silenced} 1`
for each. Codes do not change: alerts and scripts may be written against them.

What a host's figures are judged by is set by `[alarms]` in hosts.toml. `[[alarms.silence]]` silences
a finding of a host or a tier, by its code and with a reason and a last day. `nixdash silence` and the
key `M` of the dashboard do so without a change of that file, for some hours or days, or until
the finding changes: until it says something else (other figures are no change), is worse or better, or
is gone. A dashboard or exporter that sees such a change ends the silence for good. It is then shown as silenced, is not an alarm, and is counted
under `findings.silenced` in JSON. After that time it is an alarm again, and says so.
`nixdash status --fail-on error` (or `warning`) exits with 3 when there is a finding so bad that is
not silenced.

An *error* is something that does not work. A *warning* is something that works, but not as it
should, or that will stop working. A *note* is worth knowing, and nobody has to do anything. The
severity below is the usual one; a finding may say another.

| code | severity | what it means | what to do |
|---|---|---|---|
";

/// Returns the page, in Markdown.
pub fn findings() -> String {
    let mut page = HEAD.to_owned();
    for code in Code::ALL {
        let (word, severity) = (code.word(), code.severity().word());
        // Writing into a String cannot fail.
        let _ =
            writeln!(page, "| `{word}` | {severity} | {} | {} |", code.meaning(), code.advice());
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::words::{deploys, on_host};
    use crate::fleet::{
        Bytes, Finding, HostFacts, KindName, Limits, PublicKey, Reaction, Share, Tier, WhenDown,
    };
    use jiff::Timestamp;

    #[test]
    fn the_page_names_the_codes_whose_findings_carry_a_snippet() {
        let key = PublicKey { name: "k".to_owned(), bytes: [7; 32], text: "k:Bw==".to_owned() };
        let tier =
            Tier { public_key: Some(key.clone()), ..Tier::new("t", KindName::Http, "http://t") };
        let down = |reaction| WhenDown { reaction, each_path: true, refused_ms: 1, silent_ms: 1 };
        let full = Bytes { used: 100, total: 100 };
        let facts = HostFacts {
            disk: Some(full),
            files: Some(Share { have: 100, total: 100 }),
            ..HostFacts::default()
        };
        let figures =
            super::super::hosts::of_figures("h", &facts, &Limits::default(), Timestamp::UNIX_EPOCH);
        let mut all: Vec<Finding> = vec![
            on_host::no_curl(&tier, "h"),
            on_host::substitution_off(&tier, "h"),
            on_host::not_configured(&tier, "h"),
            on_host::key_not_trusted(&tier, "h", &key, None),
        ];
        all.extend(on_host::cost_of_failure(&tier, "h", "Nix 2.31", &down(Reaction::NeedsAnother)));
        all.extend(on_host::cost_of_failure(&tier, "h", "Nix 2.31", &down(Reaction::Stops)));
        all.extend(figures);
        all.extend(deploys::deployed_by_others("h", &["nixos-upgrade.timer".to_owned()]));
        let carry = |finding: &Finding| finding.snippet.is_some().then(|| finding.code.word());
        let codes: Vec<&str> = all.iter().filter_map(carry).collect();
        let told = HEAD.split("so it is for").nth(1).and_then(|rest| rest.split("copies").next());
        let named =
            told.unwrap_or_default().split('`').skip(1).step_by(2).filter(|word| *word != "y");
        assert_eq!(named.collect::<Vec<_>>(), codes);
    }
}
