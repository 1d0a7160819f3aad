//! Roots that a run leaves on the host that builds.

use super::host::FolderHost;
use crate::deploy::engine::scripts::{BUILT_FROM, CLOSURE_SIZE, COMPARE, ROOT, TIDY};
use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

#[test]
fn only_a_system_becomes_the_next_one_of_its_host() {
    let host = FolderHost::new();
    let roots = host.path("nix/var/nix/gcroots/nixdash");
    fs::create_dir_all(&roots).unwrap();
    let package = host.path("nix/store/less-695");
    fs::create_dir_all(package.join("bin")).unwrap();
    symlink(&package, roots.join("razer.run-6-ab")).unwrap();
    symlink(host.path("nix/store/new"), roots.join("samsung.run-6-ab")).unwrap();
    symlink(host.path("nix/store/old"), roots.join("samsung.run-7-ab")).unwrap();
    symlink(host.path("nix/store/new"), roots.join("fetched.run-6-ab")).unwrap();
    host.run(TIDY, &["run-6-ab"]);
    let mut left: Vec<String> = fs::read_dir(&roots)
        .unwrap()
        .map(|root| root.unwrap().file_name().into_string().unwrap())
        .collect();
    left.sort_unstable();
    assert_eq!(left, ["fetched", "samsung.next", "samsung.run-7-ab"]);
}

/// Tidies a host that has been up for so many seconds.
fn tidy_after(host: &FolderHost, up: u64) {
    host.write("proc/uptime", &format!("{up}.00 1.00\n"));
    let uptime = host.path("proc/uptime").display().to_string();
    host.run(&TIDY.replace("/proc/uptime", &uptime), &["run-6-ab"]);
}

#[test]
fn what_jobs_of_other_runs_left_long_ago_goes_and_what_runs_stays() {
    let host = FolderHost::new();
    host.program(
        "bin/systemctl",
        "#!/bin/sh\ncase $* in *run-1-ab-build-runs*) echo active ;; *) echo inactive ;; esac\n",
    );
    let two_days_ago = std::time::SystemTime::now() - std::time::Duration::from_secs(2 * 24 * 3600);
    for (job, is_old) in
        [("run-1-ab-build-runs", true), ("run-2-ab-old", true), ("run-3-ab-new", false)]
    {
        let folder = host.path("run/nixdash/jobs").join(job);
        fs::create_dir_all(&folder).unwrap();
        if is_old {
            fs::File::open(&folder).unwrap().set_modified(two_days_ago).unwrap();
        }
    }
    fs::create_dir_all(host.path("var/lib/nixdash/jobs")).unwrap();
    fs::create_dir_all(host.path("nix/var/nix/gcroots/nixdash")).unwrap();
    for log in ["run-3-ab-new.log", "run-2-ab-old.log", "run-0-ab-restarted.log"] {
        host.write(&format!("var/lib/nixdash/jobs/{log}"), "");
    }
    tidy_after(&host, 30 * 86_400);
    let names = |folder: &str| {
        let names = fs::read_dir(host.path(folder)).unwrap();
        let mut names: Vec<String> =
            names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.retain(|name| name.starts_with("run-"));
        names.sort_unstable();
        names
    };
    assert_eq!(names("run/nixdash/jobs"), ["run-1-ab-build-runs", "run-3-ab-new"]);
    assert_eq!(names("var/lib/nixdash/jobs"), ["run-3-ab-new.log"]);
}

#[test]
fn a_system_that_is_not_there_has_no_size() {
    let host = FolderHost::new();
    let (there, gone) = (host.path("nix/store/new"), host.path("nix/store/gone"));
    let text = host.run(CLOSURE_SIZE, &[there.to_str().unwrap(), "", "17"]);
    assert_eq!(text, "switch\tyes\nsize\t17\n");
    let size = format!("{{ {CLOSURE_SIZE} }} || echo failed $?");
    let asked = format!("( set -- '{}' '' 17; {size} ); echo \"code $?\"", gone.display());
    assert_eq!(host.run(&asked, &[]), "code 1\n");
}

#[test]
fn a_derivation_that_is_not_valid_any_more_is_told_though_its_file_is_left() {
    let host = FolderHost::new();
    let drv = host.path("nix/store/x.drv");
    let gone = host.path("nix/store/y.drv");
    for (says, exits, is_valid, invalid) in [
        ("these derivations will be built:", 0, true, false),
        ("don\'t know how to build these paths:", 0, false, true),
        ("don\'t know how to build these paths:", 0, true, false),
        ("error: path is not valid", 1, false, true),
    ] {
        let valid = i32::from(!is_valid);
        host.program(
            "bin/nix-store",
            &format!("#!/bin/sh\ncase $1 in --check-validity) exit {valid} ;; esac\necho \"{}\" >&2\nexit {exits}\n", says.replace("\\'", "'")),
        );
        host.write("nix/store/x.drv", "");
        let asked = format!(
            "( set -- '{}' /nix/store/x '{}' '' '' ''; {COMPARE} ) || :",
            drv.display(),
            root(&host, "samsung")
        );
        let text = host.run(&asked, &[]);
        assert_eq!(text.contains("invalid"), invalid, "{says} {text}");
    }
    let text = host.run(COMPARE, &[gone.to_str().unwrap(), "x", &root(&host, "gone"), "", "", ""]);
    assert!(text.contains("invalid"), "{text}");
    assert!(!host.path("nix/var/nix/gcroots/nixdash/gone.drv").is_symlink(), "nothing to keep");
}

