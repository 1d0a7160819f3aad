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
    #[error("{0:?} is no flake reference; name a folder or something like github:owner/name")]
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
    if flake.is_empty() || flake.starts_with('-') || flake.contains(['#', '\0', '\n']) {
        return Err(ArgvError::Flake(flake.to_owned()));
    }
    if !crate::nix::is_attribute(attribute) {
        return Err(ArgvError::Attribute(attribute.to_owned()));
    }
    let installable =
        format!("{flake}#nixosConfigurations.\"{attribute}\".config.system.build.toplevel");
    let mut argv = words(&FEATURES);
    argv.extend(words(&["eval", "--json", &installable, "--apply", DRV_AND_OUT]));
    Ok(argv)
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

/// Returns a host as the authority of a store URL, which is what Nix makes of it.
fn bracketed(host: &str) -> String {
    if host.contains(':') { format!("[{host}]") } else { host.to_owned() }
}

/// Returns the value of `NIX_SSHOPTS` for an address: a connection of its own that gives up on a
/// silent host. Nix splits it at spaces.
pub fn ssh_options(address: &Address, ssh_config: Option<&Path>) -> Result<String, ArgvError> {
    let mut options = "-o BatchMode=yes -o ControlMaster=no -o ControlPath=none \
                       -o ConnectTimeout=5 -o ServerAliveInterval=10 -o ServerAliveCountMax=3"
        .to_owned();
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
    fn nothing_ends_the_quotes() {
        for attribute in ["", "a\"b", "a\\b", "a${b}", "a\nb"] {
            assert!(eval_toplevel("/x", attribute).is_err(), "{attribute}");
        }
        for flake in ["", "--option", "/x#y"] {
            assert!(eval_toplevel(flake, "p620").is_err(), "{flake}");
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
}
