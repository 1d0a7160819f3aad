//! The pane of logs: what keys show, and every face of it at the sizes that people use.

use crate::dash::demo::{self, model, now};
use crate::dash::demo_logs::{DemoLogs, build_failed, failed_build};
use crate::dash::tests::keys;
use crate::dash::tests::screens::{SIZES, draw, look, text};
use crate::dash::words::glossary::signs_in;
use crate::dash::{
    ComparedBuild, Effect, LineLevels, LogFace, LogRing, Model, Msg, PanePlace, RowsTaken, Screen,
    Wish, update, view_logs,
};
use crate::fleet::{Event, LogLine, Phase, printable_coloured};
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::buffer::Buffer;
use ratatui::style::{Color, Modifier, Style};

/// Presses keys, and lets the logs answer after each.
fn press(model: &mut Model, logs: &DemoLogs, keys: &str) -> Vec<Effect> {
    let mut effects = Vec::new();
    for key in keys.chars() {
        effects.extend(keys::press(model, &key.to_string()));
        effects.extend(logs.settle(model));
    }
    effects
}

/// Returns a model of a run in which samsung's build failed, with samsung selected.
fn failed(columns: u16, rows: u16) -> Model {
    let events: Vec<Event> =
        demo::well().into_iter().chain(demo::run_until_plan()).chain(build_failed()).collect();
    let mut model = model(events, columns, rows);
    keys::press(&mut model, "3");
    let is_samsung =
        |model: &Model| model.shown_host_run().is_some_and(|host| host.host == "samsung");
    for _ in 0..3 {
        if !is_samsung(&model) {
            keys::press(&mut model, "\t");
        }
    }
    assert!(is_samsung(&model));
    model
}

/// Returns a model that shows so many lines of p620, and those.
pub(super) fn lines(count: usize) -> (Model, DemoLogs) {
    let mut model = model(demo::run_until_plan(), 80, 24);
    let mut logs = DemoLogs::default();
    let line =
        |number: usize| LogLine::plain(Some(now()), Some(Phase::Build), format!("line {number}"));
    logs.lines.insert("p620".to_owned(), (0..count).map(line).collect());
    press(&mut model, &logs, "4");
    (model, logs)
}

fn cursor(model: &Model) -> Option<u64> {
    match model.log.place {
        PanePlace::At { cursor, .. } => Some(cursor),
        PanePlace::Follow | PanePlace::Seek(_) => None,
    }
}

/// Returns what the screen shows.
fn shown(model: &Model) -> String {
    text(&draw(model, &look(false)))
}

/// Snapshots the pane at every size, after the same keys.
fn snap(name: &str, keys: &str) {
    for (columns, rows) in SIZES {
        let mut model = failed(columns, rows);
        press(&mut model, &failed_build(), keys);
        insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
            insta::assert_snapshot!(format!("{name}-{columns}x{rows}"), shown(&model));
        });
    }
}

#[test]
fn the_pane_at_every_size() {
    snap("logs-failure", "4");
    snap("logs-whole", "4\u{1b}f");
    snap("logs-builds", "4v");
    snap("logs-transfers", "4vv");
    snap("logs-all-hosts", "4A");
    snap("logs-find", "4\u{1b}/part9");
    snap("logs-only", "4\u{1b}/part9\n&");
    snap("logs-errors", "4\u{1b}hh");
    snap("logs-folded", "4\u{1b}f#@@w");
    snap("logs-compared", "4=jjjj");
}

#[test]
fn the_way_back_and_what_to_copy_are_named_at_every_width_from_80_columns_on() {
    for (columns, rows) in [(80, 24), (120, 35), (200, 50)] {
        let mut model = failed(columns, rows);
        press(&mut model, &failed_build(), "4");
        let screen = shown(&model);
        let footer = screen.lines().last().unwrap();
        for named in ["p error", "F failure", "y copy", "esc back", "? help", "q quit"] {
            assert!(footer.contains(named), "{named}: {footer}");
        }
    }
}

