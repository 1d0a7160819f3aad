//! A recorded server: answers with files kept under `tests/answers/KIND/`, has the habits of the
//! real one, and fails the test on a request that the kind has not declared.
//!
//! A file is an answer as it goes over the wire: status line, headers, empty line, body. The list
//! of what may be asked is `declared.txt` beside them, apart from the product's own list.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

/// How a server treats connections.
#[derive(Clone, Copy)]
pub(crate) struct Habits {
    /// How many connections it serves at once; the others wait.
    workers: usize,
    /// How long it keeps a connection that nothing is asked on.
    keep_alive: Duration,
    /// Whether it answers HEAD with the whole body.
    body_on_head: bool,
}

/// A server as most are.
pub(crate) const PLAIN: Habits =
    Habits { workers: 200, keep_alive: Duration::from_secs(60), body_on_head: false };

/// nix-serve under Starman: five workers, one a connection, and the method is ignored.
pub(crate) const NIX_SERVE: Habits =
    Habits { workers: 5, keep_alive: Duration::from_secs(1), body_on_head: true };

/// What a server does with a request.
#[derive(Clone)]
enum Answer {
    /// Sends a file.
    File(String),
    /// Sends a redirect.
    Redirect(String),
    /// Lists, as Cachix does, which of the hashes in the body are not among these.
    Missing(Vec<String>),
    /// Lists the same as attic does.
    MissingPaths(Vec<String>),
    /// Sends a body without end, until the other side hangs up.
    Endless,
    /// Sends the head of a file, and hangs up where its body should begin.
    Broken(String),
}

/// A request, as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    /// Such as `GET`.
    pub(crate) method: String,
    /// With the query.
    pub(crate) target: String,
    /// Names in lower case.
    pub(crate) headers: HashMap<String, String>,
    /// What was posted.
    pub(crate) body: String,
}

impl Request {
    /// Returns the path without the query.
    fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }
}

/// What can be changed while it runs.
#[derive(Default)]
struct Script {
    answers: HashMap<(String, String), Answer>,
    always: Option<String>,
    lock: Option<(String, String)>,
    delay: Duration,
    asked: Vec<Request>,
    undeclared: Vec<String>,
    connections: usize,
    most_connections: usize,
    all_connections: usize,
}

/// A server on a port of its own that ends with the test's runtime.
pub(crate) struct Recorded {
    /// Its address, without a trailing slash.
    pub(crate) url: String,
    state: Arc<State>,
}

/// What its connections share.
struct State {
    folder: PathBuf,
    declared: Vec<(String, String)>,
    habits: Habits,
    workers: Semaphore,
    script: Mutex<Script>,
}

