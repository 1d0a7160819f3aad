//! What is known of the machine that nixdash runs on.

use serde::Serialize;
use std::path::Path;

/// This machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct ThisMachine {
    /// What it calls itself; none where that is not known.
    pub(super) name: Option<String>,
    /// Its system as Nix names it, such as `x86_64-linux`.
    pub(super) system: String,
    /// Whether it runs NixOS.
    pub(super) is_nixos: bool,
}

impl ThisMachine {
    /// Looks at this machine.
    pub(super) fn look() -> Self {
        Self {
            name: sysinfo::System::host_name().ok().filter(|name| !name.is_empty()),
            system: system_of(std::env::consts::ARCH),
            is_nixos: is_nixos_below(Path::new("/")),
        }
    }

    /// Returns whether a host of this name is this machine: what runs here must be NixOS.
    pub(super) fn is(&self, host: &str) -> bool {
        self.is_nixos && self.name.as_deref() == Some(host)
    }
}

/// Returns the system of a processor, as Nix names it.
fn system_of(processor: &str) -> String {
    let processor = match processor {
        "x86" => "i686",
        "arm" => "armv7l",
        other => other,
    };
    format!("{processor}-linux")
}

/// Returns whether a file system is that of a NixOS, by the file that `nixos-rebuild` goes by too.
fn is_nixos_below(root: &Path) -> bool {
    root.join("etc/NIXOS").exists()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_nixos_of_that_name_is_this_machine() {
        let machine = ThisMachine {
            name: Some("p620".to_owned()),
            system: system_of("x86_64"),
            is_nixos: true,
        };
        assert!(machine.is("p620") && !machine.is("razer"));
        assert!(!ThisMachine { is_nixos: false, ..machine.clone() }.is("p620"));
        assert_eq!(
            (machine.system.as_str(), system_of("x86").as_str()),
            ("x86_64-linux", "i686-linux")
        );
    }

    #[test]
    fn a_nixos_says_so_in_a_file() {
        let root = tempfile::tempdir().unwrap();
        assert!(!is_nixos_below(root.path()));
        std::fs::create_dir(root.path().join("etc")).unwrap();
        std::fs::write(root.path().join("etc/NIXOS"), "").unwrap();
        assert!(is_nixos_below(root.path()));
    }
}
