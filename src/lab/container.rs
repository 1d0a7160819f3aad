//! One host: its file system (base, seed and a layer of its own), its files, and the container it runs in.

use std::path::Path;
use std::time::{Duration, Instant};

use super::error::{ErrorContext, LabError};
use super::names::{LabHost, MOVED_PORT};
use super::process;
use super::runtime;
use super::seed::Seed;
use super::state::{LabRecord, Places, make_dir, read, write};
use super::table;
use super::texts::{self, Facts};
use super::tool::Tool;

/// The host that forgets nixdash's own folder at every start.
const IMPERMANENT_HOST: &str = "p510";

/// Whether a host runs, and how far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ContainerState {
    /// Its container runs and its sshd listens.
    Up,
    /// Its container runs, its sshd does not answer here.
    Unreachable,
    /// There is no container.
    Off,
}

impl ContainerState {
    /// The word in `lab status`.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Unreachable => "unreachable",
            Self::Off => "off",
        }
    }
}

/// Writes what is a host's own into its layer: name, keys, nix.conf. Done once, before its first start.
pub(crate) fn write_files(
    places: &Places,
    seed: &Seed,
    facts: &Facts<'_>,
    host: LabHost,
) -> Result<(), LabError> {
    let upper = places.host(host, "upper");
    if upper.join("etc/machine-id").exists() {
        return Ok(());
    }
    let etc = upper.join("etc");
    write(&etc.join("hostname"), format!("{}\n", host.name), 0o644)?;
    write(&etc.join("hosts"), texts::etc_hosts(facts.subnet, facts.hosts), 0o644)?;
    write(&etc.join("nix/nix.conf"), texts::nix_conf(facts, host, true), 0o644)?;
    write(&etc.join("nixdash-lab/network"), texts::network(facts.subnet, host), 0o644)?;
    let key = places.host(host, "host_key");
    write(&etc.join("ssh/ssh_host_ed25519_key"), read(&key)?, 0o600)?;
    write(&etc.join("ssh/ssh_host_ed25519_key.pub"), read(&key.with_extension("pub"))?, 0o644)?;
    if host.name == "p620" {
        write(&etc.join("nix/secret-key"), read(&seed.file("keys/p620.secret"))?, 0o600)?;
    }
    if host.name == IMPERMANENT_HOST {
        write(&etc.join("nixdash-lab/impermanent"), "", 0o644)?;
    }
    authorize(places, seed, &upper, host)?;
    let id =
        super::names::fnv(&[places.root().as_os_str().as_encoded_bytes(), host.name.as_bytes()]);
    write(&etc.join("machine-id"), format!("{id:016x}{:016x}\n", !id), 0o444)
}

/// Lets the operator in: as root everywhere but on razer, where that is an ordinary user.
fn authorize(places: &Places, seed: &Seed, upper: &Path, host: LabHost) -> Result<(), LabError> {
    let public = read(&places.file("id.pub"))?;
    let home = if host.user == "root" { "root".to_owned() } else { format!("home/{}", host.user) };
    let ssh = upper.join(&home).join(".ssh");
    write(&ssh.join("authorized_keys"), public, 0o600)?;
    set_mode(&ssh, 0o700)?;
    if host.user == "root" {
        return set_mode(&upper.join("root"), 0o700);
    }
    // The user's number is in the host's own passwd; sshd accepts the file only when it is theirs.
    let passwd = read(&seed.layer(host.name).join("etc/passwd"))?;
    let id: Vec<&str> = passwd
        .lines()
        .find(|line| line.starts_with(&format!("{}:", host.user)))
        .map(|line| line.split(':').collect())
        .unwrap_or_default();
    let [_, _, user, group, ..] = id.as_slice() else {
        return Err(LabError::Damaged {
            path: upper.join("etc/passwd"),
            cause: format!("no user {}", host.user),
        });
    };
    let own = |path: &Path| {
        let (user, group) = (user.parse().ok(), group.parse().ok());
        std::os::unix::fs::chown(path, user, group).at("changing the owner of", path)
    };
    own(&upper.join(&home))?;
    own(&ssh)?;
    own(&ssh.join("authorized_keys"))
}

fn set_mode(path: &Path, mode: u32) -> Result<(), LabError> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
        .at("setting the mode of", path)
}

/// Lays the host's file system together, where it is not. With `more` the lab has more than the four hosts.
pub(crate) fn mount(
    places: &Places,
    base: &Path,
    seed: &Seed,
    host: LabHost,
    more: bool,
) -> Result<(), LabError> {
    let root = places.host(host, "root");
    if is_mounted(&root) {
        return Ok(());
    }
    for part in ["upper", "work", "root"] {
        make_dir(&places.host(host, part))?;
    }
    let options = format!(
        "lowerdir={}:{}:{},upperdir={},workdir={},redirect_dir=on,index=off,metacopy=off",
        seed.layers(host, more),
        seed.common().display(),
        base.display(),
        places.host(host, "upper").display(),
        places.host(host, "work").display()
    );
    Tool::new(format!("mounting the file system of {}", host.name), "mount")
        .args(["-t", "overlay", "overlay", "-o", &options])
        .arg(root)
        .run()
        .map(|_| ())
}

