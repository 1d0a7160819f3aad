//! Logs in memory that answer the pane as the reader of files does, and the logs of a run that failed.

use crate::dash::demo::{ago_s, now, path, phase, result, run_event};
use crate::dash::{
    ActivityShown, BuildDifference, BuildLines, BuildRow, ComparedBuild, DifferenceKind,
    DifferenceRow, Effect, FailureShown, LineAt, LineLevels, LogNews, Model, Msg, PaneRow,
    PaneWanted, RowSearch, RowsAt, RowsOf, RowsShown, Sought, TransferRow, update, view_logs,
};
use crate::fleet::{Event, LogLine, Outcome, Phase, PhaseState, RunId, printable_coloured};
use crate::nix::activity::{BuildState, CopyDirection, CopyState, WaitsFor};
use crate::record::LineLevel;
use std::collections::BTreeMap;
use std::time::Duration;

/// Logs in memory, and what Nix did, by host.
#[derive(Clone, Debug, Default)]
pub(super) struct DemoLogs {
    pub(super) lines: BTreeMap<String, Vec<LogLine>>,
    pub(super) activity: BTreeMap<String, ActivityShown>,
    /// Whether there are more rows than are kept.
    pub(super) is_cut: bool,
    /// What comes of a comparison.
    pub(super) compared: Option<ComparedBuild>,
}

impl DemoLogs {
    /// Returns all rows.
    fn rows(&self, of: &RowsOf) -> Vec<PaneRow> {
        let mut rows: Vec<PaneRow> = Vec::new();
        for (host, name) in of.hosts.iter().enumerate() {
            for (line, written) in (0..).zip(self.lines.get(name).into_iter().flatten()) {
                let LogLine { at, phase, text, build, colours } = written.clone();
                let level = LineLevel::of(phase, &text);
                let place = LineAt { host, line };
                rows.push(PaneRow {
                    place,
                    at,
                    phase,
                    text,
                    build,
                    colours,
                    level,
                    times: 1,
                    is_late: false,
                });
            }
        }
        if of.hosts.len() > 1 {
            rows.sort_by_key(|row| row.at);
        }
        let only = of.only.as_ref().and_then(|only| only.matcher().ok());
        rows.retain(|row| {
            let is_of = of.build.as_ref().is_none_or(|build| build.takes(&row.text, row.build));
            let matters = match of.levels {
                LineLevels::All => true,
                LineLevels::Messages => row.level >= LineLevel::Message,
                LineLevels::Errors => row.level == LineLevel::Error,
            };
            is_of && matters && only.as_ref().is_none_or(|only| only.takes(&row.text))
        });
        if of.folds {
            rows.dedup_by(|row, before| {
                let is_same = row.text == before.text && row.place.host == before.place.host;
                before.times += u64::from(is_same);
                is_same
            });
        }
        rows
    }

    /// Returns what the pane is told.
    pub(super) fn answer(&self, wanted: &PaneWanted) -> Vec<LogNews> {
        let of = &wanted.of;
        let rows = self.rows(of);
        let count = rows.len() as u64;
        let row_of = |line: LineAt| {
            let found = rows.iter().position(|row| row.place >= line);
            found.map_or(count.saturating_sub(1), |found| found as u64)
        };
        let (first, around) = match wanted.at {
            RowsAt::Newest => (count.saturating_sub(wanted.count as u64), None),
            RowsAt::From(first) => (first, None),
            RowsAt::Around(line) => {
                let row = row_of(line);
                (row.saturating_sub(wanted.count as u64 / 2), Some((line, row)))
            }
        };
        let all = of.hosts.iter().filter_map(|host| self.lines.get(host));
        let lines = all.map(Vec::len).sum::<usize>() as u64;
        let shown = rows.iter().skip(first as usize).take(wanted.count).cloned().collect();
        let read = lines..lines;
        let shown = RowsShown {
            of: of.clone(),
            rows: count,
            lines,
            read: read.clone(),
            first,
            shown,
            is_cut: self.is_cut,
            around,
        };
        let mut news = vec![LogNews::Rows(Box::new(shown))];
        if let Some(search) = &wanted.search {
            news.push(LogNews::Found { id: search.id, row: found(&rows, search) });
        }
        if let Some(pattern) = wanted.counting.clone()
            && let Ok(matcher) = pattern.matcher()
        {
            let rows = rows.iter().filter(|row| matcher.takes(&row.text)).count() as u64;
            news.push(LogNews::Counted { pattern, of: Box::new(of.clone()), rows, read });
        }
        if let Some((asked, found)) = wanted.compared.as_ref().zip(self.compared.clone()) {
            news.push(LogNews::Compared { id: asked.id, found });
        }
        if let Some(host) = wanted.activity.clone() {
            let shown = self
                .activity
                .get(&host)
                .cloned()
                .unwrap_or(ActivityShown { share: 1.0, ..ActivityShown::default() });
            news.push(LogNews::Activity { run: of.run.clone(), host, shown: Box::new(shown) });
        }
        news
    }

