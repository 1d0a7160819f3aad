//! Roots that a run leaves on the host that builds.

use super::host::FolderHost;
use crate::deploy::engine::scripts::{BUILT_FROM, CLOSURE_SIZE, COMPARE, ROOT_DRV, TIDY};
use std::fs;
use std::os::unix::fs::symlink;

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
        let asked = format!("( set -- '{}'; {COMPARE} ) || :", drv.display());
        let text = host.run(&asked, &[]);
        assert_eq!(text.contains("invalid"), invalid, "{says} {text}");
    }
    let text = host.run(COMPARE, &[gone.to_str().unwrap()]);
    assert!(text.contains("invalid"), "{text}");
}

#[test]
fn what_a_system_is_built_from_is_remembered_until_it_is_gone() {
    let host = FolderHost::new();
    let (system, root) = ("/nix/store/m0z-new", host.path("nix/var/nix/gcroots/nixdash/samsung.x"));
    let (root, drv_root) = (root.to_str().unwrap(), format!("{}.drv", root.display()));
    let rooting = ["/nix/store/m0z-new.drv", &drv_root, system, root];
    host.run(ROOT_DRV, &rooting);
    assert_eq!(host.run(BUILT_FROM, &[system]), "", "nobody knew");
    host.run(ROOT_DRV, &[rooting.as_slice(), &["abc1234-dirty", "", "me@desk"]].concat());
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
