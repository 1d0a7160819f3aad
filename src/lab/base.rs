//! The root file system under every host: Debian with systemd, sshd and Nix, made once by mmdebstrap and never changed.

use std::path::PathBuf;

use super::apt;
use super::error::{ErrorContext, LabError};
use super::names::fnv;
use super::state::{Shelf, make_dir, remove_tree};
use super::tool::Tool;

/// The release whose systemd still runs under both kinds of control groups.
const SUITE: &str = "trixie";

const PACKAGES: &str = "systemd,systemd-sysv,dbus,openssh-server,openssh-client,nix-bin,iproute2,iputils-ping,\
ca-certificates,openssl,curl,fish,sudo,sudo-rs,opendoas,polkitd,procps,gawk,xz-utils,bzip2,zstd,less";

/// How the newer Nix gets into the file system.
const SID_HOOK: &str =
    "--customize-hook=chroot \"$1\" apt-get install -q -y --no-install-recommends -t sid nix-bin";

/// Which file system: they differ in their Nix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BaseKind {
    /// The release's own Nix.
    Stable,
    /// Nix of Debian's unstable suite.
    NewerNix,
}

impl BaseKind {
    /// The name of its directory: changes with the recipe.
    pub(crate) fn key(self) -> String {
        let nix = match self {
            Self::Stable => "nix-of-suite",
            Self::NewerNix => SID_HOOK,
        };
        format!("{:012x}", fnv(&[SUITE.as_bytes(), PACKAGES.as_bytes(), nix.as_bytes()]) >> 16)
    }
}

/// Returns the base's root, making it first where it is not there. Takes about 40 s then.
pub(crate) fn ensure(
    shelf: &Shelf,
    kind: BaseKind,
    mirror: Option<&str>,
) -> Result<PathBuf, LabError> {
    let root = shelf.base(&kind.key());
    if root.is_dir() {
        return Ok(root);
    }
    let mirror = match mirror {
        Some(mirror) => mirror.to_owned(),
        None => apt::machine_mirror().ok_or(LabError::NoMirror)?,
    };
    tell_aside!("lab: making the base file system (once, about 40 s) from {mirror}");
    let making = shelf.base("making");
    remove_tree(&making)?;
    make_dir(&shelf.root().join("base"))?;
    let mut tool = Tool::new("making the base file system", "mmdebstrap").args([
        "--quiet",
        "--variant=minbase",
        "--components=main",
        "--dpkgopt=path-exclude=/usr/share/doc/*",
        "--dpkgopt=path-exclude=/usr/share/locale/*",
    ]);
    tool = tool.arg(format!("--include={PACKAGES}"));
    if kind == BaseKind::NewerNix {
        // Everything else stays what it is: a systemd of that suite refuses the older kind of control groups.
        tool = tool.args([
            "--aptopt=Acquire::Check-Valid-Until \"false\"",
            "--aptopt=APT::Default-Release \"trixie\"",
            SID_HOOK,
        ]);
    }
    tool = tool.arg(SUITE).arg(&making);
    for suite in if kind == BaseKind::NewerNix { vec![SUITE, "sid"] } else { vec![SUITE] } {
        tool = tool.arg(format!("deb {mirror} {suite} main"));
    }
    tool.run()?;
    std::fs::rename(&making, &root).at("putting in place", &root)?;
    Ok(root)
}