    /// Gives the pane what it wants, until it has it; returns what else it asked for.
    pub(super) fn settle(&self, model: &mut Model) -> Vec<Effect> {
        let mut others = Vec::new();
        for _ in 0..20 {
            let mut is_settled = true;
            for effect in view_logs(model) {
                let Effect::ShowLogs(Some(wanted)) = effect else { continue };
                is_settled = false;
                for news in self.answer(&wanted) {
                    others.extend(update(model, Msg::Logs(news), now()));
                }
            }
            if is_settled {
                return others;
            }
        }
        others
    }
}

/// Returns the row that is looked for.
fn found(rows: &[PaneRow], search: &RowSearch) -> Option<u64> {
    let is_it = |row: &PaneRow| match &search.sought {
        Sought::Trouble => row.level == LineLevel::Error,
        Sought::TroubleIn(phase) => row.level == LineLevel::Error && row.phase == Some(*phase),
        Sought::Text(text) => row.text.contains(text),
        Sought::Pattern(pattern) => pattern.matcher().is_ok_and(|it| it.takes(&row.text)),
    };
    let from = search.from.min(rows.len() as u64) as usize;
    let found = if search.is_down {
        rows.iter().skip(from).position(is_it).map(|at| at + from)
    } else {
        rows.iter().take(from).rposition(is_it)
    };
    found.map(|at| at as u64)
}

/// Returns a line that a host logged some seconds before the present.
fn line(seconds: i64, phase: Phase, text: &str) -> LogLine {
    let (text, colours) = printable_coloured(text);
    LogLine { colours, ..LogLine::plain(Some(ago_s(seconds)), Some(phase), text) }
}

/// The logs of a run in which openssl could not be built for samsung.
pub(super) fn failed_build() -> DemoLogs {
    let mut lines = vec![
        line(50, Phase::Evaluate, "evaluating nixosConfigurations.samsung"),
        line(47, Phase::Build, &format!("building '{}'", path('k', "zlib-1.3.1.drv"))),
        line(46, Phase::Build, "zlib> unpacking sources"),
        line(44, Phase::Build, &format!("building '{}'", path('n', "openssl-3.5.1.drv"))),
    ];
    for part in 70..112 {
        let text = format!(
            "openssl> gcc -Iinclude -O2 -fPIC -c crypto/part{part}.c -o crypto/part{part}.o"
        );
        lines.push(line(43 - part % 3, Phase::Build, &text));
        if part == 77 {
            for text in [
                "openssl> crypto/part77.c: In function 'ossl_do':",
                "openssl> \u{1b}[1mcrypto/part77.c:118:17: \u{1b}[31merror: \u{1b}[0mimplicit declaration of function 'ossl_frob'",
                "openssl>   118 |     return \u{1b}[1;31mossl_frob\u{1b}[0m(ctx, 12);",
                "openssl>       |            \u{1b}[1;31m^~~~~~~~~\u{1b}[0m",
            ] {
                lines.push(line(40, Phase::Build, text));
            }
        }
        if part == 90 {
            lines.extend(
                (0..14).map(|_| line(40, Phase::Build, "zlib> checking whether gcc works... yes")),
            );
        }
    }
    for text in [
        "openssl> make[1]: *** [Makefile:4711: crypto/part77.o] Error 1",
        "openssl> make: *** [Makefile:42: build_sw] Error 2",
        "zlib> warning: tests are not run",
        "error: builder for '/nix/store/nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn-openssl-3.5.1.drv' failed with exit code 2",
        "error: 1 dependency of derivation '/nix/store/qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq-curl-8.17.0.drv' failed to build",
    ] {
        lines.push(line(36, Phase::Build, text));
    }
    let razer = vec![
        line(45, Phase::Build, "building on p620"),
        line(
            42,
            Phase::Fetch,
            "copying path '/nix/store/llllllllllllllllllllllllllllllll-linux-6.12.58' from 'http://p620.lan:5000'",
        ),
        line(38, Phase::Activate, "activating the configuration..."),
    ];
    let lines = BTreeMap::from([("samsung".to_owned(), lines), ("razer".to_owned(), razer)]);
    let activity = BTreeMap::from([("samsung".to_owned(), failed_activity())]);
    DemoLogs { lines, activity, is_cut: false, compared: Some(openssl_compared()) }
}

/// A derivation, as it is shown.
fn build(depth: usize, name: &str, state: BuildState, seconds: u64, words: &str) -> BuildRow {
    let package = name.rsplit_once('-').map_or(name, |(package, _)| package).to_owned();
    BuildRow {
        depth,
        drv: path('n', &format!("{name}.drv")).as_str().to_owned(),
        name: name.to_owned(),
        package,
        state,
        is_made_elsewhere: false,
        time: (seconds > 0).then(|| Duration::from_secs(seconds)),
        usual: (name == "firefox-145.0").then(|| Duration::from_secs(220)),
        words: words.to_owned(),
    }
}