#[test]
fn the_deploy_view_shows_the_log_around_the_line_that_says_why_the_host_failed() {
    let mut model = failed(80, 24);
    let logs = failed_build();
    let tail = |model: &mut Model, why: &str| {
        let lines = logs.lines["samsung"].clone();
        let run = model.world.runs.iter_mut().rev().find(|run| run.host("samsung").is_some());
        let host = run.unwrap().hosts.iter_mut().find(|host| host.host == "samsung").unwrap();
        host.result.as_mut().unwrap().error = Some(why.to_owned());
        host.log = LogRing::default();
        for line in lines {
            host.log.push(line);
        }
        shown(model)
    };
    let cause = "samsung could not be built on p620: crypto/part77.c:118:17: error: implicit declaration of \
        function 'ossl_frob' (builder for 'openssl-3.5.1.drv' failed with exit code 2)";
    let seen = tail(&mut model, cause);
    let log: Vec<&str> = seen.lines().skip_while(|line| !line.contains("─ log ─")).collect();
    assert!(log[0].ends_with("more"), "{seen}");
    assert!(log.iter().any(|line| line.contains("part77.c:118:17: error")), "{seen}");
    assert!(log.iter().any(|line| line.contains("118 |     return")), "{seen}");
    let seen = tail(&mut model, "samsung could not be built on p620");
    assert!(seen.contains("1 dependency of derivation 'curl"), "the last error: {seen}");
}

#[test]
fn a_line_that_is_too_wide_names_store_paths_without_their_hashes() {
    let (mut model, mut logs) = lines(0);
    let text =
        "building '/nix/store/2c4f8d1a2c4f8d1a2c4f8d1a2c4f8d1a-system-path.drv' and one more";
    let line = LogLine::plain(Some(now()), Some(Phase::Build), text.to_owned());
    logs.lines.insert("p620".to_owned(), vec![line]);
    model.log.asked = None;
    logs.settle(&mut model);
    assert!(shown(&model).contains("building 'system-path.drv' and one more"), "{}", shown(&model));
    press(&mut model, &logs, "/d1a-sys\n");
    assert!(shown(&model).contains("2c4f8d1a-sys"), "what was found is shown: {}", shown(&model));
    press(&mut model, &logs, "\u{1b}w");
    assert!(shown(&model).contains("/nix/store/2c4f8d1a"), "wrapped: {}", shown(&model));
}

#[test]
fn a_log_holds_still_and_follows_again() {
    let (mut model, logs) = lines(200);
    press(&mut model, &logs, "k");
    assert_eq!(cursor(&model), Some(198));
    press(&mut model, &logs, "jj");
    assert_eq!(model.log.place, PanePlace::Follow);
    press(&mut model, &logs, "g");
    assert_eq!(cursor(&model), Some(0));
    press(&mut model, &logs, "/line 15\n");
    assert_eq!(cursor(&model), Some(15));
    press(&mut model, &logs, "n");
    assert_eq!(cursor(&model), Some(150));
    press(&mut model, &logs, "N");
    assert_eq!(cursor(&model), Some(15));
    press(&mut model, &logs, "G");
    assert_eq!(model.log.place, PanePlace::Follow);
    press(&mut model, &logs, "f");
    assert_eq!(cursor(&model), Some(199));
}

#[test]
fn what_is_in_sight_stays_there_while_lines_are_added() {
    let (mut model, mut logs) = lines(200);
    press(&mut model, &logs, "ggjj");
    let before = shown(&model);
    let more = logs.lines["p620"].clone();
    logs.lines.get_mut("p620").unwrap().extend(more);
    model.log.asked = None;
    logs.settle(&mut model);
    let changed = |text: &str| text.lines().filter(|line| line.contains("line ")).count();
    assert_eq!(changed(&before), changed(&shown(&model)));
    assert!(shown(&model).contains("400 lines"), "{}", shown(&model));
    assert_eq!(cursor(&model), Some(2));
}

