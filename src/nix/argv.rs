//! Command lines of Nix, as lists of arguments.
//!
//! Each is made by a pure function and tested against the exact list; nothing goes through a
//! shell. `nix` itself is always given the features it needs, since NixOS has them off.

use crate::fleet::{Address, StorePath};
use std::path::Path;

/// What `nix` needs to be told before anything else.
const FEATURES: [&str; 3] = ["nix", "--extra-experimental-features", "nix-command flakes"];

/// What is read of a system: its derivation and its path.
const DRV_AND_OUT: &str = "d: { drv = d.drvPath; out = d.outPath; }";

/// A text that cannot be made part of a command line of Nix.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ArgvError {
    /// The flake reference would be read as something else.
    #[error("{0:?} is not a flake reference; name a folder or something like github:owner/name")]
    Flake(String),
    /// The attribute cannot stand in quotes.
    #[error("{0:?} cannot be quoted for Nix; an attribute has no quotes, backslashes or dollars")]
    Attribute(String),
    /// The path of ssh's configuration would fall apart in `NIX_SSHOPTS`.
    #[error("{0:?} has a space or a quote in it, which Nix cannot pass on to ssh; move the file")]
    SshConfig(String),
}

/// Makes a list of owned words.
fn words(parts: &[&str]) -> Vec<String> {
    parts.iter().map(|&part| part.to_owned()).collect()
}

/// Returns the command that evaluates a host's system: prints `{"drv":…,"out":…}`.
pub fn eval_toplevel(flake: &str, attribute: &str) -> Result<Vec<String>, ArgvError> {
    check_flake(flake)?;
    if !crate::nix::is_attribute(attribute) {
        return Err(ArgvError::Attribute(attribute.to_owned()));
    }
    let installable =
        format!("{flake}#nixosConfigurations.\"{attribute}\".config.system.build.toplevel");
    let mut argv = words(&FEATURES);
    argv.extend(words(&["eval", "--json", &installable, "--apply", DRV_AND_OUT]));
    Ok(argv)
}

/// Returns the command that evaluates several hosts' systems at once, one line of JSON for each: so many
/// workers, of which each may take so many megabytes.
pub fn eval_jobs(
    flake: &str,
    attributes: &[&str],
    workers: usize,
    memory: u64,
) -> Result<Vec<String>, ArgvError> {
    check_flake(flake)?;
    if let Some(odd) = attributes.iter().find(|attribute| !crate::nix::is_attribute(attribute)) {
        return Err(ArgvError::Attribute((*odd).to_owned()));
    }
    let names: Vec<String> = attributes.iter().map(|name| format!("\"{name}\"")).collect();
    let select = format!(
        "all: builtins.mapAttrs (_: host: host.config.system.build.toplevel) {{ inherit (all) {}; }}",
        names.join(" ")
    );
    let mut argv =
        words(&["nix-eval-jobs", "--option", "extra-experimental-features", "nix-command flakes"]);
    argv.extend(words(&[
        "--workers",
        &workers.to_string(),
        "--max-memory-size",
        &memory.to_string(),
    ]));
    argv.extend(words(&["--select", &select, "--flake", &format!("{flake}#nixosConfigurations")]));
    Ok(argv)
}

/// Returns the command that lists the hosts of a flake: prints a list of names.
pub fn eval_hosts(flake: &str) -> Result<Vec<String>, ArgvError> {
    check_flake(flake)?;
    Ok(eval_output(flake, "nixosConfigurations", "builtins.attrNames"))
}

/// Returns the command that lists the hosts of a flake from what is on this machine already: nothing is
/// fetched or built for it.
pub fn eval_hosts_at_hand(flake: &str) -> Result<Vec<String>, ArgvError> {
    let mut argv = eval_hosts(flake)?;
    argv.extend(words(&["--offline", "--option", "allow-import-from-derivation", "false"]));
    Ok(argv)
}

/// Where deploy-rs reaches its nodes (its README, "Settings").
const DEPLOY_RS_NODES: &str = "nodes: builtins.mapAttrs (_: node: { host = node.hostname or null; user = \
     node.sshUser or null; port = null; }) nodes";

/// Where colmena reaches the nodes of an evaluated hive (its manual, "deployment").
const COLMENA_HIVE_NODES: &str = "hive: builtins.mapAttrs (_: node: let d = node.config.deployment; in { host = \
     d.targetHost; user = d.targetUser; port = d.targetPort; }) hive.nodes";

