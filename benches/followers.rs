//! What following many loud builds at once takes, and whether a line of them gets lost.
//!
//! `cargo bench --bench followers` carries out a run of eight hosts whose builds together print 200,000 lines
//! a second for 30 s (`-- HOSTS LINES_A_SECOND SECONDS` for others). The hosts are folders on this machine:
//! `start.sh` starts their jobs and `follow.sh` follows them as on any host, with stand-ins for systemd, and
//! the engine, the streams and the logs are those of a deploy. What the builds print comes from processes
//! of their own, whose processor time stands apart. At the end every line must stand in the log of its host,
//! once and in order, and every stream must be what the job printed, byte for byte.
//!
//! A folder as the last argument takes the run and a `hosts.toml`, and stays: a dashboard can watch it there
//! (`XDG_STATE_HOME=FOLDER nixdash --hosts FOLDER/hosts.toml`), as `frames.py` does.

use nixdash::deploy::engine::scripts;
use nixdash::deploy::{Deploy, Request, RunBegin, RunJournal, setup};
use nixdash::fleet::{Fleet, Goal, Outcome, RunId, RunOptions};
use nixdash::record::{RunRecord, RunRecorder, Runs, share_of_logs};
use nixdash::remote::job::scripts::{FOLLOW, START};
use nixdash::remote::{Answer, Output, Remote, Script, ScriptRunner};
use std::collections::{BTreeMap, HashMap};
use std::error::Error;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write as _};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// The word that makes this program print what a build prints.
const PRINT: &str = "print";

/// How often a build prints.
const EVERY: Duration = Duration::from_millis(10);

/// What the run may take on the disk: more than it can.
const ROOM: u64 = 1 << 40;

/// What this machine is called.
const HERE: &str = "here";

/// The system that runs, and the one that is built.
const OLD: &str = "/nix/store/l0znnv1nxsr0ry7gmadkh49s1d0hycgd-old";
const NEW: &str = "/nix/store/m0znnv1nxsr0ry7gmadkh49s1d0hycgd-new";

/// Stands in for systemd-run: begins the command in a session of its own.
const SYSTEMD_RUN: &str = r#"#!/bin/sh
while [ "$1" != /bin/sh ]; do shift; done
setsid "$@" >/dev/null 2>&1 </dev/null &
"#;

/// Stands in for systemctl: every unit runs until its job says how it ended.
const SYSTEMCTL: &str = "#!/bin/sh\necho active\n";

type Failure = Box<dyn Error>;

fn main() -> Result<(), Failure> {
    let mut args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    if args.first().is_some_and(|arg| arg == PRINT) {
        let [_, rate, seconds, ended] = &args[..] else { return Err("print: three words".into()) };
        return print_a_build(rate.parse()?, seconds.parse()?, Path::new(ended));
    }
    let made = tempfile::tempdir()?;
    let folder = match args.pop_if(|arg| arg.parse::<u64>().is_err()) {
        Some(folder) => PathBuf::from(folder),
        None => made.path().to_path_buf(),
    };
    let number = |place: usize, usual: u64| args.get(place).map_or(Ok(usual), |arg| arg.parse());
    let load = Load { hosts: number(0, 8)?, rate: number(1, 200_000)?, seconds: number(2, 30)? };
    let flood = Flood { folder, hosts_folder: made.path().join("hosts"), load };
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(flood.measure())
}

/// How much is printed.
struct Load {
    hosts: u64,
    /// Lines a second of all hosts together.
    rate: u64,
    seconds: u64,
}

/// A run of loud builds.
struct Flood {
    /// Where the run is recorded.
    folder: PathBuf,
    /// Where the hosts are.
    hosts_folder: PathBuf,
    load: Load,
}

