//! An answer to one request, and the line about it in the log.
//!
//! The line is Apache's combined format as nix-serve-ng writes it (wai-logger, `apacheLogStr`): before the answer is sent, with
//! `-` for a size that the head does not name, which only its narinfos do, and an empty pair of quotes for what the client left out.

use std::io::{self, Write as _};
use std::net::IpAddr;

use jiff::Zoned;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::http::{ServedRequest, write_head};

/// A request and the connection that it came on.
pub(crate) struct Talk<'a> {
    pub(crate) stream: &'a mut TcpStream,
    pub(crate) peer: IpAddr,
    pub(crate) request: &'a ServedRequest,
}

impl Talk<'_> {
    /// Logs, and answers whole.
    pub(crate) async fn answer(
        &mut self,
        status: &str,
        content_type: &str,
        body: &str,
    ) -> io::Result<()> {
        self.head(status, content_type, body.len() as u64).await?;
        self.stream.write_all(body.as_bytes()).await
    }

    /// Logs, and writes the head of an answer whose body has a known length.
    pub(crate) async fn head(
        &mut self,
        status: &str,
        content_type: &str,
        length: u64,
    ) -> io::Result<()> {
        let size = if content_type == "text/x-nix-narinfo" { Some(length) } else { None };
        let now = Zoned::now().strftime("%d/%b/%Y:%H:%M:%S %z").to_string();
        let line = line(self.peer, &now, self.request, status, size);
        // A log that cannot be written holds up no request.
        drop(io::stdout().write_all(line.as_bytes()));
        write_head(self.stream, status, content_type, length, "").await
    }
}

/// Returns the line about a request.
fn line(
    peer: IpAddr,
    now: &str,
    request: &ServedRequest,
    status: &str,
    size: Option<u64>,
) -> String {
    let code = status.split(' ').next().unwrap_or_default();
    let size = size.map_or("-".to_owned(), |size| size.to_string());
    let ServedRequest { line, agent, .. } = request;
    format!("{peer} - - [{now}] \"{line}\" {code} {size} \"\" \"{agent}\"\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_logged_as_apache_does() {
        let request = ServedRequest {
            method: "GET".to_owned(),
            path: "/x.narinfo".to_owned(),
            line: "GET /x.narinfo HTTP/1.1".to_owned(),
            agent: "curl/8.14.1 Nix/2.31.2".to_owned(),
            range: None,
            close: false,
        };
        let peer = IpAddr::from([10, 213, 0, 4]);
        let now = "21/Nov/2026:08:00:00 +0000";
        assert_eq!(
            line(peer, now, &request, "200 OK", Some(441)),
            "10.213.0.4 - - [21/Nov/2026:08:00:00 +0000] \"GET /x.narinfo HTTP/1.1\" 200 441 \"\" \
             \"curl/8.14.1 Nix/2.31.2\"\n"
        );
        let none = ServedRequest { agent: String::new(), ..request };
        assert!(line(peer, now, &none, "404 Not Found", None).ends_with(" 404 - \"\" \"\"\n"));
    }
}
