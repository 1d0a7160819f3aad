//! A stand-in for nix-serve: serves the live store of the host it runs on, signing as it goes.
//!
//! It has nix-serve's habits on purpose: five workers, each busy with one connection at a time; an idle connection is closed
//! after a second; the method is ignored, so that HEAD of a nar writes the nar; no compression, no metrics, no ranges.
//! Of nix-serve-ng it has the log: a line per request on standard output, as Apache writes it.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::process::Command;

use super::daemon::Daemon;
use super::fault::Faults;
use super::http::{ServedRequest, read_request};
use super::narinfo::PathInfo;
use super::talk::Talk;
use crate::lab::error::LabError;
use crate::lab::keys::CacheKey;

const WORKERS: usize = 5;
const KEEP_ALIVE: Duration = Duration::from_secs(1);
const SOCKET: &str = "/nix/var/nix/daemon-socket/socket";
const INFO: &str = "StoreDir: /nix/store\nWantMassQuery: 1\nPriority: 30\n";
const NO_SUCH_PATH: &str = "No such path.\n";

/// What every worker needs to know.
struct StoreServer {
    key: CacheKey,
    wrong_key: CacheKey,
    fault_file: PathBuf,
}

/// Serves until the process is ended.
pub(crate) async fn serve(
    listen: SocketAddr,
    secret_key: &Path,
    fault_file: PathBuf,
) -> Result<(), LabError> {
    let key = CacheKey::read(secret_key)?;
    let listener = TcpListener::bind(listen)
        .await
        .map_err(|source| LabError::Serve { address: listen.to_string(), source })?;
    let listener = Arc::new(listener);
    let server = Arc::new(StoreServer { wrong_key: key.wrong(), key, fault_file });
    let mut workers = tokio::task::JoinSet::new();
    for _ in 0..WORKERS {
        workers.spawn(work(Arc::clone(&listener), Arc::clone(&server)));
    }
    while workers.join_next().await.is_some() {}
    Ok(())
}

/// One worker: takes a connection, stays with it until it is closed, takes the next.
async fn work(listener: Arc<TcpListener>, server: Arc<StoreServer>) {
    let mut daemon = None;
    loop {
        let Ok((mut stream, peer)) = listener.accept().await else { continue };
        let _ = stream.set_nodelay(true);
        let mut buffer = Vec::new();
        while let Ok(Some(request)) = read_request(&mut stream, &mut buffer, KEEP_ALIVE).await {
            let faults = Faults::read(&server.fault_file);
            faults.delay().await;
            let mut talk = Talk { stream: &mut stream, peer: peer.ip(), request: &request };
            if answer(&server, faults, &mut daemon, &request, &mut talk).await.is_err()
                || request.close
            {
                break;
            }
        }
    }
}

async fn answer(
    server: &StoreServer,
    faults: Faults,
    daemon: &mut Option<Daemon>,
    request: &ServedRequest,
    talk: &mut Talk<'_>,
) -> io::Result<()> {
    let path = request.path.as_str();
    if faults.token_expired {
        return talk.answer("401 Unauthorized", "text/plain", "Who are you?\n").await;
    }
    if path == "/nix-cache-info" {
        return talk.answer("200 OK", "text/plain", INFO).await;
    }
    if let Some(hash) = path.strip_prefix('/').and_then(|name| name.strip_suffix(".narinfo")) {
        let Some(info) = look_up(daemon, hash).await? else { return not_found(talk).await };
        let key = if faults.wrong_key { &server.wrong_key } else { &server.key };
        return talk.answer("200 OK", "text/x-nix-narinfo", &info.narinfo(key)).await;
    }
    if let Some(name) = path.strip_prefix("/nar/").and_then(|name| name.strip_suffix(".nar")) {
        let (hash, nar_hash) =
            name.split_once('-').map_or((name, None), |(hash, nar)| (hash, Some(nar)));
        if faults.nar_missing {
            return not_found(talk).await;
        }
        let Some(info) = look_up(daemon, hash).await? else { return not_found(talk).await };
        if nar_hash.is_some_and(|nar_hash| nar_hash != info.nar_hash) {
            let text = "Incorrect NAR hash. Maybe the path has been recreated.\n";
            return talk.answer("404 Not Found", "text/plain", text).await;
        }
        return write_nar(talk, &info, faults.corrupt_nar).await;
    }
    if let Some(name) = path.strip_prefix("/log/") {
        let log = Command::new("nix-store")
            .args(["--read-log", &format!("/nix/store/{name}")])
            .output()
            .await?;
        if log.status.success() {
            let text = String::from_utf8_lossy(&log.stdout);
            return talk.answer("200 OK", "text/plain", &text).await;
        }
    }
    talk.answer("404 Not Found", "text/plain", "File not found.\n").await
}

async fn not_found(talk: &mut Talk<'_>) -> io::Result<()> {
    talk.answer("404 Not Found", "text/plain", NO_SUCH_PATH).await
}

/// Asks the store about a hash; connects again where the daemon was restarted meanwhile.
async fn look_up(daemon: &mut Option<Daemon>, hash: &str) -> io::Result<Option<PathInfo>> {
    let valid = hash.len() == 32
        && hash.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    if !valid {
        return Ok(None);
    }
    for attempt in 0..2 {
        let mut connection = match daemon.take() {
            Some(connection) => connection,
            None => Daemon::connect(Path::new(SOCKET)).await?,
        };
        match ask(&mut connection, hash).await {
            Ok(info) => {
                *daemon = Some(connection);
                return Ok(info);
            }
            Err(error) if attempt == 1 => return Err(error),
            Err(_) => {}
        }
    }
    Ok(None)
}

async fn ask(daemon: &mut Daemon, hash: &str) -> io::Result<Option<PathInfo>> {
    match daemon.path_with_hash(hash).await? {
        Some(path) => daemon.path_info(&path).await,
        None => Ok(None),
    }
}

/// Streams a nar as the store has it now.
async fn write_nar(talk: &mut Talk<'_>, info: &PathInfo, corrupt: bool) -> io::Result<()> {
    let mut dump = Command::new("nix-store")
        .args(["--dump", &info.path])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let mut nar = dump.stdout.take().ok_or_else(|| io::Error::other("nix-store has no output"))?;
    talk.head("200 OK", "text/plain", info.nar_size).await?;
    let flipped = corrupt.then_some(info.nar_size / 2);
    let mut buffer = vec![0; 64 * 1024];
    let mut position = 0;
    loop {
        let count = nar.read(&mut buffer).await?;
        if count == 0 {
            break;
        }
        if let Some(byte) =
            flipped.and_then(|at| at.checked_sub(position)).filter(|at| *at < count as u64)
        {
            buffer[byte as usize] ^= 1;
        }
        talk.stream.write_all(&buffer[..count]).await?;
        position += count as u64;
    }
    dump.wait().await?;
    if position == info.nar_size { Ok(()) } else { Err(io::Error::other("the nar ended early")) }
}
