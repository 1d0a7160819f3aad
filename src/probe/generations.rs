//! Which generations a host has: asked when a person wants to see them, since it takes some time.

use crate::fleet::{
    BootChoice, Generation, GenerationMark, Generations, StorePath, printable_line,
};
use crate::probe::host::generation;
use crate::remote::{RemoteError, Script, ScriptRunner, Trouble};
use jiff::Timestamp;
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

/// What is asked.
const GENERATIONS: &str = concat!(
    include_str!("scripts/says.sh"),
    include_str!("scripts/host-facts.sh"),
    include_str!("scripts/deploys.sh"),
    include_str!("scripts/generations.sh")
);

/// How long it may take on a slow disk with hundreds of generations.
const LIMIT: Duration = Duration::from_secs(90);

/// Lists the generations of a host's system profile.
pub async fn generations(
    runner: &dyn ScriptRunner,
    host: &str,
) -> Result<Generations, RemoteError> {
    let output = runner.run(host, &Script::new(GENERATIONS).limit(LIMIT)).await?;
    parse(&output.stdout).ok_or_else(|| {
        let cause = format!("could not list its generations: {}", output.complaint());
        let hint = "try `ls -l /nix/var/nix/profiles` there".to_owned();
        RemoteError { hint, ..RemoteError::new(host, Trouble::Here, &cause) }
    })
}

/// Reads what the script printed; nothing when it broke off.
fn parse(text: &str) -> Option<Generations> {
    let mut found = Generations::default();
    let mut sizes: HashMap<StorePath, u64> = HashMap::new();
    let mut whole = false;
    // A line that cannot be read takes what is below it with it.
    let mut current: Option<Generation> = None;
    for (key, value) in text.lines().filter_map(|line| line.split_once('\t')) {
        match (key, &mut current) {
            ("generation", _) => {
                found.all.extend(current.take());
                current = new_generation(value);
            }
            ("nixos_version", Some(one)) => one.nixos_version = word(value),
            ("kernel", Some(one)) => one.kernel = word(value),
            ("revision", Some(one)) => one.revision = word(value),
            ("mark", Some(one)) => one.mark = GenerationMark::parse(value),
            ("specialisation", Some(one)) => one.specialisations.extend(specialisation(value)),
            ("size", _) => sizes.extend(size(value)),
            ("running", _) => found.running = StorePath::parse(value).ok(),
            ("booted", _) => found.booted = StorePath::parse(value).ok(),
            ("profile", _) => found.profile = generation(value),
            ("next_boot", _) => found.next_boot = boot_choice(value),
            ("end", _) => whole = true,
            _ => {}
        }
    }
    found.all.extend(current);
    for one in &mut found.all {
        one.bytes = sizes.get(&one.system).copied();
    }
    found.all.sort_by_key(|one| one.number);
    whole.then_some(found)
}

/// Reads `number<TAB>seconds<TAB>path`.
fn new_generation(value: &str) -> Option<Generation> {
    let mut fields = value.split('\t');
    let number = fields.next()?.parse().ok()?;
    let made_at = Timestamp::from_second(fields.next()?.trim().parse().ok()?).ok()?;
    let system = StorePath::parse(fields.next()?.trim()).ok()?;
    Some(Generation {
        number,
        made_at,
        system,
        nixos_version: None,
        kernel: None,
        revision: None,
        mark: None,
        specialisations: BTreeMap::new(),
        bytes: None,
    })
}

/// Reads `name<TAB>path`.
fn specialisation(value: &str) -> Option<(String, StorePath)> {
    let (name, path) = value.split_once('\t')?;
    Some((word(name)?, StorePath::parse(path.trim()).ok()?))
}

/// Reads `path<TAB>bytes`.
fn size(value: &str) -> Option<(StorePath, u64)> {
    let (path, bytes) = value.split_once('\t')?;
    Some((StorePath::parse(path).ok()?, bytes.trim().parse().ok()?))
}

/// Reads `system<TAB>pin`, as `host-facts.sh` prints what boots next.
pub(super) fn boot_choice(value: &str) -> BootChoice {
    let (system, pinned) = value.split_once('\t').unwrap_or((value, ""));
    BootChoice { system: StorePath::parse(system.trim()).ok(), pinned: word(pinned.trim()) }
}

