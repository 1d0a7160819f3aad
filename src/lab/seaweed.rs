//! A real SeaweedFS cluster beside the hosts: one master, three volume servers, and a filer with the S3 gateway, each a process
//! of its own in one network namespace of the lab. Every volume has two copies (replication 001); the bucket holds a signed
//! copy of one host's system, anybody may read it, and only the lab's own keys may list and write it.
//!
//! ```text
//!   nd-N-weed  10.213.N.50   9333 master   8081 8082 8083 volume servers   8888 filer   8333 S3   9360 counters
//! ```

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::error::{ErrorContext, LabError};
use super::names::{Subnet, fnv};
use super::network;
use super::process;
use super::seaweed_install;
use super::seed::{self, Seed};
use super::state::{LabRecord, Places, Shelf, make_dir, read, remove_tree, write};
use super::tool::Tool;

/// How many volume servers there are.
pub(crate) const VOLUME_SERVERS: u32 = 3;

/// The bucket.
const BUCKET: &str = "nix-cache";

/// The host whose system the bucket holds.
const HELD: &str = "samsung";

const FILL: &str = include_str!("guest/weed.sh");

const MASTER: &str = "weed-master";
const FILER: &str = "weed-filer";

/// How long the cluster may take to answer after its start.
const LIMIT: Duration = Duration::from_secs(60);

/// Where its parts answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Addresses(Subnet);

impl Addresses {
    pub(crate) fn of(subnet: Subnet) -> Self {
        Self(subnet)
    }

    fn at(self, port: u32) -> String {
        format!("{}:{port}", self.0.weed())
    }

    /// The master.
    pub(crate) fn master(self) -> String {
        format!("http://{}", self.at(9333))
    }

    /// The bucket on the S3 gateway.
    pub(crate) fn bucket(self) -> String {
        format!("http://{}/{BUCKET}", self.at(8333))
    }

    /// The counters of filer and gateway.
    pub(crate) fn metrics(self) -> String {
        format!("http://{}/metrics", self.at(9360))
    }
}

fn volume_server(number: u32) -> String {
    format!("weed-volume-{number}")
}

/// The directory of the cluster in a lab.
fn directory(places: &Places) -> PathBuf {
    places.file("weed")
}

/// The files with the gateway's access key and secret key.
pub(crate) fn key_files(places: &Places) -> [PathBuf; 2] {
    ["access-key", "secret-key"].map(|name| directory(places).join(name))
}

/// Makes sure that the cluster is there, runs and is filled.
pub(crate) fn ensure(shelf: &Shelf, places: &Places, record: &LabRecord) -> Result<(), LabError> {
    let program = seaweed_install::ensure(shelf)?;
    let subnet = record.subnet();
    network::add_weed(subnet)?;
    keys(places)?;
    start(places, record, &program)?;
    let addresses = Addresses::of(subnet);
    let servers = || get(&format!("{}/dir/status", addresses.master())).unwrap_or_default();
    wait(places, "the volume servers joining", || {
        servers().matches("\"PublicUrl\"").count() == VOLUME_SERVERS as usize
    })?;
    let filled = directory(places).join("filled");
    if !filled.exists() {
        fill(shelf, places, record)?;
        write(&filled, "", 0o644)?;
    }
    wait(places, "the S3 gateway answering", || answers(subnet))
}

/// Starts what does not run.
fn start(places: &Places, record: &LabRecord, program: &Path) -> Result<(), LabError> {
    launch(
        places,
        record,
        program,
        MASTER,
        &master_arguments(record.subnet(), &directory(places)),
    )?;
    for number in 1..=VOLUME_SERVERS {
        start_volume_server(places, record, program, number)?;
    }
    let master = Addresses::of(record.subnet()).master();
    // A filer that finds no master ends.
    wait(places, "the master answering", || get(&format!("{master}/cluster/status")).is_some())?;
    launch(places, record, program, FILER, &filer_arguments(record.subnet(), &directory(places)))
}

