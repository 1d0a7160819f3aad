//! Which paths a cache holds: those of which it has a narinfo.

use crate::fleet::{StorePath, Tier};
use crate::probe::asking::Asking;
use crate::probe::transport::{AnswerPart, HttpRequest, Method, RequestError};
use futures_util::stream::StreamExt as _;

/// Asks which paths a cache has a narinfo of.
pub(in crate::probe) async fn held(
    asking: &Asking<'_>,
    paths: &[&StorePath],
) -> Result<Vec<bool>, RequestError> {
    let statuses = statuses(asking, paths, Method::Get).await?;
    // A bucket that may not be listed answers 403 for what it lacks, and so does one that lets
    // nobody in: what it says of itself tells which it is.
    if !statuses.is_empty() && statuses.iter().all(|status| *status == 403) {
        let reply = asking.send(HttpRequest::get(asking.info_url()).follow()).await?;
        if matches!(reply.status, 401 | 403) {
            return Err(closed(asking.tier, reply.status));
        }
    }
    Ok(statuses.into_iter().map(is_there).collect())
}

/// Does what [`held`] does, for servers that answer HEAD as they should.
pub(in crate::probe) async fn held_by_head(
    asking: &Asking<'_>,
    paths: &[&StorePath],
) -> Result<Vec<bool>, RequestError> {
    let statuses = statuses(asking, paths, Method::Head).await?;
    Ok(statuses.into_iter().map(is_there).collect())
}

/// Returns whether a status says that a narinfo is there.
fn is_there(status: u16) -> bool {
    matches!(status, 200 | 204)
}

/// Says that nothing is known of what a cache holds that lets nobody in.
fn closed(tier: &Tier, status: u16) -> RequestError {
    let cause = format!("answered {status} for nix-cache-info too: what it holds is not known");
    RequestError::new(&tier.url, &cause, "see why it does not let us in")
}

/// Asks for many narinfos; returns the status of each: it is there, or it is not. Ends with the first
/// answer that says neither.
async fn statuses(
    asking: &Asking<'_>,
    paths: &[&StorePath],
    method: Method,
) -> Result<Vec<u16>, RequestError> {
    let ask = |path: &&StorePath| {
        let url = asking.narinfo_url(path);
        let ask =
            if method == Method::Head { HttpRequest::head(url) } else { HttpRequest::get(url) };
        ask.part(AnswerPart::Status).follow()
    };
    let asks = paths.iter().map(ask).collect();
    let rules = asking.kind.rules();
    let mut answers = asking.transport.send_all(asking.tier, rules, asks, rules.at_once);
    let mut found = Vec::with_capacity(paths.len());
    while let Some(answer) = answers.next().await {
        let name = paths.get(found.len()).map_or("a path", |path| path.name());
        found.push(match answer?.status {
            status @ (200 | 204 | 403 | 404) => status,
            status => {
                let cause = format!("answered {status} for the narinfo of {name}");
                return Err(RequestError::new(
                    &asking.tier.url,
                    &cause,
                    "see the log of the cache",
                ));
            }
        });
    }
    Ok(found)
}
