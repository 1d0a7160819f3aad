//! Probes a tier from one of the hosts instead of this machine: `via = "samsung"`.
//!
//! The same questions as over HTTP from here, asked by the host's own curl with the host's own
//! credentials; judged here.

use crate::fleet::words::tiers;
use crate::fleet::{KindName, StorePath, TierFacts, TierState};
use crate::nix::narinfo::NarInfo;
use crate::probe::curl::{Base, Fault, Seen};
use crate::probe::kinds::http::{self, closed};
use crate::probe::kinds::nar::{NarLook, nar_address, nar_verdict, recall_nar};
use crate::probe::kinds::proof::{Look, Proof, Search, recall, remember, without_key};
use crate::probe::kinds::thrift;
use crate::probe::on_host::{HostView, look, state_of};
use crate::probe::tier::Asking;
use crate::probe::web::{Reply, WebError, width};
use jiff::Timestamp;

/// Paths that one script asks for.
const BATCH: usize = 400;

/// Asks from a host whether a tier is well, and proves what can be proven from there.
pub(super) async fn probe(asking: &Asking<'_>, host: &str) -> TierFacts {
    let unknown = |why: String| {
        TierFacts::of(TierState::Unknown, tiers::not_asked_from(asking.tier, host, &why))
    };
    let Some(base) = Base::parse(&asking.tier.url) else {
        return unknown(format!(
            "a tier of kind {} has no address for it",
            asking.tier.kind.name()
        ));
    };
    let view = view_of(asking, host).await;
    if let Some(facts) = by_canary(asking, &view, host, &base).await {
        return facts;
    }
    let place = view.place(asking.runner, host);
    let asked_at = asking.web.now();
    let seen = match place.get(&base, &["nix-cache-info".to_owned()]).await {
        Ok(seen) => seen,
        Err(why) => return unknown(why),
    };
    asking.web.note_requests(asking.tier, seen.len());
    note(asking, &seen, asked_at);
    let Some(seen) = seen.into_iter().next() else {
        return unknown("curl said nothing".to_owned());
    };
    let mut facts = state_of(asking.tier, host, &seen, view.root);
    if facts.state == TierState::Up && !recall(asking, &mut facts) {
        let (signature, proof, narinfo) = match prove(asking, &view, host, &base).await {
            Ok(verdict) => verdict,
            Err(why) => return unknown(why),
        };
        facts.signature = signature;
        facts.proof = Some(format!("{proof}, asked from {host}"));
        if let Some(narinfo) = narinfo {
            prove_nar(asking, &view, host, &base, &narinfo, &mut facts).await;
        }
        remember(asking, &facts);
    }
    thrift::keep(asking, &facts);
    facts
}

/// Looks at a tier by reading its canary from the host, when that is due and the rest was well.
async fn by_canary(
    asking: &Asking<'_>,
    view: &HostView,
    host: &str,
    base: &Base,
) -> Option<TierFacts> {
    let due = thrift::due(asking)?;
    let file = file(asking.tier.kind.name(), due.canary());
    let asked_at = asking.web.now();
    let seen = view.place(asking.runner, host).get(base, &[file]).await.ok()?;
    asking.web.note_requests(asking.tier, seen.len());
    note(asking, &seen, asked_at);
    let (mut facts, narinfo) = due.proven(seen.first()?.reply.as_ref()?)?;
    facts.proof = facts.proof.map(|proof| format!("{proof}, asked from {host}"));
    prove_nar(asking, view, host, base, &narinfo, &mut facts).await;
    remember(asking, &facts);
    thrift::keep(asking, &facts);
    Some(facts)
}

