//! README and docs/: what they show works, and what they point at is there.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The root of the repository.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every page that people read, with its text.
fn pages() -> Vec<(PathBuf, String)> {
    let docs = std::fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let pages = docs.chain(["README.md", "CHANGELOG.md"].map(|name| root().join(name)));
    pages.map(|page| (page.clone(), std::fs::read_to_string(page).unwrap())).collect()
}

/// Returns where the links of a page in Markdown lead.
fn links(text: &str) -> impl Iterator<Item = &str> {
    text.split("](").skip(1).filter_map(|rest| rest.split(')').next())
}

/// Returns the name that a heading has in a link.
fn anchor(heading: &str) -> String {
    let kept = heading.to_lowercase();
    let kept = kept.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

#[test]
fn every_link_leads_somewhere() {
    for (page, text) in pages() {
        for link in links(&text).filter(|link| !link.contains("://")) {
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            let target =
                if file.is_empty() { page.clone() } else { page.with_file_name("").join(file) };
            assert!(target.exists(), "{link} in {} leads nowhere", page.display());
            if !heading.is_empty() {
                let text = std::fs::read_to_string(&target).unwrap();
                let headings = text.lines().filter_map(|line| line.strip_prefix('#'));
                let mut names = headings.map(|line| anchor(line.trim_start_matches('#').trim()));
                assert!(names.any(|name| name == heading), "{link} in {}", page.display());
            }
        }
    }
}

#[test]
fn every_page_is_found_from_the_readme() {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    for (page, _) in pages() {
        let path = page.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
        let linked = links(&readme).any(|link| link == path);
        assert!(linked || path == "README.md", "README.md has no link to {path}");
    }
}

#[test]
fn every_hosts_toml_of_a_page_is_right() {
    let mut found = 0;
    for (page, text) in pages() {
        for block in text.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()) {
            let dir = tempfile::tempdir().unwrap();
            std::fs::write(dir.path().join("hosts.toml"), block).unwrap();
            let output = Command::new(env!("CARGO_BIN_EXE_nixdash"))
                .args(["config", "check", "--hosts", "hosts.toml"])
                .current_dir(dir.path())
                .output()
                .unwrap();
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.success(), "{}: {said}", page.display());
            found += 1;
        }
    }
    assert!(found > 0, "no page shows a hosts.toml");
}
