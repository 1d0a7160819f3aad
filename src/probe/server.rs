//! A small HTTP server for tests: answers from a table, and counts.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// A path that a real Nix signed with [`KEY`].
pub(super) const PATH: &str = "/nix/store/p21fy4sc5b87h3ma8y0mbiph36v5yfk7-a-1.0";

/// The key of [`NARINFO`]'s signature.
pub(super) const KEY: &str = "test-1:84lYE1B4WYBhgRnr4i3CGQuBrqMejfmimNytE5731+M=";

/// The narinfo of [`PATH`], as a real Nix wrote it.
pub(super) const NARINFO: &str = "StorePath: /nix/store/p21fy4sc5b87h3ma8y0mbiph36v5yfk7-a-1.0\n\
    URL: nar/x.nar.xz\n\
    NarHash: sha256:0p3l2z3riilylr2rxb1aq2blxdfxg55wbgp4gxkns93srbr4bwyq\n\
    NarSize: 120\nReferences: \n\
    Sig: test-1:kSf2Du9hukyeeNYSa2bKdTH8PrXtZddli5mvfdYfaNnED+dN+qtmdEsnA9OuiKt+MwOhE5K71hLSbyqDAdWeAg==\n";

/// Returns a narinfo of another path that a Nix would read, though nobody signed it.
pub(super) fn narinfo_of(path: &str) -> String {
    NARINFO.replace(PATH, path)
}

/// A server on a port of its own that ends with the test's runtime.
pub(super) struct Server {
    /// Its address, without a trailing slash.
    pub(super) url: String,
    state: Arc<State>,
}

/// What its connections share.
struct State {
    files: Mutex<HashMap<String, (u16, String)>>,
    asked: Mutex<Vec<String>>,
    authorized: Mutex<Vec<String>>,
    open: AtomicUsize,
    most_open: AtomicUsize,
}

impl Server {
    /// Starts a server with these files: path, status, body; anything else is 404. The body of a
    /// redirect is where it leads.
    pub(super) async fn start(files: &[(&str, u16, &str)]) -> Self {
        Self::start_at("127.0.0.1", files).await
    }

    /// Does what [`Server::start`] does, at another address of this machine.
    pub(super) async fn start_at(address: &str, files: &[(&str, u16, &str)]) -> Self {
        let files = files
            .iter()
            .map(|(path, status, body)| ((*path).to_owned(), (*status, (*body).to_owned())));
        let state = Arc::new(State {
            files: Mutex::new(files.collect()),
            asked: Mutex::default(),
            authorized: Mutex::default(),
            open: AtomicUsize::new(0),
            most_open: AtomicUsize::new(0),
        });
        let listener = TcpListener::bind((address, 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let shared = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&shared)));
            }
        });
        Self { url, state }
    }

    /// Answers otherwise from now on.
    pub(super) fn set(&self, path: &str, status: u16, body: &str) {
        let mut files = self.state.files.lock().unwrap_or_else(PoisonError::into_inner);
        files.insert(path.to_owned(), (status, body.to_owned()));
    }

    /// Returns the paths that were asked for, in order.
    pub(super) fn asked(&self) -> Vec<String> {
        self.state.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns the paths that were asked for with credentials, in order.
    pub(super) fn authorized(&self) -> Vec<String> {
        self.state.authorized.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns the most requests that were open at once.
    pub(super) fn most_open(&self) -> usize {
        self.state.most_open.load(Ordering::SeqCst)
    }
}

/// Answers the requests of one connection.
async fn serve(stream: TcpStream, state: Arc<State>) -> Option<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        let path = line.split(' ').nth(1)?.to_owned();
        while line.trim() != "" {
            line.clear();
            stream.read_line(&mut line).await.ok()?;
            if line.to_ascii_lowercase().starts_with("authorization:") {
                let mut all = state.authorized.lock().unwrap_or_else(PoisonError::into_inner);
                all.push(path.clone());
            }
        }
        let open = state.open.fetch_add(1, Ordering::SeqCst) + 1;
        state.most_open.fetch_max(open, Ordering::SeqCst);
        state.asked.lock().unwrap_or_else(PoisonError::into_inner).push(path.clone());
        // Lets others of the test be open meanwhile.
        tokio::task::yield_now().await;
        let missing = (404, "No such path.\n".to_owned());
        let file = state.files.lock().unwrap_or_else(PoisonError::into_inner).get(&path).cloned();
        let (status, body) = file.unwrap_or(missing);
        let to = if (300..400).contains(&status) {
            format!("Location: {body}\r\n")
        } else {
            String::new()
        };
        let head = format!("HTTP/1.1 {status} x\r\n{to}Content-Length: {}\r\n\r\n", body.len());
        state.open.fetch_sub(1, Ordering::SeqCst);
        stream.write_all(head.as_bytes()).await.ok()?;
        stream.write_all(body.as_bytes()).await.ok()?;
    }
}

/// A server that answers every request with a body without an end, and without saying how long it is.
pub(super) struct EndlessServer {
    /// Its address, without a trailing slash.
    pub(super) url: String,
    sent: Arc<AtomicUsize>,
}

impl EndlessServer {
    /// Starts one.
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let sent = Arc::new(AtomicUsize::new(0));
        let shared = Arc::clone(&sent);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let sent = Arc::clone(&shared);
                tokio::spawn(async move {
                    let mut line = String::new();
                    let mut reader = BufReader::new(&mut stream);
                    while reader.read_line(&mut line).await.is_ok_and(|count| count > 2) {
                        line.clear();
                    }
                    let mut chunk = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n".to_vec();
                    while stream.write_all(&chunk).await.is_ok() {
                        sent.fetch_add(chunk.len(), Ordering::SeqCst);
                        chunk = vec![b'x'; 1 << 16];
                    }
                });
            }
        });
        Self { url, sent }
    }

    /// Returns how many bytes it could send so far.
    pub(super) fn sent(&self) -> usize {
        self.sent.load(Ordering::SeqCst)
    }
}
