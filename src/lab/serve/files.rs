//! A plain server of files: what a web server would be in front of a cache that `nix copy` wrote into a directory.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio::net::{TcpListener, TcpStream};

use super::http::{ServedRequest, read_request, write_answer, write_head};
use crate::lab::error::LabError;

const KEEP_ALIVE: Duration = Duration::from_mins(1);

/// Serves until the process is ended.
pub(crate) async fn serve(listen: SocketAddr, directory: PathBuf) -> Result<(), LabError> {
    let listener = TcpListener::bind(listen)
        .await
        .map_err(|source| LabError::Serve { address: listen.to_string(), source })?;
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        tokio::spawn(connection(stream, directory.clone()));
    }
}

async fn connection(mut stream: TcpStream, directory: PathBuf) {
    let _ = stream.set_nodelay(true);
    let mut buffer = Vec::new();
    while let Ok(Some(request)) = read_request(&mut stream, &mut buffer, KEEP_ALIVE).await {
        if answer(&directory, &request, &mut stream).await.is_err() || request.close {
            break;
        }
    }
}

async fn answer(
    directory: &Path,
    request: &ServedRequest,
    stream: &mut TcpStream,
) -> io::Result<()> {
    let Some(path) = locate(directory, &request.path) else { return not_found(stream).await };
    let Ok(mut file) = tokio::fs::File::open(&path).await else { return not_found(stream).await };
    let about = file.metadata().await?;
    if !about.is_file() {
        return not_found(stream).await;
    }
    let size = about.len();
    let kind = content_type(&request.path);
    let (first, length) = match request.range {
        Some((first, last)) if first < size => {
            let last = last.unwrap_or(u64::MAX).min(size - 1);
            let length = (last + 1).saturating_sub(first);
            let range = format!("Content-Range: bytes {first}-{last}/{size}\r\n");
            write_head(stream, "206 Partial Content", kind, length, &range).await?;
            (first, length)
        }
        _ => {
            write_head(stream, "200 OK", kind, size, "Accept-Ranges: bytes\r\n").await?;
            (0, size)
        }
    };
    if request.method == "HEAD" {
        return Ok(());
    }
    file.seek(io::SeekFrom::Start(first)).await?;
    let sent = tokio::io::copy(&mut file.take(length), stream).await?;
    if sent == length { Ok(()) } else { Err(io::Error::other("the file became shorter")) }
}

async fn not_found(stream: &mut TcpStream) -> io::Result<()> {
    write_answer(stream, "404 Not Found", "text/plain", "not found\n").await
}

/// The file that a request names, never one outside the directory.
fn locate(directory: &Path, path: &str) -> Option<PathBuf> {
    let plain =
        |part: &str| !part.is_empty() && part != "." && part != ".." && !part.contains('\0');
    let path = path.strip_prefix('/')?;
    path.split('/').all(plain).then(|| directory.join(path))
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit('.').next() {
        Some("narinfo") => "text/x-nix-narinfo",
        Some("zst" | "xz" | "nar") => "application/x-nix-nar",
        _ => "text/plain",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_stays_inside_the_directory() {
        let directory = Path::new("/srv/cache");
        assert_eq!(locate(directory, "/nar/a.nar.zst"), Some("/srv/cache/nar/a.nar.zst".into()));
        for outside in ["/../x", "/a/../../x", "//etc/passwd", "/", "x"] {
            assert_eq!(locate(directory, outside), None, "{outside}");
        }
    }
}
