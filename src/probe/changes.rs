//! What differs between two systems: of one host's store, or by their parts.

use crate::fleet::{
    ClosurePath, RestartPart, RestartReason, StorePath, SystemChanges, printable_line,
};
use crate::nix::derivation;
use crate::nix::versions::{ClosureSide, ComparedPath, compare_closures, name_and_version};
use crate::remote::{RemoteError, Script, ScriptRunner, Trouble};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Compares two systems.
const CHANGES: &str = concat!(include_str!("scripts/parts.sh"), include_str!("scripts/changes.sh"));

/// How long comparing may take on a slow disk.
const LIMIT: Duration = Duration::from_secs(60);

/// What only a restart replaces of a system: each part with what it is.
pub type SystemParts = BTreeMap<RestartPart, String>;

/// How two systems differ by their paths.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    /// By package.
    pub changes: SystemChanges,
    /// The paths that only the new one has.
    pub added: Vec<ClosurePath>,
}

/// What a host says of two systems.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ComparedSystems {
    /// How their paths differ; none where the host lacks one of them.
    pub paths: Option<Comparison>,
    /// The parts of the old one; empty where the host does not have it.
    pub before: SystemParts,
    /// The parts of the new one.
    pub after: SystemParts,
    /// The names of the specialisations of the new one; none where the host does not have it.
    pub specialisations: Option<BTreeSet<String>>,
}

/// Compares two systems on a host that may have both.
///
/// # Errors
/// The host cannot be reached, or could not compare them.
pub async fn compare(
    runner: &dyn ScriptRunner,
    host: &str,
    old: &StorePath,
    new: &StorePath,
) -> Result<ComparedSystems, RemoteError> {
    let script = Script::new(CHANGES).arg(old.as_str()).arg(new.as_str()).limit(LIMIT);
    let output = runner.run(host, &script).await?;
    parse(&output.stdout).ok_or_else(|| {
        let cause = format!("could not compare two systems: {}", output.complaint());
        let hint = format!("try `nix store diff-closures {old} {new}` there");
        RemoteError { hint, ..RemoteError::new(host, Trouble::Here, &cause) }
    })
}

/// Adds a part of a system that a host printed, `part<TAB>what it is`; one that is not known is left out.
pub fn note_part(parts: &mut SystemParts, line: &str) {
    if let Some((file, what)) = line.split_once('\t') {
        note(parts, file, what);
    }
}

fn note(parts: &mut SystemParts, file: &str, what: &str) {
    parts.extend(part_of(file).map(|part| (part, printable_line(what))));
}

/// Returns the parts of a system that is not built yet, as its derivation says what it will link to: NixOS
/// makes each of them by a line of the system's `buildCommand` (`nixos/modules/system/activation/top-level.nix`).
/// A part that cannot be read there is left out.
pub fn parts_of_derivation(text: &str) -> SystemParts {
    let mut parts = SystemParts::new();
    let Some(environment) = derivation::environment(text) else { return parts };
    // What is written as a variable stands in the environment.
    let meant = |word: &str| {
        let word = word.trim_matches('"');
        let value = word.strip_prefix('$').and_then(|name| environment.get(name));
        value.map_or(word, String::as_str).to_owned()
    };
    let commands = environment.get("buildCommand").map(String::as_str).unwrap_or_default();
    for line in commands.lines().map(str::trim) {
        let made = if let Some(link) = line.strip_prefix("ln -s ") {
            link.split_once(" $out/")
        } else {
            let written = line.strip_prefix("echo -n ");
            written.and_then(|written| written.split_once(" > $out/"))
        };
        if let Some((what, file)) = made {
            note(&mut parts, file.trim(), meant(what.trim()).trim());
        }
    }
    parts
}

/// Returns the names of the specialisations of a system that is not built yet, as its derivation says what it will
/// link to: NixOS makes each of them by a line of the system's `buildCommand`
/// (`nixos/modules/system/activation/specialisation.nix`). None where the derivation has no such commands.
pub fn specialisations_of_derivation(text: &str) -> Option<BTreeSet<String>> {
    let environment = derivation::environment(text)?;
    let commands = environment.get("buildCommand").filter(|commands| commands.contains("$out/"))?;
    let names = commands.split("$out/specialisation/").skip(1);
    let names = names.filter_map(|rest| rest.split_whitespace().next());
    Some(names.map(|name| name.trim_matches(['"', '\'']).to_owned()).collect())
}

/// Says which parts of a new system are not those of the one that was started.
pub fn restart_reasons(started: &SystemParts, new: &SystemParts) -> Vec<RestartReason> {
    let differs = |(part, before): (&RestartPart, &String)| {
        let after = new.get(part).filter(|after| identity(after) != identity(before))?;
        let (before, after) = (version_of(before), version_of(after));
        Some(RestartReason { part: *part, before, after })
    };
    started.iter().filter_map(differs).collect()
}

/// Returns what two parts are compared by: the path of the store that a file lies in. Which file of it a link
/// leads to is known only where that path is there.
fn identity(part: &str) -> &str {
    let inside = part.strip_prefix("/nix/store/").and_then(|path| path.split('/').next());
    inside.unwrap_or(part)
}