#[test]
fn a_long_log_is_asked_for_a_few_rows_at_a_time() {
    let (mut model, logs) = lines(100_000);
    let most = |model: &Model| model.log.shown.as_ref().map_or(0, |shown| shown.shown.len());
    assert!(most(&model) < 100);
    press(&mut model, &logs, "g");
    let screen = shown(&model);
    assert!(screen.contains("line 0") && screen.contains("100 000 lines · line 1"), "{screen}");
    for _ in 0..50 {
        keys::press(&mut model, "j");
        // Rows that are there already are not asked for again.
        let asked = view_logs(&mut model);
        assert!(asked.is_empty() || most(&model) < 100);
        for effect in asked {
            let Effect::ShowLogs(Some(wanted)) = effect else { continue };
            for news in logs.answer(&wanted) {
                update(&mut model, Msg::Logs(news), now());
            }
        }
    }
    assert_eq!(cursor(&model), Some(50));
    assert!(shown(&model).contains("›12:04:31"), "{}", shown(&model));
}

#[test]
fn a_build_that_failed_is_explained_without_scrolling() {
    let mut model = failed(80, 24);
    press(&mut model, &failed_build(), "\n");
    assert_eq!(model.screen, Screen::Logs);
    let screen = shown(&model);
    for part in [
        "✗ crypto/part77.c:118:17: error: implicit declaration",
        "openssl-3.5.1 failed: builder for 'openssl-3.5.1.drv' failed with exit code",
        "needed by curl-8.17.0 → nixos-system-samsung-26.05",
        "openssl> crypto/part77.c:118:17: error: implicit",
        "openssl alone",
    ] {
        assert!(screen.contains(part), "{part} in\n{screen}");
    }
    assert!(!screen.contains("zlib>"), "{screen}");
    // Esc shows all lines around, and the failure does not come back by itself.
    press(&mut model, &failed_build(), "\u{1b}");
    let screen = shown(&model);
    assert!(model.log.alone.is_none() && screen.contains("part77.c:118"), "{screen}");
    press(&mut model, &failed_build(), "F");
    assert!(model.log.alone.is_some());
}

#[test]
fn a_failure_without_a_stream_is_shown_by_its_last_error() {
    let mut logs = failed_build();
    logs.activity.clear();
    let mut model = failed(80, 24);
    press(&mut model, &logs, "4");
    let at = cursor(&model).and_then(|cursor| model.log.row(cursor)).map(|row| row.text.clone());
    assert!(at.is_some_and(|text| text.contains("failed to build")), "{}", shown(&model));
    // Its name stands in the title of the log.
    assert!(shown(&model).contains("✗ could not be built on p620"), "{}", shown(&model));
}

#[test]
fn the_reason_that_ended_a_host_is_found_as_an_error_whatever_its_words() {
    let (mut model, mut logs) = lines(3);
    let reason = "me@desk deploys to it; wait for that to end [lock-held]";
    let reason = LogLine::plain(Some(now()), Some(Phase::Preflight), reason);
    logs.lines.get_mut("p620").unwrap().push(reason);
    for keys in ["p", "gP"] {
        press(&mut model, &logs, keys);
        assert_eq!(cursor(&model), Some(3), "{keys}: {}", shown(&model));
    }
}

