//! A host that runs a specialisation, whose new system has none of that name.

use super::target::{OLD, found_by_preflight};
use super::ways::{FLEET, WaysStory, deploy_requested, prints, requested};
use crate::fleet::{Code, Outcome, RunOptions, Strategy};

/// Deploys a system of which the builder says this to a host that runs `gaming`, with a hook before the activation.
async fn deploy_to_gaming(built: &str, room: &str, options: RunOptions) -> WaysStory {
    let hosts = format!(
        "{FLEET}[hosts.samsung.hooks]\nbefore_activate = [{{ run = [\"drain\"], on = \"host\" }}]\n"
    );
    // What is said later counts.
    let runs = format!("running\t{OLD}-gaming\nspecialisation\t{OLD}\tgaming\n");
    let preflight = found_by_preflight("1", &runs);
    let (built, room) = (built.to_owned(), room.to_owned());
    let answers = move |host: &str, name: &str, _: &_| match (host, name) {
        ("samsung", "preflight") => prints(&preflight),
        ("p620", "changes") => prints(&built),
        ("samsung", "room") => prints(&room),
        _ => None,
    };
    let options = RunOptions { strategy: Some(Strategy::Push), ..options };
    let request = requested(&["samsung"], options);
    deploy_requested(&request, ("github:me/x", &hosts), None, Box::new(answers)).await
}

#[tokio::test(start_paused = true)]
async fn a_built_system_without_it_is_refused_before_it_is_copied_or_a_hook_runs() {
    let story = deploy_to_gaming("specialisations\nmissing\n", "", RunOptions::default()).await;
    assert_eq!(story.result.outcome, Outcome::Failed);
    assert_eq!(story.result.findings[0].code, Code::SpecialisationMissing);
    assert!(story.result.error.as_ref().unwrap().contains("--without-specialisation"));
    assert!(story.scripts("samsung", "hook").is_empty());
    assert_eq!(story.job("p620", "push"), None);

    let without = RunOptions { without_specialisation: true, ..RunOptions::default() };
    let story = deploy_to_gaming("specialisations\nmissing\n", "", without).await;
    assert_eq!(story.result.outcome, Outcome::Switched, "{:?}", story.result.error);
    assert_eq!(story.scripts("samsung", "hook").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn where_that_is_seen_only_on_the_host_no_hook_runs() {
    let story = deploy_to_gaming("missing\n", "lacks\tgaming\n", RunOptions::default()).await;
    assert_eq!(story.result.outcome, Outcome::Failed);
    assert_eq!(story.result.findings[0].code, Code::SpecialisationMissing);
    assert!(story.scripts("samsung", "hook").is_empty());
    assert_eq!(story.job("samsung", "activate"), None);
    let room = story.scripts("samsung", "room");
    assert!(room.iter().any(|script| script.args.last().is_some_and(|arg| arg == "gaming")));
}
