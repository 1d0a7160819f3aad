//! Reads what curl on a host said: pure.

use crate::fleet::printable_line;
use crate::probe::transport::{HttpReply, RequestError, RequestTrouble};
use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

/// What became of one address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CurlLine {
    pub(super) seen: Result<HttpReply, RequestError>,
    /// Where the server sends us, as it says: perhaps relative.
    pub(super) redirect: Option<String>,
    /// The address that was connected to.
    pub(super) peer: Option<IpAddr>,
    /// Whether nobody took what came any more.
    pub(super) is_cut: bool,
}

/// Returns what curl is told to print after each answer; `to` is nothing or `%{stderr}`.
///
/// The header as it is (7.83 and later), not `redirect_url`: into that one curl writes the password
/// that it took from the netrc.
pub(super) fn write_out(to: &str, mark: &str) -> String {
    format!(
        "write-out = \"{to}\\n{mark} %{{http_code}} %{{time_connect}} %{{time_appconnect}} \
         %{{time_starttransfer}} %{{num_connects}} %{{exitcode}} %{{remote_ip}} %{{url}} \
         %header{{location}} %{{errormsg}}\\n\""
    )
}

/// Reads what curl printed: each answer, and a line that begins with the mark after it. Returns
/// one answer per address, none for one that curl did not come to.
pub(super) fn read(text: &str, mark: &str, urls: &[String]) -> Vec<Option<CurlLine>> {
    let mut places: HashMap<&str, Vec<usize>> = HashMap::new();
    for (place, url) in urls.iter().enumerate() {
        places.entry(url).or_default().push(place);
    }
    let mut told: Vec<Option<CurlLine>> = vec![None; urls.len()];
    let mut rest = text;
    let begin = format!("\n{mark} ");
    while let Some((body, after)) = rest.split_once(&begin) {
        let (line, next) = after.split_once('\n').unwrap_or((after, ""));
        rest = next;
        let words: Vec<&str> = line.splitn(10, ' ').collect();
        let [status, connect, secured, first_byte, connects, exit, peer, url, to, message] =
            words[..]
        else {
            continue;
        };
        let figures = [status, connect, secured, first_byte, connects, exit];
        let seen = answer(url, figures, message, body);
        let found = CurlLine {
            seen,
            redirect: (!to.is_empty()).then(|| to.to_owned()),
            peer: peer.parse().ok(),
            is_cut: exit == "23",
        };
        for place in places.get(url).into_iter().flatten() {
            told[*place] = Some(found.clone());
        }
    }
    told
}

/// Says what one line of figures about an address means.
pub(super) fn answer(
    url: &str,
    figures: [&str; 6],
    message: &str,
    body: &str,
) -> Result<HttpReply, RequestError> {
    let [status, connect, secured, first_byte, connects, exit] = figures;
    let time = |text: &str| {
        text.parse().ok().and_then(|s| Duration::try_from_secs_f64(s).ok()).unwrap_or_default()
    };
    // Without TLS, and on a connection that was open, one or both are zero.
    let (ready, first_byte) = (time(connect).max(time(secured)), time(first_byte));
    let status = status.parse::<u16>().ok().filter(|status| *status != 0);
    let status = status.ok_or_else(|| why(url, exit, message))?;
    if exit == "63" {
        let cause = format!("answered {status} with more than {}", limit_words());
        return Err(RequestError::new(url, &cause, ""));
    }
    Ok(HttpReply {
        status,
        headers: HashMap::new(),
        body: body.as_bytes().to_vec(),
        first_byte: first_byte.saturating_sub(ready),
        connect: (connects != "0" && !ready.is_zero()).then_some(ready),
        is_http2: false,
    })
}

/// Returns how long an answer may be, in words.
pub(super) fn limit_words() -> String {
    format!("{} kB, and was cut off", crate::nix::narinfo::SIZE_LIMIT / 1000)
}

/// Says why curl got no answer, and whether that says anything of the cache.
pub(super) fn why(url: &str, exit: &str, message: &str) -> RequestError {
    let message = printable_line(message);
    let told = |hint: &str| {
        if message.is_empty() { hint.to_owned() } else { format!("{hint} ({message})") }
    };
    if let Some(reason) = own_trouble(exit) {
        return RequestError::setup(url, &told(reason), "");
    }
    let is_time_wrong = ["certificate has expired", "certificate is not yet valid"]
        .iter()
        .any(|sign| exit == "60" && message.contains(sign));
    if is_time_wrong {
        let error = RequestError::new(url, &told("its TLS certificate is refused there"), "");
        return RequestError { trouble: RequestTrouble::Certificate, ..error };
    }
    let cause = told(match exit {
        "5" | "97" => "the proxy refuses the request",
        "6" => "its name does not resolve there",
        "7" => "nothing listens there, or a firewall blocks it",
        "28" => "no answer within the time limit: overloaded, asleep, or a firewall blocks it",
        "35" | "60" => "its certificate is not trusted there",
        _ => "curl could not get an answer",
    });
    RequestError::new(url, &cause, "")
}

/// Says what kept curl itself from asking, by its exit code (`curl(1)`, EXIT CODES); nothing where
/// the code is about the server or the way to it.
pub(crate) fn own_trouble(exit: &str) -> Option<&'static str> {
    match exit {
        "1" => Some("its curl was built without HTTP"),
        "2" | "43" | "48" => Some("its curl refuses the options that nixdash gives it"),
        "3" => Some("its curl cannot read the address"),
        "4" => Some("its curl was built without something that is needed, such as aws-sigv4"),
        "23" => Some("its curl could not write the answer"),
        "26" | "37" => {
            Some("its curl could not read a file that it was told to, such as netrc-file")
        }
        "27" => Some("there was no memory for curl"),
        "45" | "53" | "54" | "58" | "59" | "66" | "94" => {
            Some("its curl could not use a setting that it was given")
        }
        "77" => Some(
            "the certificates that its Nix settings name (ssl-cert-file) cannot be read, so Nix \
             cannot use HTTPS there either",
        ),
        "127" => Some("it has no curl to ask with; add it to its system"),
        _ => None,
    }
}