#[test]
fn what_is_rooted_while_a_garbage_collector_runs_is_written_once_more_so_that_it_hears_of_it() {
    let host = FolderHost::new();
    let drv = host.path("nix/store/x.drv").display().to_string();
    let system = host.path("nix/store/new").display().to_string();
    let asked = host.path("asked");
    let nix = format!("#!/bin/sh\necho \"$@\" >>'{}'\ncat /dev/null\n", asked.display());
    host.program("bin/nix-store", &nix);
    host.write("nix/store/x.drv", "");
    host.write("nix/var/nix/gc.lock", "");
    let lock = fs::File::open(host.path("nix/var/nix/gc.lock")).unwrap();
    for collects in [false, true] {
        if collects {
            lock.lock().unwrap();
        }
        let said = host.run(COMPARE, &[&drv, &system, &root(&host, "samsung"), "", "", ""]);
        assert!(said.contains("rooted"), "{said}");
        host.run(ROOT, &[&system, &root(&host, "razer")]);
        let calls = fs::read_to_string(&asked).unwrap();
        for path in [&drv, &system] {
            assert_eq!(calls.contains(&format!("--export {path}\n")), collects, "{calls}");
        }
        assert_eq!(calls.matches("--import\n").count(), if collects { 3 } else { 0 }, "{calls}");
    }
}

#[test]
fn what_is_there_of_a_system_that_is_not_built_is_found_with_its_closure_and_without_compilers() {
    let host = FolderHost::new();
    let at = |name: &str| host.path("nix/store").join(name).display().to_string();
    let derivation = |outputs: &[&str], inputs: &str, files: &str| {
        let output = |name: &&str| {
            let (output, path) = name.split_once('=').unwrap();
            // A fixed one has its hash behind another sign.
            let (path, hash) = path.split_once('#').unwrap_or((path, ""));
            let kind = if hash.is_empty() { "" } else { "r:sha256" };
            format!("(\"{output}\",\"{}\",\"{kind}\",\"{hash}\")", at(path))
        };
        let outputs = outputs.iter().map(output).collect::<Vec<_>>().join(",");
        format!(
            "Derive([{outputs}],[{inputs}],[{files}],\"x86_64-linux\",\"/bin/sh\",[],[(\"a\",\"b\")])"
        )
    };
    let needs = |drv: &str, outputs: &str| format!("(\"{}\",[{outputs}])", at(drv));
    let inputs = [
        needs("linux.drv", "\"modules\",\"out\""),
        needs("0-stdenv-linux.drv", "\"out\""),
        needs("linux-6.12.58.tar.xz.drv", "\"out\""),
        needs("gone.drv", "\"out\""),
    ];
    let files = format!("\"{}\",\"{}\"", at("config.nix"), at("away.nix"));
    host.write("nix/store/top.drv", &derivation(&["out=top"], &inputs.join(","), &files));
    let linux = ["dev=linux-dev", "modules=linux-modules", "out=linux"];
    host.write("nix/store/linux.drv", &derivation(&linux, "", ""));
    let archive = derivation(&["out=linux-6.12.58.tar.xz#0dig"], "", "");
    host.write("nix/store/linux-6.12.58.tar.xz.drv", &archive);
    host.write("nix/store/0-stdenv-linux.drv", &derivation(&["out=stdenv"], "", ""));
    let built = ["linux", "linux-dev", "linux-modules", "stdenv", "broken"];
    for there in built.into_iter().chain(["config.nix", "linux-6.12.58.tar.xz"]) {
        host.write(&format!("nix/store/{there}"), "");
    }
    // The made-up store prefixes the closure of a path with glibc; `broken` is not valid.
    let nix = "#!/bin/sh
case $1 in
--check-validity) for path; do case $path in */broken) echo \"$path\" ;; esac; done; exit 1 ;;
--realise) echo 'this derivation will be built:' >&2; exit 0 ;;
--query)
	shift 2
	case \"$*\" in */broken*) exit 1 ;; esac
	for path in glibc-2.42 \"$@\"; do printf '/nix/store/%032d-%s\\n' 0 \"${path##*/}\"; done ;;
