//! `nixdash lab`: a practice fleet of four small real hosts on this machine.

use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::cli::complete;
use crate::fleet::bytes;
use crate::lab::error::LabError;
use crate::lab::fault::{Fault, FaultName};
use crate::lab::flake::{Break, Broken};
use crate::lab::{Lab, Leftovers, UpOptions, names};

/// Sets up a practice fleet of four small real hosts on this machine, and opens the dashboard on it
#[derive(Debug, Clone, clap::Args)]
pub struct LabArgs {
    /// Name of the lab; labs of different names can be up at the same time [default: `$NIXDASH_LAB_NAME`, else practice]
    #[arg(long, global = true)]
    name: Option<String>,

    #[command(flatten)]
    up: UpArgs,

    #[command(subcommand)]
    command: Option<LabCommand>,
}

/// How to set it up.
#[derive(Debug, Clone, clap::Args)]
struct UpArgs {
    /// Install missing packages without asking
    #[arg(long, short)]
    yes: bool,

    /// Debian mirror to make the hosts from [default: the one in this machine's apt sources]
    #[arg(long, value_name = "URL")]
    mirror: Option<String>,

    /// Give p510 a newer Nix than the other hosts have
    #[arg(long)]
    newer_nix: bool,

    /// Set up a SeaweedFS cluster beside the hosts: one master, three volume servers, a filer with its S3 gateway
    #[arg(long)]
    seaweed: bool,

    /// How many hosts there are, 4 to 20: those after the fourth are named node05, node06 … and are like samsung
    // Takes the place of the option of all other commands that names a file, by its id and its type.
    #[arg(id = "hosts_file", long = "hosts", value_name = "N")]
    hosts: Option<PathBuf>,
}

#[derive(Debug, Clone, clap::Subcommand)]
enum LabCommand {
    /// Start the practice fleet
    Up(UpArgs),
    /// Say which parts of the practice fleet are up
    Status {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Run a command as root on a host, or a shell, even when its network is cut
    Shell {
        /// p620, razer, samsung, p510, or one of the nodes
        #[arg(add = complete::lab_hosts())]
        host: String,
        /// The command and its arguments
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        command: Vec<String>,
    },
    /// Commit a change to the fleet's flake, so that the next deploy has something to do
    Bump {
        /// The hosts that are to change [default: all]
        #[arg(add = complete::lab_hosts())]
        hosts: Vec<String>,
        /// What should go wrong with the next system
        #[arg(long = "break", value_name = "WHAT")]
        broken: Option<Break>,
        /// Seconds of network-later, network-unit, slow and slow-boot, exit code of errno, lines of loud
        #[arg(long, value_name = "NUMBER", requires = "broken")]
        amount: Option<u32>,
        /// Undo what --break asked for
        #[arg(long, conflicts_with = "broken")]
        fix: bool,
    },
    /// Make something go wrong, for real, or take it back
    Fault {
        /// A host, `cache` for p620's cache, or `seaweed` for the cluster
        #[arg(add = complete::lab_targets())]
        target: String,
        /// What is to go wrong
        what: FaultName,
        /// Milliseconds of latency or slow, percent of loss, number of the volume server
        amount: Option<u32>,
    },
    /// End the practice fleet and remove everything of it; say what stays for the next one
    Down {
        /// Also remove what all practice fleets share: the base file system, the first generations
        /// and SeaweedFS
        #[arg(long)]
        all: bool,
    },
    /// Serve a cache; started by the lab itself
    #[command(hide = true)]
    Serve {
        #[command(subcommand)]
        what: Serve,
    },
}

#[derive(Debug, Clone, clap::Subcommand)]
enum Serve {
    /// The live store of the host this runs on
    Store {
        #[arg(long)]
        listen: SocketAddr,
        #[arg(long)]
        secret_key: PathBuf,
        #[arg(long)]
        fault_file: PathBuf,
    },
    /// A directory
    Files {
        #[arg(long)]
        listen: SocketAddr,
        #[arg(long)]
        directory: PathBuf,
    },
}

/// What is left to do for the caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LabOutcome {
    /// End with this exit code.
    Exit(u8),
    /// Open the dashboard on this fleet.
    Dashboard {
        /// Its configuration file.
        hosts_file: PathBuf,
        /// Where it is kept what was tried of it.
        practice_file: PathBuf,
    },
}

/// Carries out `nixdash lab …`.
pub async fn run(args: LabArgs) -> Result<LabOutcome, LabError> {
    match args.command {
        Some(LabCommand::Serve { what: Serve::Store { listen, secret_key, fault_file } }) => {
            crate::lab::serve_store(listen, secret_key, fault_file).await?;
            Ok(LabOutcome::Exit(1))
        }
        Some(LabCommand::Serve { what: Serve::Files { listen, directory } }) => {
            crate::lab::serve_files(listen, directory).await?;
            Ok(LabOutcome::Exit(1))
        }
        // Everything else starts programs and waits for them; none of it is worth being asynchronous.
        _ => tokio::task::spawn_blocking(move || run_blocking(args))
            .await
            .map_err(|error| LabError::Usage(format!("the lab command ended early: {error}")))?,
    }
}

