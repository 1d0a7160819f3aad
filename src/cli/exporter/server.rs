//! The smallest HTTP server that Prometheus needs: GET and HEAD of `/metrics` and `/`, one request per
//! connection, few connections, short heads, short patience.

use super::exposition::MetricsFormat;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};

/// Connections that are open at once; one more ends the one that [`Guests::make_room`] chooses.
const CONNECTIONS: usize = 64;

/// Bytes that the head of a request may have.
const HEAD_LIMIT: usize = 8 * 1024;

/// How long a client may take to send the whole head, and again to take the answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// The page of `/`.
const FRONT: &str = "<!doctype html><title>nixdash</title><a href=\"/metrics\">metrics</a>\n";

/// Serves what `page` returns until the future is dropped.
pub(super) async fn serve(
    listener: TcpListener,
    page: impl Fn(MetricsFormat) -> String + Send + Sync + 'static,
) {
    let page = Arc::new(page);
    let mut guests = Guests::default();
    loop {
        let Ok((stream, peer)) = listener.accept().await else {
            // Out of file descriptors, most likely: some will come free.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        guests.make_room();
        let page = Arc::clone(&page);
        let has_asked = Arc::new(AtomicBool::new(false));
        let asked = Arc::clone(&has_asked);
        let work = guests.tasks.spawn(async move {
            // A client that goes away or dawdles has nothing more to hear.
            drop(answer(stream, &asked, page.as_ref()).await);
        });
        guests.open.push(Guest { address: peer.ip(), has_asked, work });
    }
}

/// Clients that are connected. Dropped, it ends them all.
#[derive(Default)]
struct Guests {
    /// Oldest first.
    open: Vec<Guest>,
    tasks: JoinSet<()>,
}

/// One connected client.
struct Guest {
    address: IpAddr,
    /// Whether its request is there: it only waits for the answer.
    has_asked: Arc<AtomicBool>,
    work: AbortHandle,
}

impl Guests {
    /// Forgets who has gone, and sends one away when all places are taken, so that whoever says
    /// nothing keeps nobody out.
    fn make_room(&mut self) {
        while self.tasks.try_join_next().is_some() {}
        self.open.retain(|guest| !guest.work.is_finished());
        while self.open.len() >= CONNECTIONS {
            let chosen = self.dispensable();
            self.open.remove(chosen).work.abort();
        }
    }

    /// Returns who is sent away: of those that have asked for nothing yet (of all, where there are
    /// none), the oldest from the address that has the most of them.
    fn dispensable(&self) -> usize {
        let silent = |guest: &Guest| !guest.has_asked.load(Ordering::Relaxed);
        let any_silent = self.open.iter().any(silent);
        let chosen = |guest: &Guest| !any_silent || silent(guest);
        let mut counts: HashMap<IpAddr, usize> = HashMap::new();
        for guest in self.open.iter().filter(|guest| chosen(guest)) {
            *counts.entry(guest.address).or_default() += 1;
        }
        let most = counts.values().max().copied().unwrap_or_default();
        let is_it = |guest: &Guest| chosen(guest) && counts.get(&guest.address) == Some(&most);
        self.open.iter().position(is_it).unwrap_or_default()
    }
}

/// Answers one request and closes.
async fn answer(
    mut stream: TcpStream,
    has_asked: &AtomicBool,
    page: &(impl Fn(MetricsFormat) -> String + Send + Sync),
) -> std::io::Result<()> {
    let head = match tokio::time::timeout(PATIENCE, read_head(&mut stream)).await {
        Ok(head) => head?,
        Err(_) => Err("408 Request Timeout"),
    };
    has_asked.store(true, Ordering::Relaxed);
    let reply = match head.and_then(|head| route(&head)) {
        Ok(request) => {
            let (content_type, further, body) = match request.page {
                // Who keeps answers must not give one client the format of another.
                ExporterPage::Metrics(format) => {
                    (format.content_type(), "Vary: Accept\r\n", page(format))
                }
                ExporterPage::Front => ("text/html; charset=utf-8", "", FRONT.to_owned()),
            };
            let mut reply = head_of("200 OK", content_type, further, body.len());
            if !request.head_only {
                reply.push_str(&body);
            }
            reply
        }
        Err(status) => {
            let allow = if status.starts_with("405") { "Allow: GET, HEAD\r\n" } else { "" };
            let body = format!("{status}\n");
            head_of(status, "text/plain; charset=utf-8", allow, body.len()) + &body
        }
    };
    let write = async {
        stream.write_all(reply.as_bytes()).await?;
        stream.shutdown().await
    };
    tokio::time::timeout(PATIENCE, write).await.unwrap_or(Ok(()))
}

/// What can be asked for.
#[derive(Debug, PartialEq, Eq)]
enum ExporterPage {
    Metrics(MetricsFormat),
    Front,
}

/// Reads up to the empty line that ends the head; a head that is too long is an answer.
async fn read_head(stream: &mut TcpStream) -> std::io::Result<Result<Vec<u8>, &'static str>> {
    let mut head = Vec::new();
    let mut chunk = [0; 1024];
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        if head.len() >= HEAD_LIMIT {
            return Ok(Err("431 Request Header Fields Too Large"));
        }
        match stream.read(&mut chunk).await? {
            0 => return Ok(Err("400 Bad Request")),
            read => head.extend_from_slice(&chunk[..read]),
        }
    }
    Ok(Ok(head))
}