fn start_volume_server(
    places: &Places,
    record: &LabRecord,
    program: &Path,
    number: u32,
) -> Result<(), LabError> {
    let directory = directory(places);
    make_dir(&directory.join(format!("volume-{number}")))?;
    let arguments = volume_arguments(record.subnet(), &directory, number);
    launch(places, record, program, &volume_server(number), &arguments)
}

fn launch(
    places: &Places,
    record: &LabRecord,
    program: &Path,
    what: &str,
    arguments: &[String],
) -> Result<(), LabError> {
    if process::running(places, what).is_some() {
        return Ok(());
    }
    make_dir(&directory(places).join("master"))?;
    make_dir(&directory(places).join("filer"))?;
    let subnet = record.subnet();
    let command =
        network::in_namespace(&subnet.namespace(network::WEED), "").arg(program).args(arguments);
    process::launch(places, what, &subnet.namespace(what), &command)
}

fn own(subnet: Subnet, port: u32) -> [String; 3] {
    [
        format!("-ip={}", subnet.weed()),
        format!("-ip.bind={}", subnet.weed()),
        format!("-port={port}"),
    ]
}

/// Small volumes, so that there are several; no word to anybody about how it is used.
fn master_arguments(subnet: Subnet, directory: &Path) -> Vec<String> {
    let mut arguments = vec!["master".to_owned(), "-telemetry=false".to_owned()];
    arguments.extend(own(subnet, 9333));
    arguments.extend([
        "-peers=none".to_owned(),
        format!("-mdir={}", directory.join("master").display()),
        "-defaultReplication=001".to_owned(),
        "-volumeSizeLimitMB=64".to_owned(),
    ]);
    arguments
}

fn volume_arguments(subnet: Subnet, directory: &Path, number: u32) -> Vec<String> {
    let mut arguments = vec!["volume".to_owned()];
    arguments.extend(own(subnet, 8080 + number));
    arguments.extend([
        format!("-dir={}", directory.join(format!("volume-{number}")).display()),
        "-max=20".to_owned(),
        format!("-mserver={}:9333", subnet.weed()),
        "-dataCenter=dc1".to_owned(),
        "-rack=r1".to_owned(),
    ]);
    arguments
}

fn filer_arguments(subnet: Subnet, directory: &Path) -> Vec<String> {
    let mut arguments = vec!["filer".to_owned()];
    arguments.extend(own(subnet, 8888));
    arguments.extend([
        format!("-master={}:9333", subnet.weed()),
        format!("-defaultStoreDir={}", directory.join("filer").display()),
        "-s3".to_owned(),
        "-s3.port=8333".to_owned(),
        format!("-s3.config={}", directory.join("s3.json").display()),
        "-metricsPort=9360".to_owned(),
    ]);
    arguments
}

/// Makes the gateway's keys, and what each may do.
fn keys(places: &Places) -> Result<(), LabError> {
    let config = directory(places).join("s3.json");
    if config.exists() {
        return Ok(());
    }
    let mut random = [0; 32];
    let path = Path::new("/dev/urandom");
    std::fs::File::open(path)
        .and_then(|mut file| std::io::Read::read_exact(&mut file, &mut random))
        .at("reading", path)?;
    let secret = random.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    });
    let access = format!("LAB{:012X}", fnv(&[&random]) >> 16);
    let [access_file, secret_file] = key_files(places);
    write(&access_file, &access, 0o600)?;
    write(&secret_file, &secret, 0o600)?;
    let text = serde_json::json!({ "identities": [
        { "name": "anonymous", "actions": [format!("Read:{BUCKET}")] },
        {
            "name": "lab",
            "credentials": [{ "accessKey": access, "secretKey": secret }],
            "actions": ["Admin"],
        },
    ]});
    write(&config, text.to_string(), 0o600)
}

