//! Where an address leads, by the person's ssh configuration, and whether an ssh server answers
//! there: asked with a plain connection, which costs no process.

use crate::fleet::Address;
use crate::remote::Program;
use crate::remote::master::destination;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, lookup_host};

/// How long a server may take to say that it is one.
const GREETING_LIMIT: Duration = Duration::from_secs(3);

/// How long ssh may take to read its configuration.
const CONFIGURATION_LIMIT: Duration = Duration::from_secs(5);

/// Most bytes that are read before the line that every ssh server begins with (RFC 4253, 4.2).
const GREETING_SIZE: usize = 8 * 1024;

/// What is said to a server: some listeners for several protocols wait for the first word.
const IDENTIFICATION: &[u8] = b"SSH-2.0-nixdash\r\n";

/// What the standard library puts before why a name has no address.
const NO_ADDRESS: &str = "failed to lookup address information: ";

/// Where ssh would connect to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct SshRoute {
    /// `HostName`, or what was written.
    pub(super) host: String,
    /// `Port`.
    pub(super) port: u16,
    /// The name under which its key is kept, when the configuration gives one.
    pub(super) key_alias: Option<String>,
    /// Files with known keys: the person's own first, then those of the machine.
    pub(super) known_hosts: Vec<PathBuf>,
    /// How many of them are the person's own.
    pub(super) own: usize,
    /// Whether names are kept as hashes (`HashKnownHosts`).
    pub(super) hashes: bool,
    /// The machines on the way, as `ProxyJump` names them.
    pub(super) jump: Option<String>,
    /// Whether only ssh itself finds the way: through another host, a program, or a network
    /// interface that the configuration names. Also when the configuration could not be read.
    pub(super) is_hidden: bool,
}

impl SshRoute {
    /// Asks ssh, which reads the configuration and connects to nothing.
    pub(super) async fn ask(address: &Address, config: Option<&Path>) -> Self {
        let mut words = vec!["-G".into()];
        words.extend(destination(address, config));
        let asked = Program::new("ssh", words).limit(CONFIGURATION_LIMIT).run().await;
        match asked {
            Ok(output) if output.is_ok() => Self::parse(&output.stdout),
            // What is wrong with it is said when it is used.
            Ok(_) | Err(_) => Self { is_hidden: true, ..Self::default() },
        }
    }

    /// Reads what `ssh -G` printed: a keyword in small letters, then its value.
    fn parse(text: &str) -> Self {
        let mut route = Self { port: 22, ..Self::default() };
        let mut of_machine = Vec::new();
        for line in text.lines() {
            let Some((key, value)) = line.split_once(' ') else { continue };
            match key {
                "hostname" => value.clone_into(&mut route.host),
                "port" => route.port = value.parse().unwrap_or(22),
                "hostkeyalias" => route.key_alias = Some(value.to_owned()),
                "userknownhostsfile" => route.known_hosts.extend(files(value)),
                "globalknownhostsfile" => of_machine.extend(files(value)),
                "hashknownhosts" => route.hashes = value == "yes",
                "proxyjump" if value != "none" => {
                    route.jump = Some(value.to_owned());
                    route.is_hidden = true;
                }
                "proxycommand" | "bindaddress" | "bindinterface" => {
                    route.is_hidden |= value != "none";
                }
                _ => {}
            }
        }
        route.is_hidden |= route.host.is_empty();
        route.own = route.known_hosts.len();
        route.known_hosts.extend(of_machine);
        route
    }

    /// Returns the person's own files with known keys.
    pub(super) fn own_files(&self) -> &[PathBuf] {
        self.known_hosts.get(..self.own).unwrap_or_default()
    }

    /// Returns the name under which the key is kept.
    pub(super) fn known_name(&self) -> String {
        match &self.key_alias {
            Some(alias) => alias.clone(),
            None if self.port == 22 => self.host.clone(),
            None => format!("[{}]:{}", self.host, self.port),
        }
    }

