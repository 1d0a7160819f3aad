//! Roots that a run leaves on the host that builds.

use super::host::FolderHost;
use crate::deploy::engine::scripts::{BUILT_FROM, ROOT_DRV, TIDY};
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