/// Makes a signed copy of a host's first system, and puts it into the bucket.
fn fill(shelf: &Shelf, places: &Places, record: &LabRecord) -> Result<(), LabError> {
    tell_aside!("lab: filling the bucket (once)");
    let seed = Seed::at(shelf.seed(&record.seed));
    let directory = directory(places);
    write(&directory.join("p620.secret"), read(&seed.file("keys/p620.secret"))?, 0o600)?;
    write(&places.file("guest/weed.sh"), FILL, 0o755)?;
    let toplevel = read(&seed.file("toplevels").join(HELD))?;
    // The builder has every host's system in its store.
    let lower = format!(
        "{}:{}:{}",
        seed.layer("p620").display(),
        seed.common().display(),
        shelf.base(&record.base).display()
    );
    let layer = directory.join("fill");
    seed::enter(&layer, &lower, places.root(), "/mnt/guest/weed.sh", &[toplevel.trim()])?;
    let bucket = Addresses::of(record.subnet()).bucket();
    let copy = directory.join("copy");
    // The gateway answers some seconds after its port is open.
    let mut said = Ok(String::new());
    process::wait_for(LIMIT, || {
        said = curl(places, &format!("request = \"PUT\"\nurl = \"{bucket}\"\n"));
        said.is_ok()
    });
    said?;
    let mut uploads = String::new();
    for file in files_below(&copy)? {
        let name = file.strip_prefix(&copy).unwrap_or(&file).display();
        let _ =
            write!(uploads, "upload-file = \"{}\"\nurl = \"{bucket}/{name}\"\n", file.display());
    }
    curl(places, &uploads)?;
    remove_tree(&layer)?;
    remove_tree(&copy)
}

/// Sends signed requests; the keys reach curl on its standard input only.
fn curl(places: &Places, requests: &str) -> Result<String, LabError> {
    let [access, secret] = key_files(places).map(|file| read(&file));
    let head = format!(
        "silent\nshow-error\nfail\nmax-time = 60\naws-sigv4 = \"aws:amz:us-east-1:s3\"\nuser = \"{}:{}\"\n",
        access?, secret?
    );
    Tool::new("talking to the S3 gateway", "curl")
        .args(["--disable", "--config", "-"])
        .input(format!("{head}{requests}"))
        .run()
}

/// All files below a directory.
fn files_below(directory: &Path) -> Result<Vec<PathBuf>, LabError> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).at("reading", directory)? {
        let path = entry.at("reading", directory)?.path();
        if path.is_dir() {
            files.extend(files_below(&path)?);
        } else {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// Gets a document of the cluster; nothing when it does not answer.
fn get(url: &str) -> Option<String> {
    let options = ["--disable", "--silent", "--fail", "--noproxy", "*", "--max-time", "2"];
    Tool::new("asking the cluster", "curl").args(options).arg(url).run().ok()
}

/// Whether the bucket is served.
pub(crate) fn answers(subnet: Subnet) -> bool {
    get(&format!("{}/nix-cache-info", Addresses::of(subnet).bucket())).is_some()
}

fn wait(places: &Places, what: &str, holds: impl FnMut() -> bool) -> Result<(), LabError> {
    if process::wait_for(LIMIT, holds) {
        return Ok(());
    }
    let log = places.log(MASTER);
    let logs = log.parent().unwrap_or(&log).display();
    Err(LabError::TimedOut {
        doing: what.to_owned(),
        seconds: LIMIT.as_secs(),
        hint: format!("their output is in {logs}/weed-*.log"),
    })
}

/// Ends a volume server as a power cut would.
pub(crate) fn stop_volume_server(places: &Places, number: u32) -> Result<(), LabError> {
    process::kill(places, &volume_server(number), None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_master_is_bound_to_the_lab_and_tells_nobody() {
        let arguments = master_arguments(Subnet(7), Path::new("/lab/weed"));
        assert_eq!(
            arguments,
            [
                "master",
                "-telemetry=false",
                "-ip=10.213.7.50",
                "-ip.bind=10.213.7.50",
                "-port=9333",
                "-peers=none",
                "-mdir=/lab/weed/master",
                "-defaultReplication=001",
                "-volumeSizeLimitMB=64"
            ]
        );
    }

    #[test]
    fn volume_servers_differ_in_port_and_directory() {
        let [one, two] = [1, 2].map(|n| volume_arguments(Subnet(7), Path::new("/w"), n));
        assert!(one.contains(&"-port=8081".to_owned()) && two.contains(&"-port=8082".to_owned()));
        assert!(two.contains(&"-dir=/w/volume-2".to_owned()), "{two:?}");
    }
}