impl Flood {
    /// Carries the run out and says what it took.
    async fn measure(self) -> Result<(), Failure> {
        let Load { hosts, rate, seconds } = self.load;
        let runs = Runs::open(&self.folder.join("nixdash"))?;
        let fleet = Arc::new(self.fleet()?);
        let writer = runs.begin(fleet.file.as_deref())?.with_limit(share_of_logs(ROOM));
        let run = writer.run().clone();
        let recorder = RunRecorder::start(writer, None)?;
        let disk = recorder.events.clone();
        let (began, before) = (Instant::now(), Spent::now()?);
        let (_control, said) = mpsc::channel(1);
        let deploy = self.deploy(&fleet, &runs, &run)?;
        let ended = deploy.run(said, Arc::new(move |event| disk.send(event))).await;
        let (built, ended_at) = (began.elapsed(), Instant::now());
        let record = recorder.end().await;
        let rest = ended_at.elapsed();
        let (took, spent) = (began.elapsed(), Spent::now()?);
        if !ended.outcomes.iter().all(|(_, outcome)| *outcome == Outcome::Built) {
            return Err(
                "not everything was built; with a folder as the last argument the logs stay".into(),
            );
        }
        let printed = self.check(&runs, &run)?;
        let lines: u64 = printed.iter().map(|build| build.lines).sum();
        let of_builds: f64 = printed.iter().map(|build| build.seconds).sum();
        println!("{hosts} hosts, {rate} lines/s wanted for {seconds} s");
        println!(
            "{lines} lines, {:.0} lines/s until the last build had ended, in {:.1} s; {:.1} s to write the rest",
            lines as f64 / built.as_secs_f64(),
            built.as_secs_f64(),
            rest.as_secs_f64()
        );
        match record {
            RunRecord::Written(marks) if marks.is_empty() => println!("nothing was left out"),
            RunRecord::Written(marks) => return Err(format!("left out: {marks:?}").into()),
            RunRecord::GivenUp => return Err("the disk hung".into()),
        }
        let own = spent.own - before.own;
        println!(
            "processor time: nixdash {own:.1} s ({:.2} of a core), sh and tail that follow {:.1} s, builds {of_builds:.1} s",
            own / took.as_secs_f64(),
            spent.children - before.children
        );
        println!("memory of nixdash at its peak: {:.0} MB", peak_memory()?);
        Ok(())
    }

    /// Writes a `hosts.toml` of hosts that no ssh reaches, and returns its fleet.
    fn fleet(&self) -> Result<Fleet, Failure> {
        let mut text = "[fleet]\nflake = \"github:me/nixos\"\nevaluate = \"builder\"\n\
                        strategy = \"direct\"\n[rollout]\nparallel = 100\n"
            .to_owned();
        for number in 1..=self.load.hosts {
            writeln!(text, "[hosts.h{number}]\naddresses = [\"127.0.0.1:{number}\"]")?;
        }
        let file = self.folder.join("hosts.toml");
        fs::write(&file, &text)?;
        Ok(nixdash::config::parse(&text, &file, None)?)
    }

    /// Makes the hosts and a run that builds all of them.
    fn deploy(&self, fleet: &Arc<Fleet>, runs: &Runs, run: &RunId) -> Result<Deploy, Failure> {
        let request = Request {
            options: RunOptions::default(),
            hosts: fleet.hosts.iter().map(|host| host.name.clone()).collect(),
            goal: Goal::Build,
            allow_protected: Vec::new(),
            asks: false,
            goals: BTreeMap::new(),
            given: BTreeMap::new(),
            set_aside: BTreeMap::new(),
            degraded: BTreeMap::new(),
            reboot: None,
        };
        let runner = FolderHosts::new(&self.hosts_folder, &self.load)?;
        Ok(Deploy {
            fleet: Arc::clone(fleet),
            runner: Arc::new(runner),
            newest: Arc::new(|_| None),
            package_times: Arc::new(|_| HashMap::new()),
            run: run.clone(),
            tag: runs.tag(run).unwrap_or_default(),
            begin: RunBegin::Fresh { setup: Box::new(setup(fleet, &request)?), hosts_file: None },
            journal: RunJournal::none(),
            kept: None,
            streams: Some(runs.streams(run, ROOM)),
        })
    }