    /// Asks whether an ssh server answers, within three seconds; returns why not, in the words in which ssh
    /// says it: a host that ssh could not reach before is told to be away in the same sentence.
    pub(super) async fn greet(&self) -> Result<(), String> {
        let place = format!("ssh: connect to host {} port {}", self.host, self.port);
        let asked = tokio::time::timeout(GREETING_LIMIT, self.first_greeting(&place)).await;
        match asked {
            Ok(Ok(Greeting::Ssh)) => Ok(()),
            Ok(Ok(Greeting::Refused)) => Err(format!("{place}: {REFUSED}")),
            Ok(Ok(Greeting::Other)) => {
                Err(format!("{place}: something answered that is not an ssh server"))
            }
            Ok(Ok(Greeting::Closed)) => {
                Err(format!("{place}: the connection was closed before an ssh server answered"))
            }
            Ok(Err(why)) => Err(why),
            Err(_) => {
                let limit = GREETING_LIMIT.as_secs();
                Err(format!("{place}: no ssh server answered within {limit} s"))
            }
        }
    }

    /// Connects to every IP address that the name has at once, and listens to the first; returns why that
    /// cannot be done, of which `place` is the beginning.
    async fn first_greeting(&self, place: &str) -> Result<Greeting, String> {
        let found = lookup_host((self.host.as_str(), self.port)).await.map_err(|error| {
            let why = plain(&error);
            let why = why.strip_prefix(NO_ADDRESS).unwrap_or(&why);
            format!("ssh: Could not resolve hostname {}: {why}", self.host)
        })?;
        let found: Vec<_> = found.collect();
        let asked = found.into_iter().map(|address| Box::pin(TcpStream::connect(address)));
        let asked: Vec<_> = asked.collect();
        if asked.is_empty() {
            return Err(format!("{place}: the name has no address"));
        }
        let connected = futures_util::future::select_ok(asked).await;
        let (mut stream, _) = connected.map_err(|error| format!("{place}: {}", plain(&error)))?;
        // A server that has closed already may have said why.
        drop(stream.write_all(IDENTIFICATION).await);
        let mut said = Vec::new();
        let mut chunk = [0; 1024];
        loop {
            let count = stream.read(&mut chunk).await.unwrap_or(0);
            said.extend_from_slice(&chunk[..count]);
            if let Some(greeting) = Greeting::read(&said, count == 0) {
                return Ok(greeting);
            }
        }
    }
}

/// Reads a list of files; `~` is the person's home.
fn files(value: &str) -> impl Iterator<Item = PathBuf> {
    let home = std::env::var_os("HOME").map(PathBuf::from);
    value.split(' ').filter(|name| !name.is_empty() && *name != "none").map(move |name| {
        match (name.strip_prefix("~/"), &home) {
            (Some(rest), Some(home)) => home.join(rest),
            (Some(_), None) | (None, _) => PathBuf::from(name),
        }
    })
}

/// What sshd says to an address that it lets nobody in from for a while.
pub(super) const REFUSED: &str = "Not allowed at this time";

/// What a server said first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Greeting {
    /// That it is an ssh server.
    Ssh,
    /// That it lets nobody in from here for a while.
    Refused,
    /// Something else.
    Other,
    /// Nothing.
    Closed,
}

impl Greeting {
    /// Reads what came so far; nothing when more has to come.
    fn read(said: &[u8], is_over: bool) -> Option<Self> {
        let text = String::from_utf8_lossy(said);
        // Lines before the one that counts are allowed.
        if text.lines().any(|line| line.starts_with("SSH-")) {
            Some(Self::Ssh)
        } else if text.contains(REFUSED) {
            Some(Self::Refused)
        } else if is_over && said.is_empty() {
            Some(Self::Closed)
        } else if is_over || said.len() > GREETING_SIZE {
            Some(Self::Other)
        } else {
            None
        }
    }
}