/// Returns a text that came from a host unless it is empty.
fn word(value: &str) -> Option<String> {
    let text = printable_line(value);
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remote::{FakeRunner, Output};

    const OLD: &str = "/nix/store/l0znnv1nxsr0ry7gmadkh49s1d0hycgd-nixos-system-samsung-1";
    const GAMING: &str = "/nix/store/q21fy4sc5b87h3ma8y0mbiph36v5yfk7-nixos-system-samsung-2";
    const NEW: &str = "/nix/store/p21fy4sc5b87h3ma8y0mbiph36v5yfk7-nixos-system-samsung-2";

    #[tokio::test]
    async fn everything_that_is_printed_is_read() {
        let text = format!(
            "generation\t10\t1700000100\t{NEW}\nnixos_version\t26.05.2\nkernel\t6.12.58\n\
             revision\t3f2c1ab\nmark\twithdrawn\t9\tme@desk\t1700000200\nspecialisation\tgaming\t{GAMING}\ngeneration\tx\t1\t{OLD}\nkernel\t1\n\
             generation\t9\t1700000000\t{OLD}\nkernel\t6.12.57\nsize\t{NEW}\t7900000000\n\
             running\t{NEW}\nbooted\t{OLD}\nprofile\tsystem-10-link\nnext_boot\t{NEW}\t\nend\tok\n"
        );
        let runner =
            FakeRunner::new(move |_, _| Ok(Output { stdout: text.clone(), ..Output::default() }));
        let found = generations(&runner, "samsung").await.unwrap();
        let numbers: Vec<u64> = found.all.iter().map(|one| one.number).collect();
        assert_eq!(numbers, [9, 10], "one that cannot be read is left out");
        let new = found.get(10).unwrap();
        assert_eq!(new.kernel.as_deref(), Some("6.12.58"));
        assert_eq!(new.revision.as_deref(), Some("3f2c1ab"));
        let mark = new.mark.as_ref().unwrap().to_string();
        assert_eq!(mark, "withdrawn in run 9 of me@desk");
        let gaming = StorePath::parse(GAMING).unwrap();
        assert_eq!(new.specialisations, [("gaming".to_owned(), gaming)].into());
        assert_eq!(new.bytes, Some(7_900_000_000));
        assert_eq!(found.get(9).unwrap().bytes, None, "a size that is not known is none");
        assert_eq!(found.get(9).unwrap().kernel.as_deref(), Some("6.12.57"));
        assert_eq!((found.running_number(), found.booted_number()), (Some(10), Some(9)));
        assert_eq!((found.profile, found.next_number()), (Some(10), Some(10)));
    }

    #[tokio::test]
    async fn a_list_that_broke_off_is_no_list() {
        let text = format!("generation\t10\t1700000100\t{NEW}\n");
        let runner =
            FakeRunner::new(move |_, _| Ok(Output { stdout: text.clone(), ..Output::default() }));
        let error = generations(&runner, "samsung").await.unwrap_err().to_string();
        assert!(error.contains("could not list its generations"), "{error}");
    }

    #[test]
    fn the_script_lists_generations_under_a_real_shell() {
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path().to_str().unwrap();
        let system = dir.path().join("system");
        std::fs::create_dir_all(system.join("kernel-modules/lib/modules/6.12.58")).unwrap();
        std::fs::create_dir_all(system.join("specialisation")).unwrap();
        let gaming = dir.path().canonicalize().unwrap().join("gaming");
        std::fs::create_dir_all(&gaming).unwrap();
        std::os::unix::fs::symlink(&gaming, system.join("specialisation/gaming")).unwrap();
        std::fs::write(system.join("nixos-version"), "26.05.2").unwrap();
        for number in [3, 12] {
            let link = dir.path().join(format!("system-{number}-link"));
            std::os::unix::fs::symlink(&system, link).unwrap();
        }
        let known = dir.path().canonicalize().unwrap().join("system");
        let known = known.display();
        let deployed =
            format!("/other\tffffffff\tf\tme@desk\t1\n{known}\t84f3ab726\tf\tme@desk\t1\n");
        std::fs::write(dir.path().join("deployed"), deployed).unwrap();
        let marked = format!("/other\tfailed\t1\tme@desk\t1\n{known}\twithdrawn\t9\tme@desk\t1\n");
        std::fs::write(dir.path().join("marked"), marked).unwrap();
        let script = GENERATIONS.replace("/nix/var/nix/profiles", at);
        let script = script.replace("$root/nix/var/nixdash", at);
        let output = std::process::Command::new("/bin/sh").args(["-c", &script]).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        let special = format!("specialisation\tgaming\t{}", gaming.display());
        for line in [
            "nixos_version\t26.05.2",
            "kernel\t6.12.58",
            "revision\t84f3ab726",
            "mark\twithdrawn\t9\tme@desk\t1",
            &special,
        ] {
            assert_eq!(text.lines().filter(|found| *found == line).count(), 2, "{text}");
        }
        assert!(text.contains("generation\t3\t") && text.contains("generation\t12\t"), "{text}");
        assert!(text.ends_with("end\tok\n"), "{text} {output:?}");
    }
}