#[test]
fn an_activation_that_failed_is_shown_at_its_first_error_and_not_at_what_followed() {
    let at = demo::failures().into_iter().find(|it| it.phase == Phase::Activate).unwrap();
    let mut logs = DemoLogs::default();
    let said = [
        (Phase::Build, "error: a cache was asked twice"),
        (Phase::Activate, "fleet_state: /var/lib/fleet: unknown state version 9"),
        (Phase::Activate, "Activation script snippet 'fleet_state' failed (1)"),
        (Phase::Activate, "Failed to run activate script"),
        (Phase::Activate, "outcome: rolled-back, its activation script failed"),
    ];
    let lines = said.map(|(phase, text)| LogLine::plain(Some(now()), Some(phase), text.to_owned()));
    logs.lines.insert("samsung".to_owned(), lines.to_vec());
    let mut model = model(demo::failed("52", &[("samsung", &at)]), 80, 24);
    press(&mut model, &logs, "3\n");
    assert_eq!(cursor(&model), Some(2), "{}", shown(&model));
    // Where the phase itself says nothing that looks like an error, the last one of the log is shown.
    logs.lines.get_mut("samsung").unwrap().truncate(2);
    model.log.leave_host();
    press(&mut model, &logs, "F");
    assert_eq!(cursor(&model), Some(0), "{}", shown(&model));
}

#[test]
fn the_log_of_a_derivation_alone_is_one_key_away_and_one_key_back() {
    let (mut model, logs) = (failed(110, 30), failed_build());
    press(&mut model, &logs, "4v\n");
    assert_eq!(model.log.face, LogFace::Log);
    assert_eq!(model.log.alone.as_ref().map(|(build, _)| build.package.as_str()), Some("openssl"));
    let row = model.log.at_cursor().map(|row| row.text.clone()).unwrap();
    assert!(row.contains("part77.c:118:17: error"), "{row}");
    press(&mut model, &logs, "\u{1b}");
    assert_eq!(model.log.face, LogFace::Builds);
    // What has not begun has no log.
    press(&mut model, &logs, "jj\n");
    assert_eq!(model.log.face, LogFace::Builds);
    assert!(
        model
            .toast
            .as_ref()
            .is_some_and(|toast| toast.text.contains("linux-6.12.58 has not begun"))
    );
    press(&mut model, &logs, "\u{1b}\u{1b}");
    assert_eq!((model.screen, model.log.face), (Screen::Deploy, LogFace::Log));
}

#[test]
fn errors_are_found_one_after_the_other() {
    let (mut model, logs) = (failed(110, 30), failed_build());
    press(&mut model, &logs, "4\u{1b}g");
    let mut seen = Vec::new();
    loop {
        press(&mut model, &logs, "p");
        let Some(at) = cursor(&model).filter(|at| !seen.contains(at)) else { break };
        seen.push(at);
    }
    assert!(seen.len() >= 3 && seen.is_sorted(), "{seen:?}");
    assert_eq!(cursor(&model), seen.first().copied());
    assert_eq!(said(&model), "no error below: this is the first one");
    press(&mut model, &logs, "P");
    assert_eq!(cursor(&model), seen.last().copied());
    press(&mut model, &logs, "P");
    assert_eq!(cursor(&model), seen.iter().rev().nth(1).copied());
}

/// Returns the sentence of the moment.
fn said(model: &Model) -> &str {
    model.toast.as_ref().map_or("", |toast| toast.text.as_str())
}

#[test]
fn a_search_goes_on_from_the_other_end_of_the_log_and_says_so() {
    let (mut model, logs) = lines(100);
    press(&mut model, &logs, "g/line 50\n");
    press(&mut model, &logs, "/line 7\n");
    assert_eq!((cursor(&model), said(&model)), (Some(70), ""));
    press(&mut model, &logs, "/line 3\n");
    let below = "no match below: this is the first one";
    assert_eq!((cursor(&model), said(&model)), (Some(3), below));
    press(&mut model, &logs, "N");
    let above = "no match above: this is the last one";
    assert_eq!((cursor(&model), said(&model)), (Some(39), above));
    press(&mut model, &logs, "n");
    assert_eq!((cursor(&model), said(&model)), (Some(3), below));
    press(&mut model, &logs, "/nothing\n");
    assert_eq!((cursor(&model), said(&model)), (Some(3), "no line matches “nothing”"));
}