/// Returns what the system says of an error without the number.
fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    #[test]
    fn what_ssh_makes_of_an_address_is_read() {
        let plain = SshRoute::parse(
            "host p620\nuser me\nhostname p620.lan\nport 2222\naddressfamily any\n\
             globalknownhostsfile /etc/ssh/a /etc/ssh/b\nuserknownhostsfile /home/me/.ssh/known\n",
        );
        assert_eq!((plain.host.as_str(), plain.port, plain.is_hidden), ("p620.lan", 2222, false));
        let [own] = plain.own_files() else { unreachable!("there is one") };
        assert_eq!((own.as_path(), plain.known_hosts.len()), (Path::new("/home/me/.ssh/known"), 3));
        assert_eq!(plain.known_name(), "[p620.lan]:2222");
        for line in ["proxyjump bastion", "proxycommand nc %h %p", "bindaddress 10.0.0.1"] {
            assert!(SshRoute::parse(&format!("hostname p620\n{line}\n")).is_hidden, "{line}");
        }
        assert!(!SshRoute::parse("hostname p620\nproxyjump none\nproxycommand none\n").is_hidden);
        let behind =
            SshRoute::parse("hostname p620\nproxyjump me@bastion:2222\nhashknownhosts yes\n");
        assert_eq!((behind.jump.as_deref(), behind.hashes), (Some("me@bastion:2222"), true));
        assert!(SshRoute::parse("").is_hidden, "what could not be read is left to ssh");
    }

    #[test]
    fn only_an_ssh_server_counts_as_an_answer() {
        for (said, is_over, greeting) in [
            ("SSH-2.0-OpenSSH_9.8\r\n", false, Some(Greeting::Ssh)),
            ("hello\r\nSSH-2.0-x\r\n", false, Some(Greeting::Ssh)),
            ("Not allowed at this time\r\n", true, Some(Greeting::Refused)),
            ("HTTP/1.1 400 Bad Request\r\n", true, Some(Greeting::Other)),
            ("HTTP/1.1 400", false, None),
            ("", true, Some(Greeting::Closed)),
            ("", false, None),
        ] {
            assert_eq!(Greeting::read(said.as_bytes(), is_over), greeting, "{said}");
        }
    }

    /// Returns the way to a listener.
    fn to(listener: &TcpListener) -> SshRoute {
        let port = listener.local_addr().unwrap().port();
        SshRoute { host: "127.0.0.1".to_owned(), port, ..SshRoute::default() }
    }

    #[tokio::test]
    async fn a_listener_that_never_speaks_is_no_host() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let error = to(&listener).greet().await.unwrap_err();
        assert!(error.contains("no ssh server answered within 3 s"), "{error}");
    }

    #[tokio::test]
    async fn a_closed_port_is_told_at_once_in_the_words_of_ssh() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let route = to(&listener);
        drop(listener);
        let error = route.greet().await.unwrap_err();
        let port = route.port;
        assert_eq!(
            error,
            format!("ssh: connect to host 127.0.0.1 port {port}: Connection refused")
        );
    }

    #[tokio::test]
    async fn a_name_without_an_address_is_told_in_the_words_of_ssh() {
        let host = "no-such-host.invalid".to_owned();
        let error = SshRoute { host, port: 22, ..SshRoute::default() }.greet().await.unwrap_err();
        let said = "ssh: Could not resolve hostname no-such-host.invalid: ";
        assert!(error.starts_with(said) && !error.contains("lookup"), "{error}");
    }

    #[tokio::test]
    async fn a_server_that_greets_is_a_host() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let route = to(&listener);
        let serve = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(b"SSH-2.0-test\r\n").await.unwrap();
            let mut said = [0; 4];
            stream.read_exact(&mut said).await.unwrap();
            assert_eq!(&said, b"SSH-", "it was told who asks");
        };
        let (asked, ()) = tokio::join!(route.greet(), serve);
        assert_eq!(asked, Ok(()));
    }
}
