//! What seldom changes on a host and takes some processes to find out: what boots next, which roots
//! are old. Looked at seldom, and again when the host runs or boots another system.

use crate::fleet::{
    BootChoice, DeployFacts, DeployedFrom, HostFacts, OldRoot, Specialisation, StorePath,
    UpkeepFacts, printable_line,
};
use crate::probe::generations::boot_choice;
use crate::probe::host::generation;
use crate::remote::{Script, ScriptRunner, Way};
use jiff::{SignedDuration, Timestamp};
use std::time::Duration;

/// What is asked.
const UPKEEP: &str = concat!(
    include_str!("scripts/says.sh"),
    include_str!("scripts/host-facts.sh"),
    include_str!("scripts/specialisations.sh"),
    include_str!("scripts/deploys.sh"),
    include_str!("scripts/upkeep.sh")
);

/// Most units that are kept of tools that deploy by themselves.
const DEPLOYERS: usize = 10;

/// How long it may take.
const LIMIT: Duration = Duration::from_secs(10);

/// How long an answer is believed of a host whose systems stay the same.
const BELIEVED: SignedDuration = SignedDuration::from_mins(10);

/// Most roots that are kept.
const ROOTS: usize = 20;

/// Looks at a host that answered with these facts, or returns what is known already; none when
/// nothing can be found out.
pub(super) async fn look(
    runner: &dyn ScriptRunner,
    host: &str,
    known: Option<&UpkeepFacts>,
    facts: &HostFacts,
) -> Option<UpkeepFacts> {
    let now = Timestamp::now();
    if let Some(known) = known.filter(|known| is_current(known, facts, now)) {
        return Some(known.clone());
    }
    // Nothing of a machine without NixOS is looked for here.
    facts.system.running.as_ref()?;
    let script = Script::new(UPKEEP).way(Way::InTurn).limit(LIMIT);
    let output = runner.run(host, &script).await.ok();
    let found = output.and_then(|output| parse(&output.stdout, systems(facts), now));
    found.or_else(|| known.filter(|known| known.systems == systems(facts)).cloned())
}

/// Returns whether what is known still holds: what was looked at while the system was switched does not.
fn is_current(known: &UpkeepFacts, facts: &HostFacts, now: Timestamp) -> bool {
    let age = now.duration_since(known.measured_at);
    (SignedDuration::ZERO..BELIEVED).contains(&age)
        && !known.switching
        && known.systems == systems(facts)
}

/// Returns what a host runs and what its profile names.
fn systems(facts: &HostFacts) -> [Option<StorePath>; 2] {
    [facts.system.running.clone(), facts.system.profile.clone()]
}

/// Reads what the script printed; nothing when it broke off.
fn parse(text: &str, systems: [Option<StorePath>; 2], now: Timestamp) -> Option<UpkeepFacts> {
    let mut boot = BootChoice::default();
    let mut deploys = DeployFacts::default();
    let (mut running_generation, mut roots, mut whole) = (None, Vec::new(), false);
    let mut switching = false;
    for (key, value) in text.lines().filter_map(|line| line.split_once('\t')) {
        match key {
            "next_boot" => boot = boot_choice(value),
            "runs_generation" => {
                running_generation = running_generation.max(generation(value.trim()));
            }
            "specialisation" => deploys.specialisation = Specialisation::parse(value),
            "built_from" => deploys.built_from = DeployedFrom::parse(value),
            "deployer" if deploys.by_themselves.len() < DEPLOYERS => {
                deploys.by_themselves.push(printable_line(value.trim()));
            }
            "root" if roots.len() < ROOTS => roots.extend(root(value)),
            "switching" => switching = true,
            "end" => whole = true,
            _ => {}
        }
    }
    whole.then_some(UpkeepFacts {
        boot,
        running_generation,
        deploys,
        roots,
        systems,
        switching,
        measured_at: now,
    })
}