#[test]
fn what_is_looked_for_begins_empty_and_the_last_one_is_a_key_away() {
    let up = KeyEvent::new(KeyCode::Up, KeyModifiers::NONE);
    let (mut model, logs) = lines(200);
    press(&mut model, &logs, "g/line 15\n");
    press(&mut model, &logs, "/line 2\n");
    assert_eq!((model.log.pattern.text.as_str(), cursor(&model)), ("line 2", Some(20)));
    press(&mut model, &logs, "/");
    assert!(shown(&model).contains("↑ the last one"), "{}", shown(&model));
    update(&mut model, Msg::Key(up), now());
    press(&mut model, &logs, "3\n");
    assert_eq!((model.log.pattern.text.as_str(), cursor(&model)), ("line 23", Some(23)));
    // Enter alone looks for it again, also when it was forgotten.
    press(&mut model, &logs, "\u{1b}g/\n");
    assert_eq!((model.log.pattern.text.as_str(), cursor(&model)), ("line 23", Some(23)));
}

#[test]
fn lines_are_hidden_no_longer_than_there_is_a_pattern() {
    let (mut model, logs) = lines(100);
    press(&mut model, &logs, "g/line 50\n&");
    assert!(shown(&model).contains("1 of 100 lines"), "{}", shown(&model));
    press(&mut model, &logs, "\u{1b}/line 3\n");
    assert!(!model.log.only_matching && shown(&model).contains(" 100 lines"), "{}", shown(&model));
}

#[test]
fn another_pattern_among_the_lines_that_match_shows_its_own_lines() {
    let (mut model, logs) = lines(100);
    press(&mut model, &logs, "g/line\n&/line 80\n");
    assert_eq!(cursor(&model), Some(0));
    press(&mut model, &logs, "\u{1b}g/line\n&Gk/line 3\n");
    let screen = shown(&model);
    assert!(screen.contains("11 of 100 lines · only “line 3”"), "{screen}");
    assert!(screen.contains("line 38") && screen.contains("line 39"), "{screen}");
}

#[test]
fn what_would_be_hidden_is_seen_before_enter_and_nothing_is_lost() {
    let (mut model, logs) = (failed(110, 30), failed_build());
    press(&mut model, &logs, "4\u{1b}f/zlib");
    let screen = shown(&model);
    assert!(screen.contains("openssl>") && screen.contains("17 lines of"), "{screen}");
    press(&mut model, &logs, "\n&");
    let screen = shown(&model);
    assert!(!screen.contains("openssl>") && screen.contains("only “zlib”"), "{screen}");
    press(&mut model, &logs, "\u{1b}");
    assert!(shown(&model).contains("openssl>"));
}

#[test]
fn an_expression_that_is_none_is_said_and_can_be_typed_on() {
    let (mut model, logs) = lines(50);
    press(&mut model, &logs, "/(");
    press(&mut model, &logs, "\t\n");
    assert!(model.log.typing.is_some() && model.toast.is_some());
    press(&mut model, &logs, "4.)$\n");
    assert_eq!(cursor(&model), Some(49));
    assert_eq!(model.log.counted.as_ref().map(|counted| counted.rows), Some(10));
}

#[test]
fn levels_leave_the_line_at_the_cursor_in_sight() {
    let (mut model, logs) = (failed(110, 30), failed_build());
    press(&mut model, &logs, "4\u{1b}");
    let before = model.log.at_cursor().unwrap().clone();
    press(&mut model, &logs, "hh");
    assert_eq!(model.log.levels, LineLevels::Errors);
    assert_eq!(model.log.at_cursor().unwrap().place, before.place);
    press(&mut model, &logs, "h");
    assert_eq!(model.log.at_cursor().unwrap().place, before.place);
}