/// Where colmena reaches the nodes of a raw hive: known of those that are plain sets, since a module
/// that is a function has no answer before it is evaluated. Nix finds a package called colmena first,
/// which is no hive.
const COLMENA_NODES: &str = "hive: if hive.type or null == \"derivation\" then { } else builtins.mapAttrs (_: node: let d = if builtins.isAttrs node then node.deployment \
     or { } else { }; in { host = d.targetHost or null; user = d.targetUser or null; port = \
     d.targetPort or null; }) (builtins.removeAttrs hive [ \"meta\" \"network\" \"defaults\" ])";

/// A tool that keeps its hosts in an output of a flake, beside `nixosConfigurations`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HiveOutput {
    /// `deploy.nodes`, of deploy-rs: Nix would find a package called deploy before `deploy`.
    DeployRs,
    /// `colmenaHive`, which colmena evaluates from 0.5 on.
    ColmenaHive,
    /// `colmena`, a hive as it is written.
    Colmena,
}

impl HiveOutput {
    /// Every such output, the one that knows more before the one that knows less.
    pub const ALL: [Self; 3] = [Self::DeployRs, Self::ColmenaHive, Self::Colmena];

    /// Returns the name of the output.
    pub fn word(self) -> &'static str {
        match self {
            Self::DeployRs => "deploy.nodes",
            Self::ColmenaHive => "colmenaHive",
            Self::Colmena => "colmena",
        }
    }

    /// Returns the tool whose output it is.
    pub fn tool(self) -> &'static str {
        match self {
            Self::DeployRs => "deploy-rs",
            Self::ColmenaHive | Self::Colmena => "colmena",
        }
    }
}

/// Returns the command that says where such a tool reaches its hosts: prints
/// `{"NAME":{"host":…,"user":…,"port":…}}`, with null for what the tool leaves to ssh.
pub fn eval_hive(flake: &str, output: HiveOutput) -> Result<Vec<String>, ArgvError> {
    check_flake(flake)?;
    let function = match output {
        HiveOutput::DeployRs => DEPLOY_RS_NODES,
        HiveOutput::ColmenaHive => COLMENA_HIVE_NODES,
        HiveOutput::Colmena => COLMENA_NODES,
    };
    Ok(eval_output(flake, output.word(), function))
}

/// Returns the command that prints the user whom deploy-rs logs in as where a node names none.
pub fn eval_deploy_rs_user(flake: &str) -> Result<Vec<String>, ArgvError> {
    check_flake(flake)?;
    Ok(eval_output(flake, "deploy.sshUser", "user: user"))
}

/// Returns the command that applies a function to an output of a flake and prints what comes of it
/// as JSON. Nothing is written into the flake. The output and the function are ours.
fn eval_output(flake: &str, output: &str, function: &str) -> Vec<String> {
    let installable = format!("{flake}#{output}");
    let mut argv = words(&FEATURES);
    argv.extend(words(&["eval", "--json", "--no-write-lock-file", &installable]));
    argv.extend(words(&["--apply", function]));
    argv
}

/// Returns the command that says where the source of a flake is in the store, among other things.
pub fn flake_metadata(flake: &str) -> Result<Vec<String>, ArgvError> {
    check_flake(flake)?;
    let mut argv = words(&FEATURES);
    argv.extend(words(&["flake", "metadata", "--json", "--no-write-lock-file", flake]));
    Ok(argv)
}

/// Checks that a text is nothing but a flake reference.
fn check_flake(flake: &str) -> Result<(), ArgvError> {
    if flake.is_empty() || flake.starts_with('-') || flake.contains(['#', '\0', '\n']) {
        return Err(ArgvError::Flake(flake.to_owned()));
    }
    Ok(())
}

/// Returns the command that copies a derivation and all it needs to a host, over ssh.
///
/// The port and the rest of ssh's settings go through [`ssh_options`].
pub fn copy_closure_to(address: &Address, drv: &StorePath) -> Vec<String> {
    let place = match &address.user {
        Some(user) => format!("{user}@{}", bracketed(&address.host)),
        None => bracketed(&address.host),
    };
    words(&["nix-copy-closure", "--to", &place, drv.as_str()])
}