/// Asks from a host which paths a tier has a narinfo of.
pub(super) async fn holds(
    asking: &Asking<'_>,
    host: &str,
    paths: &[&StorePath],
) -> Result<Vec<bool>, WebError> {
    let tier = asking.tier;
    let fail = |why: &str| {
        WebError::new(&tier.url, &format!("asked from {host}: {why}"), "see the log of the cache")
    };
    let base = Base::parse(&tier.url).ok_or_else(|| fail("it has no address"))?;
    let view = view_of(asking, host).await;
    let place = view.place(asking.runner, host);
    let mut held = Vec::with_capacity(paths.len());
    for batch in paths.chunks(BATCH) {
        let files: Vec<String> = batch.iter().map(|path| file(tier.kind.name(), path)).collect();
        let asked_at = asking.web.now();
        let seen = place.statuses(&base, &files, width(tier.kind.name(), false)).await;
        asking.web.note_requests(tier, files.len());
        let seen = seen.map_err(|why| fail(&why))?;
        note(asking, &seen, asked_at);
        for seen in seen {
            match seen.reply.as_ref().map(|reply| reply.status) {
                Some(status @ (200 | 403 | 404)) => held.push(status),
                Some(status) => return Err(fail(&format!("answered {status} for a narinfo"))),
                None => return Err(fail(seen.fault.as_ref().map_or("no answer", Fault::why))),
            }
        }
    }
    if !held.is_empty() && held.iter().all(|status| *status == 403) {
        let seen = place.get(&base, &["nix-cache-info".to_owned()]).await.map_err(|why| fail(&why));
        asking.web.note_requests(tier, 1);
        let status = seen?.first().and_then(|seen| Some(seen.reply.as_ref()?.status));
        if let Some(status @ (401 | 403)) = status {
            return Err(closed(tier, status));
        }
    }
    Ok(held.into_iter().map(|status| status == 200).collect())
}

/// Notes whether one of these answers asks us to leave the tier alone; for how long is not read.
fn note(asking: &Asking<'_>, seen: &[Seen], asked_at: Timestamp) {
    for reply in seen.iter().filter_map(|seen| seen.reply.as_ref()) {
        asking.web.note_reply(asking.tier, reply, asked_at);
    }
}

/// Returns how a host is set up, looking when nobody has looked yet.
async fn view_of(asking: &Asking<'_>, host: &str) -> HostView {
    if let Some(view) = asking.memory.views().remove(host).filter(HostView::is_known) {
        return view;
    }
    let view = look(asking.runner, host, asking.now).await;
    asking.memory.put_view(host, view.clone());
    view
}

/// Returns where the narinfo of a path is. A plain question makes ncps fetch what it lacks.
fn file(kind: KindName, path: &StorePath) -> String {
    match kind {
        KindName::Ncps => format!("upload/{}.narinfo", path.hash()),
        KindName::NixServe
        | KindName::Harmonia
        | KindName::Http
        | KindName::Cachix
        | KindName::S3
        | KindName::Seaweedfs
        | KindName::Local
        | KindName::GithubActions
        | KindName::Attic => format!("{}.narinfo", path.hash()),
    }
}

/// Proves the signature with what the host gets: the first path alone, as mostly it is enough.
async fn prove(
    asking: &Asking<'_>,
    view: &HostView,
    host: &str,
    base: &Base,
) -> Result<Proof, String> {
    let Some(mut search) = Search::begin(asking) else { return Ok(without_key()) };
    let paths = search.paths();
    let place = view.place(asking.runner, host);
    let (first, rest) = paths.split_at(paths.len().min(1));
    for batch in [first, rest].into_iter().filter(|batch| !batch.is_empty()) {
        let files: Vec<String> =
            batch.iter().map(|path| file(asking.tier.kind.name(), path)).collect();
        let seen = place.get(base, &files).await?;
        asking.web.note_requests(asking.tier, files.len());
        for (path, seen) in batch.iter().zip(seen) {
            let look = match &seen.reply {
                // Without root its netrc is not read: a refusal says nothing about the daemon.
                Some(Reply { status: 401 | 403, .. }) if !view.root => Look::Missing,
                Some(reply) => Look::read(path, reply),
                None => Look::Odd(seen.fault.as_ref().map_or("no answer", Fault::why).to_owned()),
            };
            if let Some(verdict) = search.take(path, look) {
                return Ok(verdict);
            }
        }
    }
    Ok(search.end())
}

/// Proves now and then that the host gets the first byte of a nar.
async fn prove_nar(
    asking: &Asking<'_>,
    view: &HostView,
    host: &str,
    base: &Base,
    narinfo: &NarInfo,
    facts: &mut TierFacts,
) {
    if recall_nar(asking, facts) {
        return;
    }
    let look = match nar_address(&base.url, http::REQUESTS, &narinfo.url) {
        Ok(url) => first_byte(asking, view, host, base, &url).await,
        Err(why) => NarLook::Elsewhere(tiers::nar_elsewhere(asking.tier, &why)),
    };
    nar_verdict(asking, narinfo, look, facts);
}