/// Reads what the script printed; none where it broke off.
fn parse(text: &str) -> Option<ComparedSystems> {
    let mut found = ComparedSystems::default();
    let (mut paths, mut added) = (Vec::new(), Vec::new());
    let (mut bytes, mut whole) = (None, false);
    for line in text.lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        match fields[..] {
            ["before", part, what] => note(&mut found.before, part, what),
            ["after", part, what] => note(&mut found.after, part, what),
            ["specialisations"] => {
                found.specialisations.get_or_insert_default();
            }
            ["specialisation", name] => {
                found.specialisations.get_or_insert_default().insert(name.to_owned());
            }
            ["missing"] => return Some(found),
            ["=", name] => paths.push(compared(ClosureSide::Both, name, "0")),
            ["-", name, size] => paths.push(compared(ClosureSide::Before, name, size)),
            ["+", path, size] => {
                let Ok(path) = StorePath::parse(path) else { continue };
                paths.push(compared(ClosureSide::After, path.name(), size));
                added.push(ClosurePath { path, nar_size: size.parse().unwrap_or_default() });
            }
            ["size", old, new] => bytes = old.parse().ok().zip(new.parse().ok()),
            ["end", _] => whole = true,
            _ => {}
        }
    }
    found.paths = Some(Comparison { changes: compare_closures(paths, bytes), added });
    whole.then_some(found)
}

fn compared(side: ClosureSide, name: &str, size: &str) -> ComparedPath {
    ComparedPath { side, name: printable_line(name), bytes: size.parse().unwrap_or_default() }
}

/// Returns the part that a file of a system is.
fn part_of(file: &str) -> Option<RestartPart> {
    match file {
        "kernel" => Some(RestartPart::Kernel),
        "initrd" => Some(RestartPart::Initrd),
        "kernel-modules" => Some(RestartPart::Modules),
        "systemd" => Some(RestartPart::Systemd),
        "kernel-params" => Some(RestartPart::Parameters),
        _ => None,
    }
}