/// A request that can be answered.
#[derive(Debug, PartialEq, Eq)]
struct ExporterRequest {
    page: ExporterPage,
    /// Whether only the head of the answer is wanted.
    head_only: bool,
}

/// Returns what a head asks for, or the status that says why not.
fn route(head: &[u8]) -> Result<ExporterRequest, &'static str> {
    let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let line = std::str::from_utf8(line).map_err(|_| "400 Bad Request")?;
    let mut words = line.split(' ');
    let (Some(method), Some(target), Some("HTTP/1.1" | "HTTP/1.0"), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err("400 Bad Request");
    };
    let page = match target.split('?').next() {
        Some("/metrics") => ExporterPage::Metrics(MetricsFormat::wanted(&accepted(head))),
        Some("/") => ExporterPage::Front,
        Some(_) | None => return Err("404 Not Found"),
    };
    match method {
        "GET" => Ok(ExporterRequest { page, head_only: false }),
        "HEAD" => Ok(ExporterRequest { page, head_only: true }),
        _ => Err("405 Method Not Allowed"),
    }
}

/// Returns the values of every `Accept` header, with commas between them.
fn accepted(head: &[u8]) -> String {
    let head = String::from_utf8_lossy(head);
    let headers = head.split("\r\n").skip(1).filter_map(|line| line.split_once(':'));
    let accepts = headers.filter(|(name, _)| name.eq_ignore_ascii_case("accept"));
    accepts.map(|(_, value)| value).collect::<Vec<_>>().join(",")
}