impl Recorded {
    /// Starts a server of a kind, with the answers in its folder.
    pub(crate) async fn start(kind: &str, habits: Habits) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/answers").join(kind);
        let declared = std::fs::read_to_string(folder.join("declared.txt")).unwrap();
        let declared = declared
            .lines()
            .filter_map(|line| line.split_once(' '))
            .map(|(method, pattern)| (method.to_owned(), pattern.to_owned()))
            .collect();
        let workers = Semaphore::new(habits.workers);
        let state = Arc::new(State { folder, declared, habits, workers, script: Mutex::default() });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let shared = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&shared)));
            }
        });
        Self { url, state }
    }

    /// Answers a path with a file.
    pub(crate) fn on(&self, method: &str, path: &str, file: &str) -> &Self {
        self.answer(method, path, Answer::File(file.to_owned()))
    }

    /// Answers a path with a redirect.
    pub(crate) fn redirect(&self, path: &str, to: &str) -> &Self {
        self.answer("GET", path, Answer::Redirect(to.to_owned()))
    }

    /// Answers a bulk question as Cachix does, for a cache that holds these hashes.
    pub(crate) fn holds(&self, path: &str, hashes: &[&str]) -> &Self {
        let hashes = hashes.iter().map(|hash| (*hash).to_owned()).collect();
        self.answer("POST", path, Answer::Missing(hashes))
    }

    /// Answers a bulk question as attic does, for a cache that holds these hashes.
    pub(crate) fn holds_paths(&self, path: &str, hashes: &[&str]) -> &Self {
        let hashes = hashes.iter().map(|hash| (*hash).to_owned()).collect();
        self.answer("POST", path, Answer::MissingPaths(hashes))
    }

    /// Answers a path with a body that never ends.
    pub(crate) fn endless(&self, path: &str) -> &Self {
        self.answer("GET", path, Answer::Endless)
    }

    /// Answers a path with the head of a file only, and hangs up: a server that sends as it reads
    /// finds out too late that it cannot.
    pub(crate) fn breaks_off(&self, path: &str, file: &str) -> &Self {
        self.answer("GET", path, Answer::Broken(file.to_owned()))
    }

    /// Answers everything with a file from now on; nothing ends that.
    pub(crate) fn always(&self, file: Option<&str>) -> &Self {
        self.script().always = file.map(str::to_owned);
        self
    }

    /// Lets nobody in without this authorization: the others are sent a file.
    pub(crate) fn lock(&self, authorization: &str, file: &str) -> &Self {
        self.script().lock = Some((authorization.to_owned(), file.to_owned()));
        self
    }

    /// Waits before every answer.
    pub(crate) fn delay(&self, time: Duration) -> &Self {
        self.script().delay = time;
        self
    }

    /// Returns what was asked, and forgets it.
    pub(crate) fn take_asked(&self) -> Vec<Request> {
        std::mem::take(&mut self.script().asked)
    }

    /// Returns `METHOD path` of what was asked, and forgets it.
    pub(crate) fn take_lines(&self) -> Vec<String> {
        let asked = self.take_asked();
        asked.iter().map(|request| format!("{} {}", request.method, request.path())).collect()
    }

    /// Returns the most connections that were served at once, and all there were.
    pub(crate) fn connections(&self) -> (usize, usize) {
        let script = self.script();
        (script.most_connections, script.all_connections)
    }

    /// Returns the patterns that may be asked, `METHOD pattern` each.
    pub(crate) fn declared(&self) -> Vec<String> {
        let declared = self.state.declared.iter();
        declared.map(|(method, pattern)| format!("{method} {pattern}")).collect()
    }

    fn answer(&self, method: &str, path: &str, answer: Answer) -> &Self {
        self.script().answers.insert((method.to_owned(), path.to_owned()), answer);
        self
    }

    fn script(&self) -> std::sync::MutexGuard<'_, Script> {
        self.state.script.lock().unwrap()
    }
}

impl Drop for Recorded {
    fn drop(&mut self) {
        let undeclared = std::mem::take(&mut self.script().undeclared);
        if !std::thread::panicking() {
            assert!(undeclared.is_empty(), "not declared: {undeclared:#?}");
        }
    }
}

/// Serves one connection, when a worker is free.
async fn serve(stream: TcpStream, state: Arc<State>) {
    let _worker = state.workers.acquire().await.unwrap();
    {
        let mut script = state.script.lock().unwrap();
        script.connections += 1;
        script.all_connections += 1;
        script.most_connections = script.most_connections.max(script.connections);
    }
    let mut stream = BufReader::new(stream);
    while let Ok(Some(request)) =
        tokio::time::timeout(state.habits.keep_alive, read(&mut stream)).await
    {
        if respond(&mut stream, &state, request).await.is_none() {
            break;
        }
    }
    state.script.lock().unwrap().connections -= 1;
}