#[test]
fn lines_are_selected_copied_and_saved() {
    let (mut model, logs) = lines(50);
    press(&mut model, &logs, "kk jj");
    let effects = press(&mut model, &logs, "y");
    let taken = |effects: &[Effect]| match effects {
        [Effect::CopyRows { what, .. }] => Some(what.clone()),
        _ => None,
    };
    assert_eq!(taken(&effects), Some(RowsTaken::Rows(47..50)));
    assert_eq!(model.log.anchor, None);
    let effects = press(&mut model, &logs, "Y");
    assert!(matches!(taken(&effects), Some(RowsTaken::AroundTrouble(_))));
    let ctrl_s = KeyEvent::new(KeyCode::Char('s'), KeyModifiers::CONTROL);
    update(&mut model, Msg::Key(ctrl_s), now());
    assert!(shown(&model).contains("save as run-41-p620.log"), "{}", shown(&model));
    let effects = press(&mut model, &logs, "x\n");
    assert!(matches!(&effects[..], [Effect::SaveRows { file, .. }] if file == "run-41-p620.logx"));
    // What the terminal has to take is written by it alone.
    let clip = Msg::Clip { text: "a".to_owned(), told: "copied 1 line (OSC 52)".to_owned() };
    let effects = update(&mut model, clip, now());
    assert_eq!(effects, [Effect::Terminal(Wish::Clip("a".to_owned()))]);
    assert!(model.toast.as_ref().is_some_and(|toast| toast.text.contains("OSC 52")));
}

#[test]
fn the_help_explains_every_sign_of_what_was_built_and_copied() {
    let known: String = signs_in(Screen::Logs).map(|one| one.name).collect();
    for keys in ["4v", "4vv", "4=", "4\u{1b}#"] {
        let mut model = failed(110, 30);
        press(&mut model, &failed_build(), keys);
        let seen = shown(&model);
        // The header is of every view.
        let body = seen.lines().skip(3);
        for sign in body.flat_map(str::chars).filter(|sign| "✗▲◐○–·✓×●".contains(*sign))
        {
            assert!(known.contains(sign), "{sign} after {keys}\n{seen}");
        }
    }
}

#[test]
fn a_filter_that_shows_not_all_of_its_lines_says_so() {
    for (columns, rows) in SIZES {
        let mut logs = failed_build();
        logs.is_cut = true;
        let mut model = failed(columns, rows);
        press(&mut model, &logs, "4\u{1b}/part9\n&g");
        insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
            insta::assert_snapshot!(format!("logs-cut-{columns}x{rows}"), shown(&model));
        });
    }
}

#[test]
fn what_is_built_is_shown_of_one_host_while_the_logs_of_all_are_one() {
    let mut model = failed(110, 30);
    let logs = failed_build();
    press(&mut model, &logs, "4A");
    assert!(shown(&model).contains("all 4 hosts"), "{}", shown(&model));
    press(&mut model, &logs, "v");
    let seen = shown(&model);
    assert!(seen.contains("samsung ─ run #41 ─ builds") && seen.contains("curl-8.17.0"), "{seen}");
    press(&mut model, &logs, "\u{1b}");
    assert!(shown(&model).contains("all 4 hosts"), "{}", shown(&model));
}

#[test]
fn a_build_is_compared_with_the_last_good_one_and_esc_goes_back() {
    let mut logs = failed_build();
    let mut model = failed(80, 24);
    press(&mut model, &logs, "4=");
    assert!(shown(&model).contains("Compared with openssl-3.5.0 of run 38"), "{}", shown(&model));
    press(&mut model, &logs, "\u{1b}");
    assert!(model.log.compared.is_none() && shown(&model).contains("openssl alone"));
    // From the list of builds, back to the list; nothing is known of the package before.
    logs.compared = Some(ComparedBuild::NoneBefore);
    press(&mut model, &logs, "v=");
    let screen = shown(&model);
    assert!(screen.contains("No older run") && screen.contains("openssl"), "{screen}");
    press(&mut model, &logs, "\u{1b}");
    assert_eq!(model.log.face, LogFace::Builds);
    // While it is looked for that is said, and a line of no build cannot be compared.
    logs.compared = None;
    press(&mut model, &logs, "=");
    assert!(shown(&model).contains("comparing"), "{}", shown(&model));
    let (mut model, logs) = lines(3);
    press(&mut model, &logs, "=");
    assert!(shown(&model).contains("no build is chosen"), "{}", shown(&model));
}