    /// Compares what is recorded with what was printed; returns that.
    fn check(&self, runs: &Runs, run: &RunId) -> Result<Vec<Printed>, Failure> {
        let mut printed = Vec::new();
        for entry in fs::read_dir(self.hosts_folder.join("jobs"))? {
            let job = entry?.path();
            let Some(log) = fs::canonicalize(job.join("log")).ok() else { continue };
            let name = job.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let host = (1..=self.load.hosts)
                .map(|number| format!("h{number}"))
                .find(|host| {
                    name.ends_with(&format!("-{host}")) || name.contains(&format!("-{host}-"))
                })
                .ok_or_else(|| format!("the job {name} is of no host"))?;
            let streams = runs.kept_streams(run, &host);
            let (_, stream) = streams.first().ok_or("there is no stream")?;
            if !are_same(stream.reader(), File::open(&log)?)? {
                return Err(format!("the stream of {host} is not what its job printed").into());
            }
            let build = Printed::read(&self.hosts_folder.join(format!("{name}.ended")))?;
            let mut next = 0;
            for file in runs.logs(run, &host) {
                for line in BufReader::new(File::open(file)?).lines() {
                    let line = line?;
                    let Some((_, words)) = line.split_once("> ") else { continue };
                    if words.split(' ').next() != Some(next.to_string().as_str()) {
                        return Err(format!("{host}: line {next} is missing: {line}").into());
                    }
                    next += 1;
                }
            }
            if next != build.lines {
                return Err(
                    format!("{host}: {next} of {} lines are in its log", build.lines).into()
                );
            }
            printed.push(build);
        }
        if printed.len() as u64 == self.load.hosts {
            Ok(printed)
        } else {
            Err(format!("only {} builds ended", printed.len()).into())
        }
    }
}

/// Hosts that are folders: what is asked before a build has its answer, and jobs are real.
struct FolderHosts {
    /// This machine.
    remote: Remote,
    /// The scripts of jobs, with other folders.
    start: &'static str,
    follow: &'static str,
    /// What a job runs instead of Nix.
    build: String,
}

impl FolderHosts {
    fn new(folder: &Path, load: &Load) -> Result<Self, Failure> {
        let programs = folder.join("bin");
        fs::create_dir_all(&programs)?;
        for (name, text) in [("systemd-run", SYSTEMD_RUN), ("systemctl", SYSTEMCTL)] {
            fs::write(programs.join(name), text)?;
            fs::set_permissions(programs.join(name), fs::Permissions::from_mode(0o755))?;
        }
        let elsewhere = |script: &str| {
            let place = folder.display().to_string();
            let script = script.replace("/run/nixdash/jobs", &format!("{place}/jobs"));
            let script = script.replace("/var/lib/nixdash", &format!("{place}/logs"));
            let script = script.replace("/run/nixdash", &place);
            let path = format!("PATH={}:$PATH\n", programs.display());
            // A script is a text for ever; these are two.
            &*Box::leak((path + &script).into_boxed_str())
        };
        let own = std::env::current_exe()?;
        let (rate, seconds) = (load.rate / load.hosts, load.seconds);
        let build = format!(
            "job=${{0%/script}}\nexec {} {PRINT} {rate} {seconds} \"{}/${{job##*/}}.ended\"\n",
            own.display(),
            folder.display()
        );
        let (start, follow) = (elsewhere(START), elsewhere(FOLLOW));
        let here = format!("[hosts.{HERE}]\naddresses = []\n");
        let here = nixdash::config::parse(&here, Path::new("hosts.toml"), None)?;
        Ok(Self { remote: Remote::new(Arc::new(here)), start, follow, build })
    }
}

impl ScriptRunner for FolderHosts {
    fn run<'a>(&'a self, _host: &'a str, script: &'a Script) -> Answer<'a, Output> {
        let named = scripts().find(|(_, text)| script.body.ends_with(text));
        let (stdout, stderr) = match named.map(|(name, _)| name) {
            Some("preflight.sh") => {
                let facts =
                    format!("running\t{OLD}\nprofile\t{OLD}\nboot_id\t1\nnix_free\t90000000000\n");
                (facts, String::new())
            }
            Some("evaluate.sh") => {
                (format!("{{\"drv\":\"{NEW}.drv\",\"out\":\"{NEW}\"}}"), String::new())
            }
            Some("compare.sh") => {
                (String::new(), format!("this derivation will be built:\n  {NEW}.drv\n"))
            }
            Some(_) | None => (String::new(), String::new()),
        };
        Box::pin(async move { Ok(Output { code: 0, stdout, stderr }) })
    }

    fn follow<'a>(
        &'a self,
        _host: &'a str,
        script: &'a Script,
        pieces: mpsc::Sender<Vec<u8>>,
    ) -> Answer<'a, Output> {
        let mut script = Script { root: false, ..script.clone() };
        if script.body == START {
            script.body = self.start;
            // The length of what the job runs, and that itself.
            script.args[2] = self.build.len().to_string();
            script.args[6].clone_from(&self.build);
        } else if script.body == FOLLOW {
            script.body = self.follow;
        }
        Box::pin(async move { self.remote.follow(HERE, &script, pieces).await })
    }

    fn address(&self, _host: &str) -> Option<String> {
        None
    }
}

