//! Which of all that a process of Nix said is told as the cause.

use super::{FailureKind, FailureLog};
use crate::nix::activity::ActivityLog;

/// Returns why a real process of Nix failed, and whether only a cache was down.
fn failed(log: &str) -> (bool, String) {
    let (kind, text) = kind_of(log);
    (kind == FailureKind::CacheDown, text)
}

/// Returns why a real process of Nix failed.
fn kind_of(log: &str) -> (FailureKind, String) {
    let mut found = ActivityLog::new();
    for line in log.lines() {
        found.feed(line);
    }
    let failure = found.failure().unwrap();
    assert!(!failure.text.contains(";;") && !failure.text.contains('\u{1b}'), "{failure:?}");
    (failure.kind, failure.text)
}

#[test]
fn what_a_cache_does_not_give_though_it_promised_is_no_failure_of_the_host() {
    let nar =
        "http://127.0.0.1:8499/nar/09kxyd68d2nylk7ims23pj3i09s4nnv9p3dv6iij1q9canv42w6d.nar.xz";
    let error = |text: &str| format!(r#"@nix {{"action":"msg","level":0,"msg":"error: {text}"}}"#);
    let download = |answer: &str| error(&format!("unable to download '{nar}': {answer}"));
    let mismatch =
        "hash mismatch importing path '/nix/store/x-a';\\n  specified: sha256:1\\n  got: sha256:2";
    for (line, kind) in [
        (download("HTTP error 404"), FailureKind::CacheLacksFile),
        (download("HTTP error 403 (Forbidden)"), FailureKind::CacheFailing),
        (download("HTTP error 500"), FailureKind::CacheFailing),
        (download("HTTP error 200 ('OK') (curl error: Timeout)"), FailureKind::CacheDown),
        (error(mismatch), FailureKind::CacheCorrupt),
        (error("failed to read compressed data (x)"), FailureKind::CacheCorrupt),
    ] {
        assert_eq!(kind_of(&line).0, kind, "{line}");
        let builder = error("builder for '/nix/store/x-a-1.drv' failed with exit code 1");
        let (kind, text) = kind_of(&format!("{line}\n{builder}"));
        assert_eq!(kind, FailureKind::Builder, "Nix went on: {text}");
    }
    assert!(kind_of(&error(mismatch)).1.ends_with("got: sha256:2"));
    for log in [
        include_str!("../../../../tests/nix-logs/fetch-nar-2.26.log"),
        include_str!("../../../../tests/nix-logs/fetch-nar-2.34.log"),
    ] {
        assert_eq!(kind_of(log).0, FailureKind::CacheLacksFile);
    }
    let source = error("unable to download 'https://x.org/a.tar.gz': HTTP error 404");
    assert_ne!(kind_of(&source).0, FailureKind::CacheLacksFile, "no cache");
}

#[test]
fn a_cache_that_is_given_up_does_not_hide_what_fails_later_by_itself() {
    let message = |level: u32, text: &str| {
        format!(r#"@nix {{"action":"msg","level":{level},"msg":"{text}"}}"#)
    };
    let lacks = "file 'nar/a.nar.xz' does not exist in binary cache 'http://one'";
    let lacks = [
        message(1, &format!("warning: {lacks}")),
        message(0, &format!("error: {lacks}")),
        message(0, "error: unable to download 'http://one/a.narinfo': Could not connect"),
    ];
    let later = [
        "a 'aarch64-linux' with features {} is required to build '/nix/store/x-a.drv', but I am a 'x86_64-linux'",
        "unable to fork: Cannot allocate memory",
        "writing to file: Input/output error",
        "build of '/nix/store/x-a.drv' on 'ssh://b' failed: no room",
    ];
    let sums = [
        "1 dependencies of derivation '/nix/store/x-top.drv' failed to build",
        "Cannot build '/nix/store/x-top.drv'.\\n       Reason: 1 dependency failed.",
        "build of '/nix/store/x-a.drv', '/nix/store/x-top.drv' failed",
        "some substitutes for the outputs of derivation '/nix/store/x-a.drv' failed (usually happens due to \
         networking issues); try '--fallback' to build derivation from source ",
        "path '/nix/store/x-a' is required, but there is no substituter that can build it",
        "path '/nix/store/x-a' does not exist and cannot be created",
        "some references of path '/nix/store/x-a' could not be realised",
    ];
    let is_of_cache = |kind| matches!(kind, FailureKind::CacheLacksFile | FailureKind::CacheDown);
    for lacks in &lacks {
        for sum in sums.map(|sum| message(0, &format!("error: {sum}"))) {
            let (kind, text) = kind_of(&format!("{lacks}\n{sum}"));
            assert!(is_of_cache(kind), "{sum}: {kind:?} {text}");
            for own in later {
                let error = message(0, &format!("error: {own}"));
                let (kind, text) = kind_of(&format!("{lacks}\n{error}\n{sum}"));
                assert!(!is_of_cache(kind) && text.starts_with(own), "{kind:?} {text}");
                // Another process tries again what that one could not.
                let log = format!("{error}\nfailed; asking Nix again\n{lacks}\n{sum}");
                assert!(is_of_cache(kind_of(&log).0), "{log}");
            }
        }
    }
}

#[test]
fn what_a_builder_printed_is_no_word_of_nix_about_a_cache() {
    let quoted = "       > unable to download 'http://x/nar/a.nar.xz': HTTP error 404\\n       \
                  > hash mismatch importing path '/nix/store/y-b'\\n       \
                  > interrupted by the user\\n       > error: builder for '/nix/store/z-c.drv' failed";
    for begins in [
        "builder for '/nix/store/x-a.drv' failed with exit code 1;\\n       last 4 log lines:",
        "Cannot build '/nix/store/x-a.drv'.\\n       Reason: builder failed with exit code 1.\\n       \
         Last 4 log lines:",
    ] {
        let log = format!(
            r#"@nix {{"action":"msg","level":0,"msg":"error: {begins}\n{quoted}\n       For full logs, run: nix log"}}"#
        );
        let (kind, text) = kind_of(&log);
        assert_eq!(kind, FailureKind::Builder, "{text}");
        assert!(text.contains("'/nix/store/x-a.drv'") && !text.contains('>'), "{text}");
    }
}

#[test]
fn a_message_about_one_cache_names_no_path_of_another() {
    let mut log = FailureLog::default();
    log.note_fetched("/nix/store/x-a", "http://one:80");
    log.note_file("http://one:80/nar/aaaa.nar.xz", "/nix/store/x-a", "http://one:80");
    log.note_fetched("/nix/store/y-b", "http://one:80");
    log.note_file("http://one:80/nar/bbbb.nar.xz", "/nix/store/y-b", "http://one:80");
    log.note_asked("/nix/store/z-c", "http://one:8080");
    let lacks = "file 'nar/aaaa.nar.xz' does not exist in binary cache 'http://one:80'";
    assert_eq!(log.with_cache(lacks), format!("{lacks}; needed for /nix/store/x-a"));
    let other = "something at http://one:80";
    assert_eq!(log.with_path(other), format!("{other}; needed for /nix/store/y-b"));
    let stranger = "something at http://two";
    assert_eq!(log.with_path(stranger), stranger);
    let broken = "hash mismatch importing path '/nix/store/x-a'";
    assert_eq!(log.with_cache(broken), format!("{broken}; it came from http://one:80"));
    let nowhere = "key is corrupt";
    let asked = "asked http://one:8080 for /nix/store/z-c";
    assert_eq!(log.with_path(nowhere), format!("{nowhere}; {asked}"));
}

#[test]
fn a_cache_that_is_down_is_named_with_the_path_and_is_no_failed_build() {
    for log in [
        include_str!("../../../../tests/nix-logs/fetch-down-2.26.log"),
        include_str!("../../../../tests/nix-logs/fetch-down-2.34.log"),
        // With fallback the last error is that the path could not be built.
        include_str!("../../../../tests/nix-logs/fetch-fallback-2.26.log"),
    ] {
        let (is_cache_down, text) = failed(log);
        assert!(is_cache_down, "{text}");
        assert!(text.starts_with("unable to download 'http://127.0.0.1:8499/"), "{text}");
        let path = "needed for /nix/store/wd0ys9snp82b5v5j4pgp5wfhnfjhl2vm-a";
        assert!(text.ends_with(path), "{text}");
    }
}

#[test]
fn a_path_that_was_asked_for_is_shown_without_control_bytes() {
    let mut log = FailureLog::default();
    log.note_asked("/nix/store/\u{7f}\u{1b}[31mx", "http://a");
    let text = log.with_path("no such file");
    assert!(text.contains("/nix/store/") && !text.contains(char::is_control), "{text:?}");
}

#[test]
fn the_last_error_of_a_trace_is_told_and_not_its_empty_first() {
    for log in [
        include_str!("../../../../tests/nix-logs/fetch-key-2.26.log"),
        include_str!("../../../../tests/nix-logs/fetch-key-2.34.log"),
    ] {
        let (is_cache_down, text) = failed(log);
        assert!(!is_cache_down, "{text}");
        assert!(text.starts_with("key is corrupt (while decoding key named"), "{text}");
        let asked = "asked http://127.0.0.1:8431 for /nix/store/wd0ys9snp82b5v5j4pgp5wfhnfjhl2vm-a";
        assert!(text.ends_with(asked), "{text}");
    }
}

#[test]
fn a_nar_that_is_missing_and_a_signature_that_is_not_trusted_name_cache_and_path() {
    for log in [
        include_str!("../../../../tests/nix-logs/fetch-nar-2.26.log"),
        include_str!("../../../../tests/nix-logs/fetch-nar-2.34.log"),
        include_str!("../../../../tests/nix-logs/fetch-unsigned-2.26.log"),
    ] {
        let (is_cache_down, text) = failed(log);
        assert!(!is_cache_down, "{text}");
        assert!(text.contains("http://127.0.0.1:"), "{text}");
        assert!(text.contains("/nix/store/wd0ys9snp82b5v5j4pgp5wfhnfjhl2vm-a"), "{text}");
    }
}

#[test]
fn a_build_that_fails_after_a_cache_was_down_failed_by_itself() {
    let down = r#"@nix {"action":"msg","level":0,"msg":"error: unable to download 'http://p620:5000/x.narinfo': Could not connect"}"#;
    let build = r#"@nix {"action":"msg","level":0,"msg":"error: builder for '/nix/store/x-a-1.drv' failed with exit code 1"}"#;
    let (is_cache_down, text) = failed(&format!("{down}\n{build}"));
    assert!(!is_cache_down && text.starts_with("builder for"), "{text}");
    let refused = down.replace("Could not connect", "HTTP error 500");
    assert!(!failed(&refused).0, "a server that answers is not down");
    let odd = r#"@nix {"action":"msg","level":0,"msg":"error:\n       … while this;\n\n       error: that;"}"#;
    assert_eq!(failed(odd), (false, "that; (while this;)".to_owned()));
    let nothing = r#"@nix {"action":"msg","level":0,"msg":"error:"}"#;
    let mut log = ActivityLog::new();
    log.feed(nothing);
    assert_eq!(log.failure(), None, "an empty error is none");
}