/// A path that is copied, as it is shown.
fn transfer(name: &str, state: CopyState, done: u64, size: u64, rate: f64) -> TransferRow {
    TransferRow {
        name: name.to_owned(),
        state,
        direction: CopyDirection::Download,
        place: "http://p620.lan:5000".to_owned(),
        done: Some(done),
        size: Some(size),
        rate: (rate > 0.0).then_some(rate),
    }
}

/// What differs between the build of openssl that failed and the last good one.
fn openssl_compared() -> ComparedBuild {
    use DifferenceKind::{Added, Equal, Missing};
    let cc = |part: u32| {
        format!("gcc -Iinclude -O2 -fPIC -c crypto/part{part}.c -o crypto/part{part}.o")
    };
    let said = "crypto/part77.c:118:17: error: implicit declaration of function 'ossl_frob'";
    let row = |kind, text: String| DifferenceRow { kind, text: Some(text), lines: 1 };
    let gap = |kind, lines| DifferenceRow { kind, text: None, lines };
    let rows = vec![
        gap(Equal, 74),
        row(Equal, cc(76)),
        row(Equal, cc(77)),
        row(Added, "crypto/part77.c: In function 'ossl_do':".to_owned()),
        row(Added, said.to_owned()),
        row(Equal, cc(78)),
        gap(Equal, 33),
        row(Missing, "gcc -shared -o libcrypto.so".to_owned()),
        gap(Missing, 412),
        row(Added, "make[1]: *** [Makefile:4711: crypto/part77.o] Error 1".to_owned()),
    ];
    ComparedBuild::Found(Box::new(BuildDifference {
        run: RunId("38".to_owned()),
        host: "razer".to_owned(),
        at: ago_s(3 * 86_400),
        name: Some("openssl-3.5.0".to_owned()),
        added: 3,
        missing: 413,
        rows,
        more: 0,
        only_last: Some(100_000),
        is_rough: false,
    }))
}

/// What Nix did where openssl could not be built.
fn failed_activity() -> ActivityShown {
    let said = "crypto/part77.c:118:17: error: implicit declaration of function 'ossl_frob'";
    ActivityShown {
        is_kept: true,
        share: 1.0,
        builds: vec![
            build(0, "nixos-system-samsung-26.05", BuildState::DependencyFailed, 0, "not built because openssl failed"),
            build(1, "curl-8.17.0", BuildState::DependencyFailed, 0, "not built because openssl failed"),
            build(2, "openssl-3.5.1", BuildState::Failed, 62, said),
            build(1, "firefox-145.0", BuildState::Running, 192, "buildPhase, on ssh-ng://p620"),
            build(1, "linux-6.12.58", BuildState::Waiting(WaitsFor::Machine), 0, "waiting for a build machine"),
            build(1, "btop-1.4.5", BuildState::Planned, 0, "not begun"),
            build(2, "zlib-1.3.1", BuildState::Built, 12, ""),
        ],
        more_builds: vec!["41 more done".to_owned()],
        shape: None,
        summary: "42 of 90 built, 1 failed, 2 not built because of that, 1 building".to_owned(),
        transfers: vec![
            transfer("linux-6.12.58-modules", CopyState::Running, 12_000_000, 30_100_000, 23_400_000.0),
            transfer("bash-5.3", CopyState::Broken, 400_000, 1_200_000, 0.0),
            transfer("glibc-2.42", CopyState::Done, 9_200_000, 9_200_000, 11_000_000.0),
        ],
        more_transfers: 0,
        failure: Some(FailureShown {
            name: Some("openssl-3.5.1".to_owned()),
            lines: Some(BuildLines { package: "openssl".to_owned(), build: None }),
            cause: "builder for '/nix/store/nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn-openssl-3.5.1.drv' failed with exit code 2".to_owned(),
            said: Some(said.to_owned()),
            names_a_cause: true,
            needed_by: ["curl-8.17.0", "nixos-system-samsung-26.05"].map(str::to_owned).to_vec(),
            not_built: 2,
            advice: None,
        }),
    }
}

/// The end of the run for samsung, whose build failed.
pub(super) fn build_failed() -> Vec<Event> {
    let why = "samsung could not be built on p620: openssl-3.5.1 failed";
    vec![
        run_event("41", 47, phase("samsung", Phase::Build, PhaseState::Started)),
        run_event("41", 36, phase("samsung", Phase::Build, PhaseState::Failed)),
        run_event("41", 36, result("samsung", Outcome::Failed, Some(why))),
    ]
}