/// Lets the host ask for the first byte of a nar.
async fn first_byte(
    asking: &Asking<'_>,
    view: &HostView,
    host: &str,
    base: &Base,
    url: &str,
) -> NarLook {
    let seen = view.place(asking.runner, host).first_byte(base, url).await;
    asking.web.note_requests(asking.tier, 1);
    let unproven = |why: &str| {
        let why = format!("{host} could not ask for one: {why}");
        NarLook::Unproven(tiers::nar_not_proven(asking.tier, &why, ""))
    };
    match seen {
        Ok(Seen { reply: Some(reply), .. }) => NarLook::Answered(reply.status),
        Ok(Seen { fault: Some(Fault::NoAnswer(why)), .. }) => NarLook::Nothing(why),
        Ok(Seen { fault: Some(Fault::Redirect(why)), .. }) => {
            let fix = "find out who answers there, and let the cache answer itself";
            NarLook::Unproven(tiers::nar_redirected(asking.tier, &why, fix))
        }
        Ok(Seen { fault: Some(Fault::NotAsked(why)), .. }) | Err(why) => unproven(&why),
        Ok(Seen { fault: None, .. }) => unproven("curl said nothing"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::{Share, SignatureState, Tier};
    use crate::nix::signature::parse_public_key;
    use crate::probe::coverage::covered;
    use crate::probe::memory::Memory;
    use crate::probe::on_host::parse;
    use crate::probe::server::{KEY, NARINFO, PATH, Server};
    use crate::probe::tier::{Tools, probe};
    use crate::probe::web::Web;
    use crate::remote::{Remote, Script, ScriptRunner as _};
    use std::sync::Arc;

    const OTHER: &str = "/nix/store/4xa9xjwdxbpaf7ls3r2c8qvz8221bw0a-b-2.0";

    #[tokio::test]
    async fn a_tier_is_probed_by_the_curl_of_a_host() {
        let server = Server::start(&[
            ("/nix-cache-info", 200, "StoreDir: /nix/store\nPriority: 30\n"),
            ("/p21fy4sc5b87h3ma8y0mbiph36v5yfk7.narinfo", 200, NARINFO),
            ("/nar/x.nar.xz", 200, "the whole nar, whatever was asked for"),
        ])
        .await;
        // A host without an address is this machine, which has a curl of its own.
        let mut fleet = crate::config::fallback();
        fleet.hosts[0].name = "here".to_owned();
        let runner = Remote::new(Arc::new(fleet.clone()));
        if !runner.run("here", &Script::new("command -v curl")).await.unwrap().is_ok() {
            return;
        }
        let (web, memory) = (Web::new().unwrap(), Memory::default());
        let settings = "curl\tyes\n---\nrequire-sigs = false\n";
        memory.put_view("here", parse("here", settings, Timestamp::now()));
        let tools = Tools { web: &web, runner: &runner, fleet: &fleet, memory: &memory };
        let tier = Tier {
            via: Some("here".to_owned()),
            public_key: parse_public_key(KEY).ok(),
            ..Tier::new("x", KindName::NixServe, &server.url)
        };
        let paths = [OTHER, PATH].map(|path| StorePath::parse(path).unwrap());
        let asking = tools.asking(&tier, &paths, &[], Timestamp::now());
        let facts = probe(&asking, None).await;
        assert_eq!((facts.state, facts.signature), (TierState::Up, SignatureState::Valid));
        assert_eq!(facts.proof.as_deref(), Some("a-1.0, signed by test-1, asked from here"));
        assert_eq!(facts.nar_proof.as_deref(), Some("a-1.0 is served"));
        assert!(facts.latency_ms.is_some() && facts.connect_ms.is_some());
        let all: Vec<&StorePath> = paths.iter().collect();
        assert_eq!(holds(&asking, "here", &all).await, Ok(vec![false, true]));
        assert_eq!(web.requests_this_month("x"), 6);
        assert!(server.most_open() <= 2);
        let entries = paths.clone().map(|path| crate::fleet::ClosurePath { path, nar_size: 1 });
        assert_eq!(covered(&entries, |path| path.as_str() == PATH).0, Share { have: 1, total: 2 });
    }
}