#[test]
fn marked_lines_are_found_again() {
    let (mut model, logs) = lines(100);
    press(&mut model, &logs, "gjm");
    press(&mut model, &logs, "Gkm");
    press(&mut model, &logs, "g'");
    assert_eq!(cursor(&model), Some(1));
    assert!(shown(&model).contains("◆"));
    press(&mut model, &logs, "'");
    assert_eq!(cursor(&model), Some(98));
    press(&mut model, &logs, "'");
    assert_eq!(cursor(&model), Some(1));
}

#[test]
fn what_comes_for_another_host_is_not_shown() {
    let (mut model, logs) = lines(50);
    let late = view_logs(&mut model);
    assert!(late.is_empty());
    let wanted = model.log.asked.clone().unwrap();
    press(&mut model, &logs, "\t");
    for news in logs.answer(&wanted) {
        update(&mut model, Msg::Logs(news), now());
    }
    assert!(shown(&model).contains("nothing logged yet"), "{}", shown(&model));
}

/// Returns how the first character of a text looks on the screen.
fn style_of(buffer: &Buffer, wanted: &str) -> Style {
    let text = text(buffer);
    let (row, line) =
        text.lines().enumerate().find(|(_, line)| line.contains(wanted)).expect("on the screen");
    let column = line[..line.find(wanted).unwrap_or_default()].chars().count();
    buffer[(column as u16, row as u16)].style()
}

#[test]
fn a_line_is_shown_in_its_own_colours_and_found_across_them() {
    let (mut model, mut logs) = lines(3);
    let (line, colours) = printable_coloured("cc> unused par\u{1b}[1;35mam\u{1b}[0meter");
    let plain = LogLine::plain(Some(now()), Some(Phase::Build), line);
    logs.lines.get_mut("p620").unwrap().push(LogLine { colours, ..plain });
    press(&mut model, &logs, "gG");
    let shown = draw(&model, &look(false));
    assert_eq!(style_of(&shown, "ameter").fg, Some(Color::Magenta));
    assert!(style_of(&shown, "ameter").add_modifier.contains(Modifier::BOLD));
    assert_eq!(style_of(&shown, "eter").fg, Some(Color::Reset));
    press(&mut model, &logs, "/param\n");
    assert_eq!(cursor(&model), Some(3));
    for part in ["param", "ram", "am"] {
        let style = style_of(&draw(&model, &look(false)), &format!("{part}eter"));
        assert!(style.add_modifier.contains(Modifier::REVERSED), "{part}");
    }
}

#[test]
fn no_escape_of_a_log_reaches_the_terminal() {
    let hostile = "a\u{1b}]0;title\u{7}b\u{1b}[31mc\u{9b}5md\u{202e}e\u{200b}f\u{1b}P1$q\u{1b}\\g";
    let mut logs = failed_build();
    let printable = LogLine::read(format!("2026-11-21T12:04:22Z build       {hostile}").as_bytes());
    logs.lines.insert("samsung".to_owned(), vec![printable]);
    logs.activity.clear();
    for keys in ["4", "4w", "4A", "4/a"] {
        let mut model = failed(80, 24);
        press(&mut model, &logs, keys);
        let screen = shown(&model);
        assert!(screen.contains("abcdefg"), "{screen}");
        let deceptive = ['\u{200b}', '\u{200e}', '\u{202d}', '\u{202e}'];
        let is_bad = |c: char| c.is_control() && c != '\n' || deceptive.contains(&c);
        assert!(!screen.contains(is_bad), "{screen:?}");
    }
}

#[test]
fn an_error_that_is_looked_for_in_vain_is_said_while_the_log_is_followed_too() {
    let (mut model, logs) = lines(5);
    press(&mut model, &logs, "p");
    let said = model.toast.as_ref().map(|toast| toast.text.as_str());
    assert_eq!(said, Some("no line tells of an error"));
}
