//! As much of HTTP/1.1 as a binary cache needs: requests without a body, answers of a known length, connections kept alive.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A longer head is no request of Nix's.
const LONGEST_HEAD: usize = 16 * 1024;

/// A request, as far as it matters here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ServedRequest {
    pub(crate) method: String,
    /// Without the query.
    pub(crate) path: String,
    /// The whole first line, for logs.
    pub(crate) line: String,
    /// Who the client says it is; empty where it does not.
    pub(crate) agent: String,
    /// First and last byte asked for; the last may be left open.
    pub(crate) range: Option<(u64, Option<u64>)>,
    /// Whether the client wants the connection closed afterwards.
    pub(crate) close: bool,
}

/// Reads the next request; none when the client closes or says nothing for as long as a connection is kept.
pub(crate) async fn read_request(
    stream: &mut TcpStream,
    buffer: &mut Vec<u8>,
    keep: Duration,
) -> io::Result<Option<ServedRequest>> {
    loop {
        if let Some(end) = find(buffer, b"\r\n\r\n") {
            let head: Vec<u8> = buffer.drain(..end + 4).collect();
            return parse(&String::from_utf8_lossy(&head))
                .map(Some)
                .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "not an HTTP request"));
        }
        if buffer.len() > LONGEST_HEAD {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the head of the request is too long",
            ));
        }
        match tokio::time::timeout(keep, stream.read_buf(buffer)).await {
            Ok(Ok(0)) | Err(_) => return Ok(None),
            Ok(Ok(_)) => {}
            Ok(Err(error)) => return Err(error),
        }
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

fn parse(head: &str) -> Option<ServedRequest> {
    let mut lines = head.split("\r\n");
    let line = lines.next()?;
    let mut first = line.split(' ');
    let (method, target, version) = (first.next()?, first.next()?, first.next()?);
    let mut request = ServedRequest {
        method: method.to_owned(),
        path: target.split('?').next()?.to_owned(),
        line: line.to_owned(),
        agent: String::new(),
        range: None,
        close: version == "HTTP/1.0",
    };
    for line in lines {
        let Some((name, value)) = line.split_once(':') else { continue };
        let value = value.trim();
        if name.eq_ignore_ascii_case("connection") {
            request.close = value.eq_ignore_ascii_case("close");
        } else if name.eq_ignore_ascii_case("range") {
            request.range = parse_range(value);
        } else if name.eq_ignore_ascii_case("user-agent") {
            value.clone_into(&mut request.agent);
        }
    }
    Some(request)
}

fn parse_range(value: &str) -> Option<(u64, Option<u64>)> {
    let (first, last) = value.strip_prefix("bytes=")?.split_once('-')?;
    Some((first.parse().ok()?, if last.is_empty() { None } else { Some(last.parse().ok()?) }))
}

/// Writes the head of an answer whose body has a known length.
pub(crate) async fn write_head(
    stream: &mut TcpStream,
    status: &str,
    content_type: &str,
    length: u64,
    extra: &str,
) -> io::Result<()> {
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\nConnection: keep-alive\r\n{extra}\r\n"
    );
    stream.write_all(head.as_bytes()).await
}

/// Writes a small answer whole.
pub(crate) async fn write_answer(
    stream: &mut TcpStream,
    status: &str,
    content_type: &str,
    body: &str,
) -> io::Result<()> {
    write_head(stream, status, content_type, body.len() as u64, "").await?;
    stream.write_all(body.as_bytes()).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_read_with_its_range() {
        let request = parse("GET /nar/a.nar?x=1 HTTP/1.1\r\nHost: a\r\nRange: bytes=0-0\r\nUser-Agent: curl/8\r\nConnection: close\r\n\r\n").unwrap();
        assert_eq!(request.path, "/nar/a.nar");
        assert_eq!(request.line, "GET /nar/a.nar?x=1 HTTP/1.1");
        assert_eq!(request.agent, "curl/8");
        assert_eq!(request.range, Some((0, Some(0))));
        assert!(request.close);
    }

    #[test]
    fn an_open_range_has_no_last_byte() {
        assert_eq!(parse_range("bytes=100-"), Some((100, None)));
        assert_eq!(parse_range("bytes=-5"), None);
    }

    #[test]
    fn noise_is_no_request() {
        assert_eq!(parse("hello\r\n\r\n"), None);
    }
}
