//! The log of a build out of the `log/` of tiers, asked from this machine: it may reach one that the host that
//! builds does not.

use crate::fleet::{StorePath, Tier};
use crate::nix::build_log::{BuildLogError, end_of_log, log_path};
use crate::probe::kinds::kind_of;
use crate::probe::transport::http::HttpClient;
use crate::probe::transport::{DeclaredRequest, HttpRequest, Method, Rules};
use futures_util::future::join_all;

/// All that is asked here.
const REQUESTS: &[DeclaredRequest] = &[(Method::Get, "*/log/*.drv")];

static RULES: Rules = Rules::new(REQUESTS);

/// The largest file that is fetched, in bytes, as it is served.
const FILE_LIMIT: usize = 32 << 20;

/// A log that a tier has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TierLog {
    /// The tier.
    pub tier: String,
    /// The end of the log, or why it cannot be read.
    pub log: Result<String, BuildLogError>,
}

/// Asks tiers, all at once, for the log of a derivation, of which at most so many bytes are wanted; returns the
/// first that can be read in the order of the tiers, else the first that cannot, and nothing where no tier has it.
pub async fn build_log(
    web: &HttpClient,
    tiers: &[Tier],
    drv: &StorePath,
    most: usize,
) -> Option<TierLog> {
    let asked = tiers.iter().map(|tier| ask(web, tier, drv, most));
    let found: Vec<TierLog> = join_all(asked).await.into_iter().flatten().collect();
    found.iter().find(|found| found.log.is_ok()).or(found.first()).cloned()
}

/// Asks one tier.
async fn ask(web: &HttpClient, tier: &Tier, drv: &StorePath, most: usize) -> Option<TierLog> {
    let base = kind_of(tier).files_url(tier);
    if !base.starts_with("http") {
        return None;
    }
    let request = HttpRequest::get(format!("{base}/{}", log_path(drv))).follow().limit(FILE_LIMIT);
    let reply = web.ask(tier, &RULES, request).await;
    let reply = reply.inspect_err(|error| tracing::debug!(%error, "the log of a build")).ok()?;
    if reply.status != 200 || reply.body.is_empty() {
        return None;
    }
    let log = if reply.body.len() >= FILE_LIMIT {
        Err(BuildLogError::TooBig)
    } else {
        end_of_log(reply.header("content-encoding").as_deref(), &reply.body, most)
    };
    Some(TierLog { tier: tier.name.clone(), log })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::TierKind;
    use crate::probe::server::Server;

    const DRV: &str = "/nix/store/l0znnv1nxsr0ry7gmadkh49s1d0hycgd-top.drv";
    const LOG: &str = "/log/l0znnv1nxsr0ry7gmadkh49s1d0hycgd-top.drv";

    #[tokio::test]
    async fn the_first_tier_whose_log_can_be_read_gives_it() {
        let empty = Server::start(&[]).await;
        // No text that is compressed so could be read here.
        let odd = Server::start(&[(LOG, 200, "BZh91AY&SY")]).await;
        let good = Server::start(&[(LOG, 200, "one\ntwo\n")]).await;
        let tier = |name: &str, server: &Server| Tier::new(name, TierKind::Http, &server.url);
        let local = Tier::new("local", TierKind::Local, "local");
        let (empty, odd, good) = (tier("empty", &empty), tier("odd", &odd), tier("good", &good));
        let (web, drv) = (HttpClient::new().unwrap(), StorePath::parse(DRV).unwrap());
        let found = |tiers: Vec<Tier>| {
            let (web, drv) = (&web, &drv);
            async move { build_log(web, &tiers, drv, 5).await }
        };
        let read = |tier: &str, log| Some(TierLog { tier: tier.to_owned(), log });
        assert_eq!(found(vec![local.clone(), empty.clone()]).await, None);
        let all = vec![local, empty, odd.clone(), good];
        assert_eq!(found(all).await, read("good", Ok("\ntwo\n".to_owned())));
        let unknown = BuildLogError::FormatUnknown("bzip2".to_owned());
        assert_eq!(found(vec![odd]).await, read("odd", Err(unknown)));
    }
}
