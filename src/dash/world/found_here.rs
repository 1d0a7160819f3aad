//! What lies around a nixdash that has no `hosts.toml`, part by part as it is found.

/// What is found; what is still looked for is none. Texts are printable.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FoundHere {
    /// This machine.
    pub machine: Option<MachineHere>,
    /// The flake in the current folder.
    pub flake: Option<FlakeHere>,
    /// The hosts that ssh's configuration names, or why they are not known.
    pub ssh_hosts: Option<Result<Vec<String>, String>>,
    /// The caches that Nix asks here, or why they are not known.
    pub caches: Option<Result<Vec<String>, String>>,
}

/// The machine that nixdash runs on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MachineHere {
    /// What it calls itself; none where that is not known.
    pub name: Option<String>,
    /// Its system as Nix names it.
    pub system: String,
    /// Whether it runs NixOS.
    pub is_nixos: bool,
    /// Which Nix it has, such as `Nix 2.31.2`; none where none runs.
    pub nix: Option<String>,
}

/// The flake in the current folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FlakeHere {
    /// There is none.
    Absent,
    /// It has these `nixosConfigurations`.
    Hosts(Vec<String>),
    /// There is one, and its hosts are not known: why, as a clause.
    Unknown(String),
}

/// One part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FoundPart {
    /// This machine.
    Machine(MachineHere),
    /// The flake in the current folder.
    Flake(FlakeHere),
    /// The hosts that ssh's configuration names, or why they are not known.
    SshHosts(Result<Vec<String>, String>),
    /// The caches that Nix asks here, or why they are not known.
    Caches(Result<Vec<String>, String>),
}

impl FoundHere {
    /// Takes a part in.
    pub(in crate::dash) fn take(&mut self, part: FoundPart) {
        match part {
            FoundPart::Machine(machine) => self.machine = Some(machine),
            FoundPart::Flake(flake) => self.flake = Some(flake),
            FoundPart::SshHosts(hosts) => self.ssh_hosts = Some(hosts),
            FoundPart::Caches(caches) => self.caches = Some(caches),
        }
    }
}

/// What a person may do first, which ends the dashboard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FirstStep {
    /// `nixdash init` makes a `hosts.toml`.
    Init,
    /// `nixdash lab` sets up a practice fleet.
    Lab,
}