/// Takes the host's file system apart. What runs in it has to be ended before.
pub(crate) fn unmount(places: &Places, host: LabHost) -> Result<(), LabError> {
    let root = places.host(host, "root");
    let free = process::wait_for(Duration::from_secs(5), || {
        if is_mounted(&root) {
            Tool::new("unmounting", "umount").arg(&root).try_run();
        }
        !is_mounted(&root)
    });
    if free {
        return Ok(());
    }
    Tool::new(format!("unmounting the file system of {}", host.name), "umount")
        .arg("--lazy")
        .arg(&root)
        .run()
        .map(|_| ())
}

fn is_mounted(path: &Path) -> bool {
    let path = path.display().to_string();
    std::fs::read_to_string("/proc/self/mountinfo")
        .unwrap_or_default()
        .lines()
        .any(|line| line.split(' ').nth(4) == Some(&path))
}

/// Starts the host's container and returns at once.
pub(crate) fn start(places: &Places, record: &LabRecord, host: LabHost) -> Result<(), LabError> {
    let namespace = record.subnet().namespace(host.name);
    let command = Tool::new("", "systemd-nspawn")
        .args(["--quiet", "--keep-unit", "--register=no", "--console=passive", "--link-journal=no"])
        .args([
            "--resolv-conf=off",
            "--timezone=off",
            "--kill-signal=SIGRTMIN+3",
            "--capability=CAP_NET_ADMIN",
        ])
        .arg(format!("--directory={}", places.host(host, "root").display()))
        .arg(format!("--network-namespace-path=/run/netns/{namespace}"))
        .arg(format!("--machine={namespace}"))
        .arg(format!("--hostname={}", host.name))
        .arg(format!("--bind-ro={}:{}", runtime::directory(places).display(), runtime::INSIDE))
        .arg("/usr/lib/nixdash-lab/stage-2");
    process::launch(places, host.name, &namespace, &command)
}

/// Cuts the host's power.
pub(crate) fn kill(places: &Places, record: &LabRecord, host: LabHost) -> Result<(), LabError> {
    process::kill(places, host.name, leader(record, host))?;
    process::remove_groups(&record.subnet().namespace(host.name));
    Ok(())
}

/// Process 1 of the host, seen from outside: what `nsenter` needs, and what a power cut kills.
pub(crate) fn leader(record: &LabRecord, host: LabHost) -> Option<u32> {
    table::container_in(&record.subnet().namespace(host.name))
}

/// Whether the host runs and lets itself be reached.
pub(crate) fn state(record: &LabRecord, host: LabHost) -> ContainerState {
    if leader(record, host).is_none() {
        ContainerState::Off
    } else if ssh_answers(record, host, Duration::from_millis(700)) {
        ContainerState::Up
    } else {
        ContainerState::Unreachable
    }
}

/// Returns whether a host's console shows a text.
fn console_says(places: &Places, host: LabHost, text: &str) -> bool {
    std::fs::read(places.log(host.name))
        .is_ok_and(|bytes| String::from_utf8_lossy(&bytes).contains(text))
}

/// Waits until the host's sshd greets.
pub(crate) fn wait_until_up(
    places: &Places,
    record: &LabRecord,
    host: LabHost,
) -> Result<(), LabError> {
    const LIMIT: Duration = Duration::from_mins(1);
    let end = Instant::now() + LIMIT;
    while !ssh_answers(record, host, Duration::from_secs(1)) {
        let ended = process::running(places, host.name).is_none();
        if ended && console_says(places, host, "Too many open files") {
            return Err(LabError::Ended {
                host: host.name.to_owned(),
                hint: "this machine has no inotify instances left, of which every host needs \
                       some: take other labs down, or raise them with `sysctl \
                       fs.inotify.max_user_instances=1024`"
                    .to_owned(),
            });
        }
        if ended || Instant::now() >= end {
            return Err(LabError::TimedOut {
                doing: format!("{} answering ssh", host.name),
                seconds: LIMIT.as_secs(),
                hint: format!("its console is in {}", places.log(host.name).display()),
            });
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

fn ssh_answers(record: &LabRecord, host: LabHost, limit: Duration) -> bool {
    let address = record.subnet().of(host);
    [22, MOVED_PORT].into_iter().any(|port| greets((address, port).into(), limit))
}

/// Whether an sshd greets there.
fn greets(address: std::net::SocketAddr, limit: Duration) -> bool {
    use std::io::Read;
    let Ok(mut stream) = std::net::TcpStream::connect_timeout(&address, limit) else {
        return false;
    };
    let mut greeting = [0; 4];
    stream.set_read_timeout(Some(limit)).is_ok()
        && stream.read_exact(&mut greeting).is_ok()
        && &greeting == b"SSH-"
}