/// What a build printed.
struct Printed {
    lines: u64,
    /// Of processor time.
    seconds: f64,
}

impl Printed {
    fn read(file: &Path) -> Result<Self, Failure> {
        let text = fs::read_to_string(file)?;
        let (lines, seconds) = text.trim().split_once(' ').ok_or("a build did not end")?;
        Ok(Self { lines: lines.parse()?, seconds: seconds.parse()? })
    }
}

/// Prints what Nix prints of one build for so long, and leaves behind how much that was.
fn print_a_build(rate: u64, seconds: u64, ended: &Path) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "@nix {{\"action\":\"start\",\"id\":1,\"level\":3,\"parent\":0,\"text\":\"building '{NEW}.drv'\",\
         \"type\":105,\"fields\":[\"{NEW}.drv\",\"\",1,1]}}"
    )?;
    let (began, all) = (Instant::now(), rate * seconds);
    let (mut lines, mut batch) = (0, String::new());
    while lines < all {
        let due = (began.elapsed().as_micros() as u64 * rate / 1_000_000).min(all);
        batch.clear();
        for number in lines..due {
            let words = words(number);
            writeln!(
                batch,
                "@nix {{\"action\":\"result\",\"fields\":[\"{number} {words}\"],\"id\":1,\"type\":101}}"
            )?;
        }
        out.write_all(batch.as_bytes())?;
        lines = due;
        sleep(EVERY);
    }
    writeln!(out, "@nix {{\"action\":\"stop\",\"id\":1}}")?;
    fs::write(ended, format!("{lines} {}\n", Spent::now()?.own))?;
    Ok(())
}

/// Returns what a line of a build says: seldom what the one before it says.
fn words(number: u64) -> String {
    let seed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
    let (a, b, c) = (seed % 97, seed % 9973, seed % 1009);
    match seed % 5 {
        0 => format!("  CC      drivers/net/wireless/vendor{a}/file{b}.o"),
        1 => format!("gcc -O2 -fPIC -Wall -Iinclude -c src/part{b}.c -o build/part{c}.o"),
        2 => format!("[{b}/7000] Building CXX object lib/Target/X86/{seed:x}.cpp.o"),
        3 => format!("   Compiling crate-{c} v{}.{}.{}", a % 3, b % 17, c % 31),
        _ => format!("test_{a}_{c} (test.test_{b}.Case.test_{c}) ... ok"),
    }
}

/// Processor time in seconds.
struct Spent {
    own: f64,
    /// Of processes that this one began and that ended.
    children: f64,
}

impl Spent {
    fn now() -> Result<Self, Failure> {
        let stat = fs::read_to_string("/proc/self/stat")?;
        let (_, fields) = stat.rsplit_once(')').ok_or("/proc/self/stat cannot be read")?;
        let fields: Vec<f64> =
            fields.split_whitespace().skip(11).take(4).map(str::parse).collect::<Result<_, _>>()?;
        let [user, system, user_of_children, system_of_children] = fields[..] else {
            return Err("/proc/self/stat cannot be read".into());
        };
        let ticks = Command::new("getconf").arg("CLK_TCK").output()?.stdout;
        let ticks: f64 = String::from_utf8(ticks)?.trim().parse()?;
        let (own, children) = (user + system, user_of_children + system_of_children);
        Ok(Self { own: own / ticks, children: children / ticks })
    }
}

/// Returns the most memory that this process had, in MB.
fn peak_memory() -> Result<f64, Failure> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with("VmHWM")).ok_or("no VmHWM")?;
    let kilobytes = line.split_whitespace().nth(1).ok_or("no VmHWM")?;
    Ok(kilobytes.parse::<f64>()? / 1024.0)
}

/// Returns whether both have the same bytes.
fn are_same(mut one: impl Read, mut other: impl Read) -> Result<bool, Failure> {
    let (mut left, mut right) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    loop {
        let count = one.read(&mut left)?;
        if count == 0 {
            return Ok(other.read(&mut right)? == 0);
        }
        if other.read_exact(&mut right[..count]).is_err() || left[..count] != right[..count] {
            return Ok(false);
        }
    }
}
