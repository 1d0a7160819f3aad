//! Roots that a run leaves on the host that builds.

use super::host::FolderHost;
use crate::deploy::engine::scripts::TIDY;
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
