//! Jobs as `start.sh` starts them.

use super::host::FolderHost;

#[test]
fn a_job_gets_its_arguments_as_they_were_given() {
    let args =
        ["${HOME}/x", "$$", "$HOME", "git+file:///f?ref=a$$b", "a b", "", "two\nlines", "%h"];
    let log = FolderHost::new().job(r#"for word; do printf '<%s>\n' "$word"; done"#, &args);
    let given: Vec<String> = args.iter().map(|word| format!("<{word}>")).collect();
    assert_eq!(log.trim_end(), given.join("\n"));
}