/// Returns a store over ssh, for a target that checks the signatures of what is copied to it. The port
/// goes through [`ssh_options`].
pub fn push_store(address: &Address) -> String {
    let host = bracketed(&address.host);
    match &address.user {
        Some(user) => format!("ssh-ng://{user}@{host}"),
        None => format!("ssh-ng://{host}"),
    }
}

/// Returns the command that copies a path and all that it needs from this machine into a store, which checks
/// the signatures.
pub fn copy_to(store: &str, path: &StorePath) -> Vec<String> {
    let mut argv = words(&FEATURES);
    argv.extend(words(&["copy", "--to", store, path.as_str()]));
    argv
}

/// Returns a host as the authority of a store URL, which is what Nix makes of it.
fn bracketed(host: &str) -> String {
    if host.contains(':') { format!("[{host}]") } else { host.to_owned() }
}

/// What every ssh of ours is told before it reads any file, where the first word wins: what people
/// set for themselves (a forwarded port, a terminal, a command of their own) must not come into the
/// way of a program, and no answer is asked of anybody.
pub const SSH_SETTINGS: [&str; 11] = [
    "BatchMode=yes",
    "StrictHostKeyChecking=yes",
    "ClearAllForwardings=yes",
    "ForwardX11=no",
    "Tunnel=no",
    "RequestTTY=no",
    "RemoteCommand=none",
    "PermitLocalCommand=no",
    "ConnectTimeout=5",
    "ConnectionAttempts=1",
    "ServerAliveCountMax=3",
];

/// Returns the value of `NIX_SSHOPTS` for an address: a connection of its own that gives up on a
/// silent host, with [`SSH_SETTINGS`] as far as Nix can live with them. Nix splits it at spaces.
pub fn ssh_options(address: &Address, ssh_config: Option<&Path>) -> Result<String, ArgvError> {
    let mut options =
        "-o ControlMaster=no -o ControlPath=none -o ServerAliveInterval=10".to_owned();
    // Nix waits for a word that a local command of its own prints when the connection is made.
    for setting in SSH_SETTINGS.into_iter().filter(|setting| *setting != "PermitLocalCommand=no") {
        options.push_str(" -o ");
        options.push_str(setting);
    }
    if let Some(file) = ssh_config {
        let file = file.to_string_lossy();
        if file.contains(|c: char| c.is_whitespace() || c.is_control() || "'\"\\".contains(c)) {
            return Err(ArgvError::SshConfig(file.into_owned()));
        }
        options.push_str(" -F ");
        options.push_str(&file);
    }
    if let Some(port) = address.port {
        options.push_str(" -p ");
        options.push_str(&port.to_string());
    }
    Ok(options)
}