esac
";
    host.program("bin/nix-store", nix);
    let (drv, root) = (at("top.drv"), root(&host, "samsung"));
    let there = || {
        let text = host.run(COMPARE, &[&drv, "/nix/store/x", &root, "", "", ""]);
        let lines = text.lines().filter_map(|line| line.strip_prefix("there\t"));
        let mut names: Vec<String> = lines.map(str::to_owned).collect();
        names.sort_unstable();
        assert!(text.contains("\nderivation\tDerive([(\"out\",\""), "{text}");
        names
    };
    let expected = ["config.nix", "glibc-2.42", "linux", "linux-modules"];
    assert_eq!(there(), expected);
    let with_broken = format!("{files},\"{}\"", at("broken"));
    host.write("nix/store/top.drv", &derivation(&["out=top"], &inputs.join(","), &with_broken));
    assert_eq!(there(), expected, "what is not valid is left out, and the rest is found");
}

/// Returns where a root of that name lies.
fn root(host: &FolderHost, name: &str) -> String {
    host.path("nix/var/nix/gcroots/nixdash").join(name).display().to_string()
}

#[test]
fn a_system_that_is_there_is_kept_and_nothing_is_asked() {
    let host = FolderHost::new();
    host.write("nix/store/x.drv", "");
    let (drv, system) = (host.path("nix/store/x.drv"), host.path("nix/store/new"));
    let root = root(&host, "samsung");
    let args = [drv.to_str().unwrap(), system.to_str().unwrap(), &root, "", "", ""];
    let nix = "#!/bin/sh\ncase $1 in --check-validity) exit $valid ;; esac\necho asked >&2\n";
    for (valid, is_rooted) in [("0", true), ("1", false)] {
        host.program("bin/nix-store", &nix.replace("$valid", valid));
        let text = host.run(&format!("( {COMPARE} ) 2>&1"), &args);
        assert_eq!((text.contains("rooted\n"), text.contains("asked\n")), (is_rooted, !is_rooted));
        assert_eq!(fs::read_link(&root).ok(), is_rooted.then(|| system.clone()), "{text}");
        assert_eq!(fs::read_link(format!("{root}.drv")).unwrap(), drv);
    }
    host.write("nix/var/nix/gcroots/full", "no folder");
    let nowhere = host.path("nix/var/nix/gcroots/full/samsung").display().to_string();
    let args = [args[0], args[1], &nowhere, "", "", ""];
    let text = host.run(&format!("( {COMPARE} ) 2>&1"), &args);
    assert!(text.contains("unrooted\tmkdir: ") && text.contains("asked\n"), "{text}");
}

#[test]
fn what_a_system_is_built_from_is_remembered_until_it_is_gone() {
    let host = FolderHost::new();
    host.program("bin/nix-store", "#!/bin/sh\necho 'this derivation will be built:' >&2\n");
    host.write("nix/store/m0z-new.drv", "");
    let (drv, system) = (host.path("nix/store/m0z-new.drv"), "/nix/store/m0z-new");
    let (drv, root) = (drv.to_str().unwrap(), root(&host, "samsung.x"));
    host.run(COMPARE, &[drv, system, &root, "", "", ""]);
    assert_eq!(host.run(BUILT_FROM, &[system]), "", "nobody knew");
    host.run(COMPARE, &[drv, system, &root, "abc1234-dirty", "", "me@desk"]);
    let said = host.run(BUILT_FROM, &[system]);
    let fields: Vec<&str> = said.trim_end().split('\t').collect();
    assert_eq!(fields[..3], ["abc1234-dirty", "unknown", "me@desk"]);
    assert!(fields[3].parse::<u64>().is_ok(), "{said}");
    host.run(TIDY, &["run-6-ab"]);
    assert_eq!(host.run(BUILT_FROM, &[system]), said, "it may not be built yet");
    let note = fs::File::options()
        .write(true)
        .open(host.path("nix/var/nixdash/built-from/m0z-new"))
        .unwrap();
    note.set_modified(std::time::SystemTime::now() - std::time::Duration::from_secs(15 * 86_400))
        .unwrap();
    host.run(TIDY, &["run-6-ab"]);
    assert_eq!(host.run(BUILT_FROM, &[system]), "");
}

#[test]
fn what_a_clock_that_was_set_makes_look_old_is_kept() {
    let host = FolderHost::new();
    let root = |tag: &str| host.path(&format!("nix/var/nix/gcroots/nixdash/fetched.{tag}"));
    let age = |path: &std::path::Path, days: u64| {
        let then = format!("{days} days ago");
        let touch = Command::new("touch").args(["-h", "-d", &then]).arg(path).status().unwrap();
        assert!(touch.success());
    };
    fs::create_dir_all(host.path("nix/var/nix/gcroots/nixdash")).unwrap();
    for tag in ["run-7-cd", "run-8-ef"] {
        std::os::unix::fs::symlink("/nix/store/new", root(tag)).unwrap();
        age(&root(tag), 9_000);
    }
    // Of the same start of the machine, which began in another year by its clock.
    let job = host.path("run/nixdash/jobs/run-8-ef-fetch");
    fs::create_dir_all(&job).unwrap();
    age(&job, 9_000);
    tidy_after(&host, 3_600);
    assert!(fs::symlink_metadata(root("run-7-cd")).is_err(), "nobody asks for it any more");
    assert!(fs::symlink_metadata(root("run-8-ef")).is_ok());
    assert!(job.exists());
}