/// Returns the head of an answer with a body of so many bytes.
fn head_of(status: &str, content_type: &str, further: &str, length: usize) -> String {
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\n\
         {further}Connection: close\r\n\r\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_two_pages_are_there_and_they_are_only_read() {
        let metrics = |format| ExporterPage::Metrics(format);
        let get = |page| Ok(ExporterRequest { page, head_only: false });
        let plain = metrics(MetricsFormat::Plain);
        let asks = "Accept: application/openmetrics-text;version=1.0.0\r\n";
        for (line, answer) in [
            ("GET /metrics HTTP/1.1\r\n\r\n".to_owned(), get(metrics(MetricsFormat::Plain))),
            ("GET /metrics?x=1 HTTP/1.0\r\nHost: a\r\n\r\n".to_owned(), get(plain)),
            (
                format!("GET /metrics HTTP/1.1\r\nHost: a\r\n{asks}\r\n"),
                get(metrics(MetricsFormat::OpenMetrics)),
            ),
            (
                "HEAD /metrics HTTP/1.1\r\naccept: text/plain\r\n\r\n".to_owned(),
                Ok(ExporterRequest { page: metrics(MetricsFormat::Plain), head_only: true }),
            ),
            ("GET / HTTP/1.1\r\n\r\n".to_owned(), get(ExporterPage::Front)),
            ("GET /etc/passwd HTTP/1.1\r\n\r\n".to_owned(), Err("404 Not Found")),
            ("POST /metrics HTTP/1.1\r\n\r\n".to_owned(), Err("405 Method Not Allowed")),
            ("GET /metrics\r\n\r\n".to_owned(), Err("400 Bad Request")),
            ("GET /metrics HTTP/2.0\r\n\r\n".to_owned(), Err("400 Bad Request")),
            ("\u{16}\u{3}\u{1}\r\n\r\n".to_owned(), Err("400 Bad Request")),
        ] {
            assert_eq!(route(line.as_bytes()), answer, "{line:?}");
        }
    }

    /// What the server of the tests serves.
    fn served(format: MetricsFormat) -> String {
        match format {
            MetricsFormat::OpenMetrics => "page\n# EOF\n".to_owned(),
            MetricsFormat::Plain => "page\n".to_owned(),
        }
    }

    /// Sends bytes and returns everything that comes back.
    async fn ask(bytes: &[u8]) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(serve(listener, served));
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        let mut answer = Vec::new();
        // A server that closes with bytes unread resets; what was sent before still came.
        drop(stream.read_to_end(&mut answer).await);
        server.abort();
        String::from_utf8(answer).unwrap()
    }

    #[tokio::test]
    async fn the_page_is_served_whole_and_the_connection_closed() {
        let asks = "Accept: application/openmetrics-text\r\n";
        for (accept, kind, body) in [
            ("", "text/plain; version=0.0.4; charset=utf-8", "page\n"),
            ("Accept: */*\r\n", "text/plain; version=0.0.4; charset=utf-8", "page\n"),
            (asks, "application/openmetrics-text; version=1.0.0; charset=utf-8", "page\n# EOF\n"),
        ] {
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nVary: Accept\r\n\
                 Connection: close\r\n\r\n",
                body.len()
            );
            let get = format!("GET /metrics HTTP/1.1\r\nHost: x\r\n{accept}\r\n");
            assert_eq!(ask(get.as_bytes()).await, format!("{head}{body}"));
            let only_head = format!("HEAD /metrics HTTP/1.1\r\nHost: x\r\n{accept}\r\n");
            assert_eq!(ask(only_head.as_bytes()).await, head);
        }
    }

    #[tokio::test]
    async fn a_head_without_an_end_is_refused() {
        let answer = ask(&[b'x'; HEAD_LIMIT]).await;
        assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_says_nothing_is_sent_away() {
        let answer = ask(b"GET /met").await;
        assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn silent_connections_keep_no_scrape_out() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(serve(listener, served));
        let mut silent = Vec::new();
        for round in 0..8 {
            for _ in 0..CONNECTIONS {
                let mut stream = TcpStream::connect(address).await.unwrap();
                stream.write_all(b"GET /met").await.unwrap();
                silent.push(stream);
            }
            // All of them within the time that each is given.
            let scrape = async {
                let mut stream = TcpStream::connect(address).await.unwrap();
                stream.write_all(b"GET /metrics HTTP/1.1\r\n\r\n").await.unwrap();
                let mut answer = String::new();
                stream.read_to_string(&mut answer).await.unwrap();
                answer
            };
            let answer = tokio::time::timeout(Duration::from_secs(2), scrape).await.unwrap();
            assert!(answer.ends_with("\r\n\r\npage\n"), "round {round}: {answer}");
        }
        // Those that were sent away for it are closed.
        let mut first = silent.swap_remove(0);
        let mut rest = Vec::new();
        let closed = tokio::time::timeout(Duration::from_secs(2), first.read_to_end(&mut rest));
        drop(closed.await.unwrap());
        server.abort();
    }

    #[tokio::test]
    async fn who_says_nothing_goes_first_and_of_those_who_has_the_most_connections() {
        let mut guests = Guests::default();
        for (address, has_asked) in [
            ("10.0.0.1", true),
            ("10.0.0.1", true),
            ("10.0.0.1", true),
            ("10.0.0.2", false),
            ("10.0.0.3", false),
            ("10.0.0.3", false),
        ] {
            let work = guests.tasks.spawn(std::future::pending());
            let has_asked = Arc::new(AtomicBool::new(has_asked));
            guests.open.push(Guest { address: address.parse().unwrap(), has_asked, work });
        }
        assert_eq!(guests.dispensable(), 4);
        for guest in &guests.open {
            guest.has_asked.store(true, Ordering::Relaxed);
        }
        assert_eq!(guests.dispensable(), 0);
    }
}