fn run_blocking(args: LabArgs) -> Result<LabOutcome, LabError> {
    let name = args.name.or_else(|| std::env::var("NIXDASH_LAB_NAME").ok());
    let lab = Lab::named(name.as_deref().unwrap_or("practice"))?;
    match args.command {
        None => {
            lab.up(&args.up.try_into()?)?;
            return Ok(LabOutcome::Dashboard {
                hosts_file: lab.hosts_file(),
                practice_file: lab.practice_file(),
            });
        }
        Some(LabCommand::Up(up)) => {
            lab.up(&up.try_into()?)?;
            print_next(&lab)?;
        }
        Some(LabCommand::Status { json }) => print_status(&lab, json)?,
        Some(LabCommand::Shell { host, command }) => {
            return lab.shell(names::host(&host)?, &command).map(LabOutcome::Exit);
        }
        Some(LabCommand::Bump { hosts, broken, amount, fix }) => {
            let hosts =
                hosts.iter().map(|name| names::host(name)).collect::<Result<Vec<_>, _>>()?;
            if fix {
                print(lab.fix(&hosts)?);
            } else {
                let broken = broken.map(|what| Broken::new(what, amount)).transpose()?;
                print(lab.bump(&hosts, broken)?);
            }
        }
        Some(LabCommand::Fault { target, what, amount }) => {
            lab.fault(Fault::from_words(&target, what, amount)?)?;
        }
        Some(LabCommand::Down { all }) => print_end(&lab.down(all)?, all),
        Some(LabCommand::Serve { .. }) => {}
    }
    Ok(LabOutcome::Exit(0))
}

impl TryFrom<UpArgs> for UpOptions {
    type Error = LabError;

    fn try_from(args: UpArgs) -> Result<Self, LabError> {
        Ok(Self {
            yes: args.yes,
            mirror: args.mirror,
            newer_nix: args.newer_nix,
            seaweed: args.seaweed,
            hosts: args.hosts.as_deref().map(number_of_hosts).transpose()?,
        })
    }
}

/// Reads what `lab up --hosts` was given.
fn number_of_hosts(typed: &Path) -> Result<u8, LabError> {
    let number = typed.to_str().and_then(|text| text.parse().ok());
    number.ok_or_else(|| {
        LabError::Usage(format!(
            "the practice fleet takes a number after --hosts, as in `nixdash lab up --hosts 12`, and not '{}': \
             it writes a hosts.toml of its own",
            crate::fleet::printable_line(&typed.to_string_lossy())
        ))
    })
}

/// Prints a line; a reader that went away is no error.
fn print(line: impl std::fmt::Display) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

fn print_next(lab: &Lab) -> Result<(), LabError> {
    let hosts_file = lab.hosts_file();
    let hosts_file = hosts_file.display();
    let names: Vec<&str> = lab.hosts()?.iter().map(|host| host.name).collect();
    print(format_args!("The practice fleet is up: {}.", names.join(", ")));
    print(format_args!("Look at it:       nixdash --hosts {hosts_file}"));
    print("Make some work:   nixdash lab bump samsung");
    print(format_args!("And deploy that:  nixdash --hosts {hosts_file} deploy samsung"));
    Ok(())
}

/// Says what stays on the disk, or what was removed of it.
fn print_end(left: &Leftovers, all: bool) {
    print("The practice fleet is down, and everything of it is removed.");
    let parts = left.parts.iter().map(|(words, size)| format!("{words} {}", bytes(*size)));
    let parts = parts.collect::<Vec<_>>().join(", ");
    let (size, root) = (bytes(left.bytes()), left.root.display());
    if !left.parts.is_empty() && all {
        print(format_args!("Removed what it shared with others too: {size} in {root} ({parts})."));
    } else if !left.parts.is_empty() {
        print(format_args!("Kept for the next one: {size} in {root} ({parts})."));
        print("Remove that too:  nixdash lab down --all");
    }
    if !left.packages.is_empty() {
        let packages = left.packages.join(" ");
        print(format_args!("Debian packages that were installed for it stay: {packages}"));
        print(format_args!("Remove them:      apt-get remove {packages}"));
    }
}

fn print_status(lab: &Lab, json: bool) -> Result<(), LabError> {
    let status = lab.status()?;
    if json {
        print(serde_json::to_string(&status).map_err(|error| LabError::Usage(error.to_string()))?);
        return Ok(());
    }
    print(status.hosts_file.display());
    for host in &status.hosts {
        print(format_args!("{:<8} {:<12} {}", host.name, host.state, host.address));
    }
    for cache in &status.caches {
        print(format_args!("{:<8} {:<12} {}", cache.name, cache.state, cache.url));
    }
    Ok(())
}
