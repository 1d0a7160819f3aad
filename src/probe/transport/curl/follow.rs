//! Redirects of caches that are asked from a host: judged here, hop by hop, and never followed by
//! curl itself.
//!
//! Where a redirect names a host, its addresses are looked up on the host that asks, judged, and
//! given to curl: what is judged is what is connected to.

use super::reading::CurlLine;
use super::{CurlHost, CurlManner, CurlRun};
use crate::probe::transport::redirect::{Reach, leads_on, shown, too_near};
use crate::probe::transport::{HttpReply, RequestError};
use crate::remote::Script;
use reqwest::Url;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

/// Prints the addresses of names.
const ADDRESSES: &str = include_str!("../../scripts/addresses.sh");

/// How long looking names up may take.
const LIMIT: Duration = Duration::from_secs(8);

/// Most names that are looked up at once.
const NAMES: usize = 16;

/// A redirect that may be followed as far as its address shows.
pub(super) struct Hop {
    /// Which of the answers it is.
    pub(super) place: usize,
    pub(super) to: Url,
    from: Url,
    reach: Reach,
}

/// Takes the redirects out of answers: those that may be followed are returned, the others become
/// faults.
pub(super) fn hops(manner: &CurlManner<'_>, urls: &[String], told: &mut [CurlLine]) -> Vec<Hop> {
    let mut hops = Vec::new();
    for (place, told) in told.iter_mut().enumerate() {
        let status = told.seen.as_ref().ok().map(|reply| reply.status);
        let Some(target) = told.redirect.take() else { continue };
        if !matches!(status, Some(301 | 302 | 303 | 307 | 308)) {
            continue;
        }
        let Ok(from) = Url::parse(&urls[place]) else { continue };
        let Ok(to) = from.join(&target) else { continue };
        // Without an address of the server nothing is known of it: as if it were far away.
        let reach = told.peer.map_or(Reach::Public, Reach::of);
        let near = literal(&to).and_then(|address| too_near(reach, Reach::of(address)));
        match leads_on(manner.declared, manner.method, &from, &to) {
            Err(why) => told.seen = not_followed(&from, &to, &why),
            Ok(()) => match near {
                Some(why) => told.seen = not_followed(&from, &to, &why),
                None => hops.push(Hop { place, to, from, reach }),
            },
        }
    }
    hops
}

/// Says that a redirect is not followed.
fn not_followed(from: &Url, to: &Url, why: &str) -> Result<HttpReply, RequestError> {
    Err(RequestError::of_redirect(from.as_str(), &shown(to), why))
}

/// Returns the address that is written out in a URL.
fn literal(url: &Url) -> Option<IpAddr> {
    let host = url.host_str()?;
    host.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

impl CurlHost<'_> {
    /// Follows redirects one step further, without credentials, and puts what is found into `told`;
    /// returns the addresses that were asked, for the next step.
    pub(super) async fn step(
        &self,
        hops: Vec<Hop>,
        manner: CurlManner<'_>,
        urls: &mut [String],
        told: &mut [CurlLine],
    ) -> Result<(), String> {
        let names: BTreeSet<String> = hops
            .iter()
            .filter(|hop| literal(&hop.to).is_none())
            .filter_map(|hop| hop.to.host_str().map(str::to_owned))
            .take(NAMES)
            .collect();
        let addresses = self.addresses(names).await?;
        let (mut pins, mut asked) = (BTreeSet::new(), Vec::new());
        for hop in hops {
            match pin(&hop, &addresses) {
                Ok(pin) => {
                    pins.extend(pin);
                    asked.push(hop);
                }
                Err(why) => told[hop.place].seen = not_followed(&hop.from, &hop.to, &why),
            }
        }
        if asked.is_empty() {
            return Ok(());
        }
        let targets: Vec<String> = asked.iter().map(|hop| hop.to.to_string()).collect();
        let round = CurlRun { urls: &targets, manner, sign: None, is_own: false, pins };
        for (hop, found) in asked.into_iter().zip(self.round(&round).await?) {
            urls[hop.place] = hop.to.to_string();
            told[hop.place] = found;
        }
        Ok(())
    }

    /// Looks names up on the host.
    async fn addresses(
        &self,
        names: BTreeSet<String>,
    ) -> Result<BTreeMap<String, Vec<IpAddr>>, String> {
        let mut found: BTreeMap<String, Vec<IpAddr>> = BTreeMap::new();
        if names.is_empty() {
            return Ok(found);
        }
        let script = names.into_iter().fold(Script::new(ADDRESSES).limit(LIMIT), Script::arg);
        let output =
            self.runner.run(self.host, &script).await.map_err(|error| error.to_string())?;
        for line in output.stdout.lines() {
            if let Some((name, address)) = line.split_once('\t')
                && let Ok(address) = address.parse()
            {
                found.entry(name.to_owned()).or_default().push(address);
            }
        }
        Ok(found)
    }
}

/// Returns which addresses curl is to take for a hop's name (none where it has an address), or why
/// it is not followed.
pub(super) fn pin(
    hop: &Hop,
    addresses: &BTreeMap<String, Vec<IpAddr>>,
) -> Result<Option<String>, String> {
    if literal(&hop.to).is_some() {
        return Ok(None);
    }
    let name = hop.to.host_str().unwrap_or_default();
    let found = addresses.get(name).map(Vec::as_slice).unwrap_or_default();
    let kept: Vec<String> = found
        .iter()
        .filter(|address| hop.reach.may_send_to(Reach::of(**address)))
        .map(|address| match address {
            IpAddr::V4(address) => address.to_string(),
            IpAddr::V6(address) => format!("[{address}]"),
        })
        .collect();
    match (kept.is_empty(), found.first()) {
        (false, _) => {
            let port = hop.to.port_or_known_default().unwrap_or(80);
            Ok(Some(format!("{name}:{port}:{}", kept.join(","))))
        }
        (true, Some(first)) => {
            let why = too_near(hop.reach, Reach::of(*first)).unwrap_or_default();
            Err(format!("{why} ({first})"))
        }
        (true, None) => Err(format!(
            "the name {name} (from {}) does not resolve there",
            hop.from.host_str().unwrap_or_default()
        )),
    }
}