/// Returns what is wrong when Nix's own protocol met a text on the connection to a host; nothing
/// when what Nix said means something else.
///
/// Nix talks to the host through the login shell, and nothing can be put between the two.
pub fn login_shell_prints(host: &str, said: &str) -> Option<String> {
    said.contains("protocol mismatch").then(|| {
        format!(
            "the login shell of {host} prints text when Nix connects, and Nix takes that text for \
             an answer; its start files (.bashrc, config.fish, …) must print nothing when the \
             shell is not interactive: try `nixdash shell {host} -- true`, which must print nothing"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Makes an address.
    fn address(user: Option<&str>, host: &str, port: Option<u16>) -> Address {
        Address { user: user.map(str::to_owned), host: host.to_owned(), port }
    }

    #[test]
    fn a_system_is_evaluated_without_building_it() {
        assert_eq!(
            eval_toplevel("/home/me/my nixos", "p620").unwrap(),
            [
                "nix",
                "--extra-experimental-features",
                "nix-command flakes",
                "eval",
                "--json",
                "/home/me/my nixos#nixosConfigurations.\"p620\".config.system.build.toplevel",
                "--apply",
                "d: { drv = d.drvPath; out = d.outPath; }",
            ]
        );
    }

    #[test]
    fn hosts_are_listed_without_a_change_to_the_flake() {
        assert_eq!(
            eval_hosts("github:me/nixos").unwrap(),
            [
                "nix",
                "--extra-experimental-features",
                "nix-command flakes",
                "eval",
                "--json",
                "--no-write-lock-file",
                "github:me/nixos#nixosConfigurations",
                "--apply",
                "builtins.attrNames",
            ]
        );
    }

    #[test]
    fn hosts_are_listed_from_what_is_at_hand_without_fetching_or_building() {
        let (all, at_hand) = (eval_hosts("/x").unwrap(), eval_hosts_at_hand("/x").unwrap());
        assert_eq!(at_hand[..all.len()], all);
        let more = ["--offline", "--option", "allow-import-from-derivation", "false"];
        assert_eq!(at_hand[all.len()..], more);
    }

    #[test]
    fn several_systems_are_evaluated_by_their_names_only() {
        let args = eval_jobs("/x", &["p620", "my.host"], 2, 2048).unwrap();
        assert_eq!(
            args[4..],
            [
                "--workers",
                "2",
                "--max-memory-size",
                "2048",
                "--select",
                "all: builtins.mapAttrs (_: host: host.config.system.build.toplevel) { inherit (all) \"p620\" \
                 \"my.host\"; }",
                "--flake",
                "/x#nixosConfigurations",
            ]
        );
        assert!(eval_jobs("/x", &["a\"; b = throw 1"], 1, 1).is_err());
        assert!(eval_jobs("--option", &["a"], 1, 1).is_err());
    }

    #[test]
    fn nothing_ends_the_quotes() {
        for attribute in ["", "a\"b", "a\\b", "a${b}", "a\nb"] {
            assert!(eval_toplevel("/x", attribute).is_err(), "{attribute}");
        }
        for flake in ["", "--option", "/x#y"] {
            assert!(eval_toplevel(flake, "p620").is_err(), "{flake}");
            assert!(eval_hosts(flake).is_err(), "{flake}");
            assert!(eval_hive(flake, HiveOutput::Colmena).is_err(), "{flake}");
            assert!(eval_deploy_rs_user(flake).is_err(), "{flake}");
        }
    }

    #[test]
    fn a_closure_is_copied_over_a_connection_of_its_own() {
        let drv = StorePath::parse("/nix/store/7w85jyaqg6p2rfnn880ymv98vp5nmpf5-top.drv").unwrap();
        let p620 = address(Some("root"), "p620.lan", Some(2222));
        assert_eq!(
            copy_closure_to(&p620, &drv),
            ["nix-copy-closure", "--to", "root@p620.lan", drv.as_str()]
        );
        assert_eq!(copy_closure_to(&address(None, "fe80::1", None), &drv)[2], "[fe80::1]");
        let options = ssh_options(&p620, Some(Path::new("/etc/fleet/ssh"))).unwrap();
        assert!(options.ends_with("-F /etc/fleet/ssh -p 2222"), "{options}");
        assert!(ssh_options(&p620, Some(Path::new("/my files/ssh"))).is_err());
    }

    #[test]
    fn a_copy_to_a_target_lets_it_check_signatures() {
        assert_eq!(
            push_store(&address(Some("me"), "razer.lan", Some(22))),
            "ssh-ng://me@razer.lan"
        );
        assert_eq!(push_store(&address(None, "fe80::1", None)), "ssh-ng://[fe80::1]");
    }

    #[test]
    fn nothing_that_people_set_for_themselves_comes_into_the_way() {
        let options = ssh_options(&address(None, "p620", None), None).unwrap();
        let words: Vec<&str> = options.split(' ').collect();
        assert!(words.chunks(2).all(|pair| pair[0] == "-o" && pair[1].contains('=')), "{options}");
        for setting in SSH_SETTINGS {
            let is_there = words.contains(&setting);
            // With it every `ssh-ng` of a Nix since 2.19 waits without end.
            assert_eq!(is_there, setting != "PermitLocalCommand=no", "{setting}");
        }
        assert!(
            words.contains(&"ClearAllForwardings=yes") && words.contains(&"RemoteCommand=none")
        );
        assert!(words.contains(&"StrictHostKeyChecking=yes"));
    }

    #[test]
    fn a_login_shell_that_prints_is_named_as_the_cause() {
        for said in [
            "error: 'nix-store --serve' protocol mismatch from 'p620', got 'hello'",
            "error: protocol mismatch with 'nix-store --serve'",
            "error: 'nix-daemon --stdio' protocol mismatch from 'x', got 'Welcome'",
        ] {
            let told = login_shell_prints("p620", said).unwrap();
            assert!(told.contains("p620") && told.contains("login shell"), "{told}");
        }
        assert_eq!(login_shell_prints("p620", "error: path '/nix/store/x' is not valid"), None);
    }
}