/// Reads a request; nothing at the end.
async fn read(stream: &mut BufReader<TcpStream>) -> Option<Request> {
    let mut line = String::new();
    if stream.read_line(&mut line).await.ok()? == 0 {
        return None;
    }
    let mut words = line.split(' ').map(str::to_owned);
    let (method, target) = (words.next()?, words.next()?);
    let mut headers = HashMap::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.ok()?;
        let Some((name, value)) = line.trim().split_once(':') else { break };
        headers.insert(name.to_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    Some(Request { method, target, headers, body: String::from_utf8(body).ok()? })
}

/// Decides what to send, and sends it.
async fn respond(stream: &mut BufReader<TcpStream>, state: &State, request: Request) -> Option<()> {
    let path = request.path().to_owned();
    let (answer, delay) = {
        let mut script = state.script.lock().unwrap();
        let declared = state
            .declared
            .iter()
            .any(|(method, pattern)| *method == request.method && fits(pattern, &path));
        if !declared {
            script.undeclared.push(format!("{} {}", request.method, request.target));
        }
        script.asked.push(request.clone());
        let let_in = script
            .lock
            .as_ref()
            .is_none_or(|(wanted, _)| request.headers.get("authorization") == Some(wanted));
        let as_get = if state.habits.body_on_head { "GET" } else { request.method.as_str() };
        let answer = match (&script.lock, &script.always) {
            (Some((_, file)), _) if !let_in => Some(Answer::File(file.clone())),
            (_, Some(file)) => Some(Answer::File(file.clone())),
            _ => script
                .answers
                .get(&(request.method.clone(), path.clone()))
                .or_else(|| script.answers.get(&(as_get.to_owned(), path.clone())))
                .cloned(),
        };
        (answer, script.delay)
    };
    tokio::time::sleep(delay).await;
    let (head, body) = match answer {
        Some(Answer::File(file)) => {
            let text = std::fs::read_to_string(state.folder.join(&file)).unwrap();
            let (head, body) = text.split_once("\n\n").unwrap_or((&text, ""));
            (head.to_owned(), body.to_owned())
        }
        Some(Answer::Redirect(to)) => {
            (format!("HTTP/1.1 302 Found\nLocation: {to}"), String::new())
        }
        Some(Answer::Missing(held)) => {
            let asked: Vec<String> = serde_json::from_str(&request.body).unwrap();
            (json(), serde_json::to_string(&missing(asked, &held)).unwrap())
        }
        Some(Answer::MissingPaths(held)) => {
            let asked: serde_json::Value = serde_json::from_str(&request.body).unwrap();
            let asked = serde_json::from_value(asked["store_path_hashes"].clone()).unwrap();
            (json(), serde_json::json!({ "missing_paths": missing(asked, &held) }).to_string())
        }
        Some(Answer::Endless) => return endless(stream).await,
        Some(Answer::Broken(file)) => {
            let text = std::fs::read_to_string(state.folder.join(&file)).unwrap();
            let head = text.split("\n\n").next().unwrap_or_default().replace('\n', "\r\n");
            let head = format!("{head}\r\nTransfer-Encoding: chunked\r\n\r\n");
            stream.write_all(head.as_bytes()).await.ok()?;
            stream.flush().await.ok()?;
            return None;
        }
        None => ("HTTP/1.1 404 Not Found".to_owned(), "No such path.\n".to_owned()),
    };
    let (head, body) = not_modified(&request, head, body);
    let mut out = head.replace('\n', "\r\n");
    if !head.starts_with("HTTP/1.1 304") && !head.starts_with("HTTP/1.1 204") {
        out.push_str("\r\nContent-Length: ");
        out.push_str(&body.len().to_string());
    }
    out.push_str("\r\n\r\n");
    if request.method != "HEAD" || state.habits.body_on_head {
        out.push_str(&body);
    }
    stream.write_all(out.as_bytes()).await.ok()?;
    stream.flush().await.ok()
}

/// Returns the head of an answer in JSON.
fn json() -> String {
    "HTTP/1.1 200 OK\nContent-Type: application/json;charset=utf-8".to_owned()
}

/// Returns which hashes are not held.
fn missing(asked: Vec<String>, held: &[String]) -> Vec<String> {
    asked.into_iter().filter(|hash| !held.contains(hash)).collect()
}

/// Answers 304 where the request has the entity tag of the answer, as GitHub does.
fn not_modified(request: &Request, head: String, body: String) -> (String, String) {
    let tag = head.lines().find_map(|line| line.strip_prefix("ETag: "));
    match (tag, request.headers.get("if-none-match")) {
        (Some(tag), Some(known)) if tag == known => {
            let headers = head.split_once('\n').map(|(_, headers)| headers).unwrap_or_default();
            (format!("HTTP/1.1 304 Not Modified\n{headers}"), String::new())
        }
        _ => (head, body),
    }
}

/// Sends a nar until the other side hangs up; at most 1 GiB, which fails the test by its time.
async fn endless(stream: &mut BufReader<TcpStream>) -> Option<()> {
    let length: usize = 1 << 30;
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.ok()?;
    let mut chunk = vec![b'x'; 1 << 16];
    chunk[..24].copy_from_slice(b"\x0d\0\0\0\0\0\0\0nix-archive-1\0\0\0");
    for _ in 0..length / chunk.len() {
        stream.write_all(&chunk).await.ok()?;
    }
    None
}

/// Returns whether a path fits a pattern, in which `*` stands for any text.
fn fits(pattern: &str, path: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == path,
        Some((before, after)) => path
            .strip_prefix(before)
            .is_some_and(|rest| (0..=rest.len()).any(|at| fits(after, &rest[at..]))),
    }
}