/// Returns the version of the package that a path of the store lies in.
fn version_of(path: &str) -> Option<String> {
    let base = path.strip_prefix("/nix/store/")?.split('/').next()?;
    let path = StorePath::from_base_name(base).ok()?;
    let (_, version) = name_and_version(path.name());
    (!version.is_empty()).then(|| version.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remote::{FakeRunner, Output};

    const OLD: &str = "/nix/store/l0znnv1nxsr0ry7gmadkh49s1d0hycgd-nixos-system-samsung-1";
    const NEW: &str = "/nix/store/p21fy4sc5b87h3ma8y0mbiph36v5yfk7-nixos-system-samsung-2";

    fn prints(text: &str) -> FakeRunner {
        let text = text.to_owned();
        FakeRunner::new(move |_, _| Ok(Output { stdout: text.clone(), ..Output::default() }))
    }

    fn path(text: &str) -> StorePath {
        StorePath::parse(text).unwrap()
    }

    async fn compared_by(text: &str) -> Result<ComparedSystems, RemoteError> {
        compare(&prints(text), "p620", &path(OLD), &path(NEW)).await
    }

    #[tokio::test]
    async fn packages_and_sizes_are_read() {
        let new = "/nix/store/l0znnv1nxsr0ry7gmadkh49s1d0hycgd-linux-6.12.58";
        let text = format!(
            "=\tglibc-2.42\n+\t{new}\t2000\n-\tlinux-6.12.57\t1000\nsize\t5000\t6000\nend\tok\n"
        );
        let compared = compared_by(&text).await.unwrap().paths.unwrap();
        assert_eq!(compared.added, [ClosurePath { path: path(new), nar_size: 2000 }]);
        let found = compared.changes;
        assert_eq!(found.packages.len(), 1);
        assert_eq!(found.packages[0].versions(), "6.12.57 → 6.12.58");
        assert_eq!(found.growth(), Some(1000));
        assert_eq!((found.paths_added, found.paths_removed), (Some(1), Some(1)));
    }

    #[tokio::test]
    async fn a_host_that_lacks_one_of_them_cannot_say() {
        let compared = compared_by("after\tsystemd\tx\nmissing\n").await.unwrap();
        assert_eq!((compared.paths, compared.before.len(), compared.after.len()), (None, 0, 1));
        let error = compared_by("=\tglibc-2.42\n").await.unwrap_err().to_string();
        assert!(error.contains("could not compare two systems"), "{error}");
    }

    #[tokio::test]
    async fn a_restart_is_needed_for_what_is_not_what_was_started() {
        let text = |word: &str, kernel: &str, params: &str| {
            format!(
                "{word}\tkernel\t/nix/store/l0znnv1nxsr0ry7gmadkh49s1d0hycgd-linux-{kernel}/bzImage\n\
                 {word}\tsystemd\t/nix/store/l0znnv1nxsr0ry7gmadkh49s1d0hycgd-systemd-258\n\
                 {word}\tkernel-params\t{params}\n{word}\tsomething\telse\n"
            )
        };
        let old = text("before", "6.12.57", "loglevel=4");
        let new = text("after", "6.12.58", "loglevel=3");
        let ComparedSystems { before, after, .. } =
            compared_by(&format!("{old}{new}missing\n")).await.unwrap();
        let phrases: Vec<String> =
            restart_reasons(&before, &after).iter().map(RestartReason::phrase).collect();
        assert_eq!(phrases, ["kernel 6.12.57 → 6.12.58", "kernel parameters"]);
        assert_eq!(restart_reasons(&after, &after), []);
        assert_eq!(restart_reasons(&SystemParts::new(), &after), [], "nothing is known of it");
    }

    #[test]
    fn the_parts_of_a_system_that_is_not_built_are_those_that_its_derivation_links_to() {
        let path = |name: &str| format!("/nix/store/l0znnv1nxsr0ry7gmadkh49s1d0hycgd-{name}");
        let (linux, systemd) = (path("linux-6.12.58"), path("systemd-258"));
        let initrd = path("initrd-linux-6.12.58");
        let text = format!(
            r#"Derive([("out","{NEW}","","")],[],[],"x86_64-linux","/bin/sh",[],[("buildCommand","mkdir $out\nln -s \"$systemd\" $out/systemd\n  ln -s {linux}/bzImage $out/kernel\nln -s {linux}-modules $out/kernel-modules\necho -n \"$kernelParams\" > $out/kernel-params\nln -s {initrd}/initrd $out/initrd\nln -s {linux} $out/firmware\n"),("kernelParams","loglevel=4 x=\"y\""),("systemd","{systemd}")])"#
        );
        let parts = parts_of_derivation(&text);
        assert_eq!(parts.len(), 5, "{parts:?}");
        assert_eq!(parts[&RestartPart::Kernel], format!("{linux}/bzImage"));
        assert_eq!(parts[&RestartPart::Systemd], systemd);
        assert_eq!(parts[&RestartPart::Parameters], "loglevel=4 x=\"y\"");
        let mut started = parts.clone();
        // A link inside is followed only where the path is there.
        started.insert(RestartPart::Initrd, format!("{initrd}/initrd.zst"));
        assert_eq!(restart_reasons(&started, &parts), []);
        started.insert(RestartPart::Kernel, format!("{}/bzImage", path("linux-6.12.57")));
        let reasons = restart_reasons(&started, &parts);
        assert_eq!(reasons[0].phrase(), "kernel 6.12.57 → 6.12.58");
        assert_eq!((reasons.len(), parts_of_derivation("Derive([]").len()), (1, 0));
    }

    #[tokio::test]
    async fn the_specialisations_of_a_system_are_known_only_where_it_is() {
        let named = async |text: &str| compared_by(text).await.unwrap().specialisations;
        assert_eq!(named("missing\n").await, None);
        assert_eq!(named("specialisations\nmissing\n").await, Some(BTreeSet::new()));
        let both = "specialisations\nspecialisation\tgaming\nspecialisation\twork\nmissing\n";
        assert_eq!(named(both).await, Some(["gaming".to_owned(), "work".to_owned()].into()));
    }

    #[test]
    fn the_specialisations_of_a_system_that_is_not_built_are_those_that_its_derivation_links_to() {
        let of = |commands: &str| {
            specialisations_of_derivation(&format!(
                r#"Derive([("out","{NEW}","","")],[],[],"x86_64-linux","/bin/sh",[],[("buildCommand","{commands}")])"#
            ))
        };
        let links = format!(
            r"mkdir $out\nmkdir $out/specialisation\nln -s {OLD} $out/specialisation/gaming\nln -s {OLD} $out/specialisation/'on call'\n"
        );
        let found = of(&links).unwrap();
        assert!(found.contains("gaming") && !found.contains("game"), "{found:?}");
        assert_eq!(of(r"mkdir $out\nmkdir $out/bin\n"), Some(BTreeSet::new()));
        assert_eq!(of("exec make"), None, "not made as NixOS makes its systems");
        assert_eq!(specialisations_of_derivation("Derive([]"), None);
    }

    #[test]
    fn the_parts_of_a_system_are_found_under_a_real_shell() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("linux")).unwrap();
        std::fs::write(dir.path().join("linux/bzImage"), "").unwrap();
        std::os::unix::fs::symlink("linux/bzImage", dir.path().join("kernel")).unwrap();
        std::fs::write(dir.path().join("kernel-params"), "a\nb").unwrap();
        std::fs::create_dir_all(dir.path().join("specialisation/gaming")).unwrap();
        let at = dir.path().to_str().unwrap();
        let script = Script::new(CHANGES).arg("/nowhere").arg(at).text();
        let output = std::process::Command::new("/bin/sh").args(["-c", &script]).output().unwrap();
        let real = dir.path().canonicalize().unwrap();
        let expected = format!(
            "specialisations\nspecialisation\tgaming\nafter\tkernel\t{}/linux/bzImage\n\
             after\tkernel-params\ta b\nmissing\n",
            real.display()
        );
        assert_eq!(String::from_utf8_lossy(&output.stdout), expected);
    }
}
