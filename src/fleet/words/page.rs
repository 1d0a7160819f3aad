//! `docs/findings.md`: every code, as a page.

use crate::fleet::Code;
use std::fmt::Write as _;

/// What stands above the table.
const HEAD: &str = "\
# Findings

This page is printed by `nixdash findings`; a test fails when it is stale.

A *finding* is something that is wrong or worth knowing. Hosts and tiers have a list of findings in
`nixdash status --json` and `nixdash caches --json`, each with `code`, `severity`, `cause` (what was
observed, and where) and `fix` (what to do). What one host makes of a tier is in the tier's
`hosts.NAME.findings`. How a host's run ended is a list of findings in the results of
`nixdash deploy --json` and in `nixdash history --json`; people see the code behind the error,
`… [network-lost]`. The exporter has a sample `nixdash_finding{code,severity,host,tier,silenced} 1`
for each. Codes do not change: alerts and scripts may be written against them.

What a host's figures are judged by is set by `[alarms]` in hosts.toml. `[[alarms.silence]]` silences
a finding of a host or a tier, by its code and with a reason and a last day. It is then shown as
silenced, is not an alarm, and is counted under `findings.silenced` in JSON. After that day it is an
alarm again, and says so. `nixdash status --fail-on error` (or `warning`) exits with 3 when there is
a finding so bad that is not silenced.

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