/// Reads `SECONDS<TAB>LINK`.
fn root(value: &str) -> Option<OldRoot> {
    let (seconds, link) = value.split_once('\t')?;
    let made_at = Timestamp::from_second(seconds.trim().parse().ok()?).ok()?;
    Some(OldRoot { link: printable_line(link), made_at })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::SystemFacts;
    use crate::remote::{FakeRunner, Output};
    use std::os::unix::fs::symlink;

    const RUNS: &str = "/nix/store/l0znnv1nxsr0ry7gmadkh49s1d0hycgd-nixos-system-samsung";

    fn boots(profile: &str) -> HostFacts {
        let path = |text: &str| StorePath::parse(text).ok();
        let (running, profile) = (path(RUNS), path(profile));
        let system = SystemFacts { running, profile, ..SystemFacts::default() };
        HostFacts { system, ..HostFacts::default() }
    }

    #[test]
    fn everything_that_is_printed_is_read() {
        let text = format!(
            "next_boot\t{RUNS}\tthe entry old (bootctl set-default)\nruns_generation\tsystem-9-link\n\
             runs_generation\tsystem-10-link\nroot\t1700000000\t/home/me/result\nroot\tx\ty\nspecialisation\t{RUNS}\tgaming\n\
             built_from\t0123abcd\tfleet\tme@desk\t9\ndeployer\tcomin.service\nend\tok\n"
        );
        let found = parse(&text, [None, None], Timestamp::UNIX_EPOCH).unwrap();
        assert_eq!(found.boot.system.unwrap().as_str(), RUNS);
        assert_eq!(found.boot.pinned.as_deref(), Some("the entry old (bootctl set-default)"));
        assert_eq!(found.running_generation, Some(10));
        assert_eq!(found.roots.len(), 1);
        assert_eq!(found.deploys.specialisation.unwrap().name, "gaming");
        assert_eq!(found.deploys.built_from.unwrap().revision, "0123abcd");
        assert_eq!(found.deploys.by_themselves, ["comin.service"]);
        assert_eq!(found.roots[0].link, "/home/me/result");
        assert_eq!(
            parse("next_boot\tx\t\n", [None, None], Timestamp::UNIX_EPOCH),
            None,
            "it broke off"
        );
    }

    #[tokio::test]
    async fn a_host_is_looked_at_again_when_its_systems_change() {
        let runner = FakeRunner::new(|_, _| {
            let stdout = "runs_generation\tsystem-7-link\nend\tok\n".to_owned();
            Ok(Output { stdout, ..Output::default() })
        });
        let facts = boots(RUNS);
        let first = look(&runner, "samsung", None, &facts).await.unwrap();
        assert_eq!(look(&runner, "samsung", Some(&first), &facts).await, Some(first.clone()));
        assert_eq!(runner.asked().len(), 1, "nothing changed");
        look(
            &runner,
            "samsung",
            Some(&first),
            &boots("/nix/store/p21fy4sc5b87h3ma8y0mbiph36v5yfk7-new"),
        )
        .await;
        assert_eq!(runner.asked().len(), 2, "it boots another system");
    }

    #[test]
    fn the_script_finds_what_boots_next_under_a_real_shell() {
        let output = std::process::Command::new("/bin/sh").args(["-c", UPKEEP]).output().unwrap();
        assert!(output.stderr.is_empty(), "{output:?}");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(parse(&text, [None, None], Timestamp::UNIX_EPOCH).is_some(), "{text}");
    }

    #[test]
    fn a_host_whose_system_is_being_switched_says_so_and_is_asked_again() {
        let dir = tempfile::tempdir().unwrap();
        let lock = dir.path().join("lock");
        let script =
            UPKEEP.replace("/run/nixos/switch-to-configuration.lock", &lock.display().to_string());
        let look = || {
            let output = std::process::Command::new("/bin/sh").args(["-c", &script]).output();
            let text = String::from_utf8(output.unwrap().stdout).unwrap();
            parse(&text, systems(&boots(RUNS)), Timestamp::now()).unwrap()
        };
        assert!(!look().switching, "there is no such file");
        let file = std::fs::File::create(&lock).unwrap();
        let free = look();
        assert!(!free.switching);
        assert!(is_current(&free, &boots(RUNS), Timestamp::now()));
        rustix::fs::flock(&file, rustix::fs::FlockOperation::LockExclusive).unwrap();
        let held = look();
        assert!(held.switching);
        assert!(!is_current(&held, &boots(RUNS), Timestamp::now()));
    }

    #[test]
    fn a_root_whose_link_is_gone_is_none() {
        // The part of the script that lists roots, on folders of our own.
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path().to_str().unwrap();
        let roots = dir.path().join("gcroots");
        std::fs::create_dir_all(roots.join("auto")).unwrap();
        std::fs::create_dir_all(roots.join("nixdash")).unwrap();
        symlink(RUNS, dir.path().join("result")).unwrap();
        symlink(dir.path().join("result"), roots.join("auto/a")).unwrap();
        symlink(dir.path().join("gone"), roots.join("auto/b")).unwrap();
        symlink(RUNS, roots.join("nixdash/razer")).unwrap();
        symlink(RUNS, roots.join("nixdash/razer.next")).unwrap();
        let script = UPKEEP.replace("/nix/var/nix/gcroots", &format!("{at}/gcroots"));
        let output = std::process::Command::new("/bin/sh").args(["-c", &script]).output().unwrap();
        let found =
            parse(&String::from_utf8_lossy(&output.stdout), [None, None], Timestamp::UNIX_EPOCH)
                .unwrap();
        let mut links: Vec<&str> = found.roots.iter().map(|root| root.link.as_str()).collect();
        links.sort_unstable();
        let next = format!("{at}/gcroots/nixdash/razer.next");
        assert_eq!(links, [next.as_str(), &format!("{at}/result")]);
    }
}
