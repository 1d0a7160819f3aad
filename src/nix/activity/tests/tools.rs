//! What compilers, test runners and builders print when a build fails, and which line of it is told first.

use crate::nix::activity::ActivityLog;
use serde_json::json;

/// The derivation that fails.
const DRV: &str = "/nix/store/nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn-part-1.0.drv";

/// Returns why a build failed that printed this.
fn told(output: &str) -> String {
    let mut log = ActivityLog::new();
    let fields = json!([DRV, "", 1, 1]);
    let start = json!({"action": "start", "id": 1, "level": 3, "parent": 0, "type": 105, "text": "", "fields": fields});
    log.feed(&format!("@nix {start}"));
    for line in output.lines() {
        let line = json!({"action": "result", "id": 1, "type": 101, "fields": [line]});
        log.feed(&format!("@nix {line}"));
    }
    let text = format!("error: builder for '{DRV}' failed with exit code 2;\n       last 2 lines:");
    log.feed(&format!("@nix {}", json!({"action": "msg", "level": 0, "msg": text})));
    log.failure().unwrap().text
}

/// Output of a tool, and the line of it that says what went wrong.
const CASES: [(&str, &str, &str); 22] = [
    (
        "gcc under make -j",
        "gcc -Wall -Werror=format-security -Iinclude -c part76.c -o part76.o\n\
         part77.c: In function 'run':\n\
         \u{1b}[1mpart77.c:118:17:\u{1b}[0m \u{1b}[1;31merror: \u{1b}[0mimplicit declaration of function 'frob'\n\
         \x20 118 |     return frob(ctx);\n\
         part77.c:120:3: error: expected ';' before '}' token\n\
         cc1: some warnings being treated as errors\n\
         make[1]: *** [Makefile:42: part77.o] Error 1\n\
         make[1]: *** Waiting for unfinished jobs....\n\
         gcc -Wall -Werror=format-security -Iinclude -c part78.c -o part78.o\n\
         make: *** [Makefile:7: all] Error 2",
        "part77.c:118:17: error: implicit declaration of function 'frob'",
    ),
    (
        "gcc that breaks by itself",
        "during RTL pass: expand\na.c:3:1: internal compiler error: Segmentation fault\nmake: *** [Makefile:3: a.o] Error 1",
        "a.c:3:1: internal compiler error: Segmentation fault",
    ),
    (
        "clang under ninja",
        "[12/90] Building CXX object x.cpp.o\nFAILED: x.cpp.o \n/bin/clang++ -Werror -c ../x.cpp\n\
         ../x.cpp:3:5: error: use of undeclared identifier 'y'\n    3 |     y();\n1 error generated.\n\
         ninja: build stopped: subcommand failed.",
        "../x.cpp:3:5: error: use of undeclared identifier 'y'",
    ),
    (
        "lld",
        "ld.lld: error: undefined symbol: frob\n>>> referenced by main.c\n\
         clang: error: linker command failed with exit code 1 (use -v to see invocation)\n\
         make: *** [Makefile:9: app] Error 1",
        "ld.lld: error: undefined symbol: frob",
    ),
    (
        "ld",
        "/nix/store/aaaa-binutils-2.44/bin/ld: cannot find -lz: No such file or directory\n\
         collect2: error: ld returned 1 exit status\nmake: *** [Makefile:9: app] Error 1",
        "/nix/store/aaaa-binutils-2.44/bin/ld: cannot find -lz: No such file or directory",
    ),
    (
        "rustc",
        "   Compiling a v0.1.0 (/build/source)\nerror[E0425]: cannot find value `x` in this scope\n\
         \x20--> src/main.rs:2:5\n  |\n2 |     x\n  |     ^ not found in this scope\n\n\
         error: aborting due to 1 previous error\n\nFor more information about this error, try `rustc --explain E0425`.\n\
         error: could not compile `a` (bin \"a\") due to 1 previous error\n\
         warning: build failed, waiting for other jobs to finish...",
        "error[E0425]: cannot find value `x` in this scope",
    ),
    (
        "cargo test",
        "test tests::works ... FAILED\n\nfailures:\n\n---- tests::works stdout ----\n\n\
         thread 'tests::works' (1234) panicked at src/lib.rs:10:9:\n\
         assertion `left == right` failed\n  left: 4\n right: 5\n\n\
         test result: FAILED. 3 passed; 1 failed; 0 ignored\n\nerror: test failed, to rerun pass `--lib`",
        "thread 'tests::works' (1234) panicked at src/lib.rs:10:9:",
    ),
    (
        "a traceback of Python",
        "Traceback (most recent call last):\n  File \"/build/source/setup.py\", line 3, in <module>\n\
         \x20   import numpy\nModuleNotFoundError: No module named 'numpy'\n\n\
         ERROR Backend subprocess exited when trying to invoke get_requires_for_build_wheel",
        "ModuleNotFoundError: No module named 'numpy'",
    ),
    (
        "setuptools around gcc",
        "x.c:1:10: fatal error: Python.h: No such file or directory\ncompilation terminated.\n\
         error: command '/nix/store/aaaa-gcc/bin/gcc' failed with exit code 1",
        "x.c:1:10: fatal error: Python.h: No such file or directory",
    ),
    (
        "pytest",
        "=================== FAILURES ===================\n    def test_a():\n>       assert 1 == 2\n\
         E       assert 1 == 2\ntest_a.py:2: AssertionError\n============ short test summary info ============\n\
         FAILED test_a.py::test_a - assert 1 == 2\n========= 1 failed, 12 passed in 0.02s =========",
        "FAILED test_a.py::test_a - assert 1 == 2",
    ),
    (
        "unittest",
        "FAIL: test_a (tests.A.test_a)\nTraceback (most recent call last):\n  File \"a.py\", line 3, in test_a\n\
         AssertionError: 1 != 2\n\nRan 3 tests in 0.1s\n\nFAILED (failures=1)",
        "AssertionError: 1 != 2",
    ),
    (
        "go build",
        "Building subPackage ./cmd/a\n# example.com/a/cmd/a\ncmd/a/main.go:5:2: undefined: frob\n\
         cmd/a/main.go:7:9: cannot use x (variable of type int) as string value in assignment",
        "cmd/a/main.go:5:2: undefined: frob",
    ),
    (
        "go test",
        "=== RUN   TestA\n--- FAIL: TestA (0.00s)\n    a_test.go:10: got 1, want 2\nFAIL\nFAIL\texample.com/a\t0.003s\nFAIL",
        "--- FAIL: TestA (0.00s)",
    ),
    (
        "go that panics",
        "--- FAIL: TestA (0.00s)\npanic: runtime error: index out of range [5] with length 3\n\ngoroutine 1 [running]:\n\
         FAIL\texample.com/a\t0.003s",
        "panic: runtime error: index out of range [5] with length 3",
    ),
    (
        "Meson's tests",
        "1/3 a:unit / first   OK              0.02s\n2/3 a:unit / second  FAIL            0.02s   exit status 1\n\
         3/3 a:unit / third   OK              0.02s\n\nOk:                 2\nFail:               1\n\
         Full log written to /build/meson-logs/testlog.txt",
        "2/3 a:unit / second  FAIL            0.02s   exit status 1",
    ),
    (
        "CTest",
        "1/2 Test #1: first ........   Passed    0.01 sec\n2/2 Test #2: second .......***Failed    0.02 sec\n\
         50% tests passed, 1 tests failed out of 2\n\nThe following tests FAILED:\n\t  2 - second (Failed)\n\
         Errors while running CTest\nmake: *** [Makefile:71: test] Error 8",
        "2/2 Test #2: second .......***Failed    0.02 sec",
    ),
    (
        "Automake's tests",
        "PASS: test-a\nFAIL: test-b\n# TOTAL: 2\n# FAIL:  1\n# ERROR: 0\nmake[2]: *** [Makefile:900: test-suite.log] Error 1",
        "FAIL: test-b",
    ),
    (
        "npm around a compiler",
        "src/a.ts:3:5 - error TS2304: Cannot find name 'x'.\nnpm error code ELIFECYCLE\nnpm error errno 2\n\
         npm error A complete log of this run can be found in: /build/.npm/_logs/x.log",
        "src/a.ts:3:5 - error TS2304: Cannot find name 'x'.",
    ),
    (
        "javac under Maven",
        "[ERROR] /build/src/A.java:[3,5] cannot find symbol\n[INFO] BUILD FAILURE\n\
         [ERROR] Failed to execute goal on project a: Compilation failure\n[ERROR] Re-run Maven using the -X switch",
        "[ERROR] /build/src/A.java:[3,5] cannot find symbol",
    ),
    (
        "GHC",
        "src/Main.hs:10:5: error:\n    • Variable not in scope: frob\n\ncabal: Failed to build a-0.1.",
        "src/Main.hs:10:5: error:",
    ),
    (
        "a hook of stdenv",
        "checking for strerror_r... no\nsubstitute(): ERROR: file 'src/x' does not exist\n0 errors so far",
        "substitute(): ERROR: file 'src/x' does not exist",
    ),
    (
        "a script",
        "checking for error.h... no\ngcc -Werror -c a.c\n/build/configure: line 3: pkg-config: command not found\n\
         checking for libfoo... not found",
        "/build/configure: line 3: pkg-config: command not found",
    ),
];

#[test]
fn what_the_tool_itself_says_stands_before_everything_that_sums_it_up() {
    for (tool, output, said) in CASES {
        let wanted = format!("{said} (builder for '{DRV}' failed with exit code 2)");
        assert_eq!(told(output), wanted, "{tool}");
    }
}

#[test]
fn last_words_that_name_no_cause_stand_behind_what_nix_says() {
    for (output, last) in [
        ("compiling\nlinking", "linking"),
        ("gcc -Werror -c strerror.c\nchecking for error.h... no", "checking for error.h... no"),
        ("make: *** [Makefile:7: all] Error 2\ncd ..", "make: *** [Makefile:7: all] Error 2"),
    ] {
        let wanted = format!("builder for '{DRV}' failed with exit code 2; its last words: {last}");
        assert_eq!(told(output), wanted);
    }
}
