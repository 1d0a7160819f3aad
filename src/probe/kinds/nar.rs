//! Proof that a cache serves the nars of the narinfos that it has.
//!
//! One byte of a nar is asked for, now and then. The `URL:` of a narinfo is signed by nobody: whoever
//! can write to a cache, or is in between, chooses it. So only what lies on the tier's own address
//! and is a request that the kind declares is asked for; any other address is said, not followed.

use crate::fleet::words::tiers;
use crate::fleet::{Finding, KindName, Tier, TierFacts, TierState, printable_line};
use crate::nix::narinfo::NarInfo;
use crate::nix::s3_url::web_url;
use crate::probe::curl::nothing_came;
use crate::probe::kinds::answers::{recent, remember};
use crate::probe::kinds::served;
use crate::probe::memory::Memory;
use crate::probe::tier::Asking;
use crate::probe::web::redirect::climbs;
use crate::probe::web::{Ask, Declared, Method, WebTrouble, is_declared};
use jiff::SignedDuration;
use reqwest::Url;

/// The name of the proof that is remembered.
const NAR: &str = "nar";

/// The name of why there is none, where asking again so soon would tell nothing else.
const UNPROVEN: &str = "nar-unproven";

/// What asking for the first byte of a nar showed.
pub(in crate::probe) enum NarLook {
    /// It was answered with a status.
    Answered(u16),
    /// Not one byte came, and why.
    Nothing(String),
    /// It was not asked for now: that says nothing of the nar.
    Unproven(Finding),
    /// It is said to be where nixdash does not ask, and will be said again.
    Elsewhere(Finding),
}

/// Returns how long it is believed that a nar is served: a day where reading counts as use, and
/// would keep alive what nobody else needs.
fn age(kind: KindName) -> SignedDuration {
    match kind {
        KindName::Cachix | KindName::Attic => SignedDuration::from_hours(24),
        KindName::NixServe
        | KindName::Harmonia
        | KindName::Http
        | KindName::S3
        | KindName::Seaweedfs
        | KindName::Local
        | KindName::GithubActions
        | KindName::Ncps => SignedDuration::from_hours(1),
    }
}

/// Forgets what was proven.
pub(in crate::probe) fn forget(memory: &Memory, tier: &Tier) {
    memory.forget(tier, NAR);
    memory.forget(tier, UNPROVEN);
}

/// Fills in what is known of the tier's nars, when that is still believed; returns whether it is.
pub(in crate::probe) fn recall_nar(asking: &Asking<'_>, facts: &mut TierFacts) -> bool {
    if let Some(proof) = recent(asking, NAR, age(asking.tier.kind.name())) {
        facts.nar_proof = Some(proof);
        return true;
    }
    let unproven: Option<Finding> = recent(asking, UNPROVEN, age(asking.tier.kind.name()));
    let is_known = unproven.is_some();
    facts.findings.extend(unproven);
    is_known
}

/// Returns the address of a nar: what a narinfo names, on the tier's own address; else why it is
/// not asked for.
pub(in crate::probe) fn nar_address(
    base: &str,
    declared: &[Declared],
    named: &str,
) -> Result<String, String> {
    let shown = printable_line(named.split('?').next().unwrap_or_default());
    let no = |why: &str| Err(format!("the narinfo names {shown:?} as its nar, {why}"));
    let is_absolute = named.starts_with("http://") || named.starts_with("https://");
    let before_slash = named.split('/').next().unwrap_or_default();
    if !is_absolute && before_slash.contains(':') {
        return no("which is neither a path nor an address over HTTP");
    }
    let text = if is_absolute { named.to_owned() } else { format!("{base}/{named}") };
    let (Ok(own), Ok(url)) = (Url::parse(base), Url::parse(&text)) else {
        return no("which is no address");
    };
    if url.origin() != own.origin() || !url.username().is_empty() || url.password().is_some() {
        return no("which is not at the address of the cache");
    }
    if named.chars().any(|c| c.is_control() || c.is_whitespace()) || climbs(named) {
        return no("which no cache writes");
    }
    if !is_declared(declared, Method::Get, url.path()) {
        return no("which is not where caches keep nars");
    }
    Ok(text)
}

/// Proves now and then that a nar is served: one byte of it, never its head, which nix-serve
/// answers with the whole body.
pub(in crate::probe) async fn prove_nar(
    asking: &Asking<'_>,
    declared: &[Declared],
    narinfo: &NarInfo,
    facts: &mut TierFacts,
) {
    if recall_nar(asking, facts) {
        return;
    }
    let look = match nar_address(&web_url(asking.tier), declared, &narinfo.url) {
        Ok(url) => ask(asking, declared, url).await,
        Err(why) => NarLook::Elsewhere(tiers::nar_elsewhere(asking.tier, &why)),
    };
    nar_verdict(asking, narinfo, look, facts);
}

/// Asks for the first byte of a nar.
async fn ask(asking: &Asking<'_>, declared: &[Declared], url: String) -> NarLook {
    let ask = Ask::get(url).first_byte_only().follow();
    let answer = asking.web.send(asking.tier, declared, ask).await;
    match answer.inspect(|reply| served::nar(asking, reply.status)) {
        // Servers that send as they read say 200 before they know whether the file is there.
        Ok(reply) if matches!(reply.status, 200 | 206) && reply.body.is_empty() => {
            NarLook::Nothing(nothing_came(reply.status))
        }
        Ok(reply) => NarLook::Answered(reply.status),
        Err(error) => match error.trouble {
            WebTrouble::NoAnswer => NarLook::Nothing(error.cause),
            WebTrouble::Redirect => {
                let why = format!("the cache {}", error.cause);
                NarLook::Elsewhere(tiers::nar_redirected(asking.tier, &why, &error.hint))
            }
            WebTrouble::Proxy | WebTrouble::Rest | WebTrouble::Spent | WebTrouble::Setup => {
                let why = format!("{}: {}", error.url, error.cause);
                NarLook::Unproven(tiers::nar_not_proven(asking.tier, &why, &error.hint))
            }
        },
    }
}

/// Puts into the facts what asking for the first byte of a nar showed.
pub(in crate::probe) fn nar_verdict(
    asking: &Asking<'_>,
    narinfo: &NarInfo,
    look: NarLook,
    facts: &mut TierFacts,
) {
    let tier = asking.tier;
    let name = narinfo.store_path.name();
    let missing = match look {
        NarLook::Answered(200 | 206) => {
            let proof = format!("{name} is served");
            remember(asking, NAR, &proof);
            facts.nar_proof = Some(proof);
            return;
        }
        NarLook::Unproven(finding) => {
            facts.findings.push(finding);
            return;
        }
        NarLook::Elsewhere(finding) => {
            let finding = finding.at(asking.now);
            remember(asking, UNPROVEN, &finding);
            facts.findings.push(finding);
            return;
        }
        NarLook::Answered(status) => format!("the cache answered {status} for its nar"),
        NarLook::Nothing(why) => format!("not one byte of its nar came ({why})"),
    };
    facts.state = TierState::NarMissing;
    facts.findings.push(tiers::nar_missing(tier, name, &missing));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::{Code, SignatureState, StorePath};
    use crate::nix::signature::parse_public_key;
    use crate::probe::kinds::http::REQUESTS;
    use crate::probe::server::{KEY, NARINFO, PATH, Server};
    use crate::probe::tier::{Tools, probe};
    use crate::probe::web::Web;
    use crate::remote::FakeRunner;
    use jiff::Timestamp;

    #[test]
    fn only_nars_at_the_address_of_the_cache_are_asked_for() {
        let base = "http://c.example:81/nix";
        for (named, address) in [
            ("nar/x.nar.xz", Some("http://c.example:81/nix/nar/x.nar.xz")),
            ("nar/x.nar?hash=abc", Some("http://c.example:81/nix/nar/x.nar?hash=abc")),
            ("http://c.example:81/other/nar/x", Some("http://c.example:81/other/nar/x")),
            ("gopher://127.0.0.1:70/1nar/x", None),
            ("file:///nar/x", None),
            ("http://127.0.0.1:9333/nar/x", None),
            ("https://c.example:81/nar/x", None),
            ("http://c.example:81@evil.example/nar/x", None),
            ("http://u:p@c.example:81/nar/x", None),
            ("http://c.example:81/col/delete?collection=nix", None),
            ("col/delete?collection=nix&x=/nar/y", None),
            ("nar/../../col/delete", None),
            ("nar/%2e%2e%2fcol/delete", None),
            ("nar/x y", None),
            ("", None),
        ] {
            let found = nar_address(base, REQUESTS, named);
            assert_eq!(found.as_deref().ok(), address, "{named}: {found:?}");
        }
    }

    #[tokio::test]
    async fn a_nar_that_is_named_elsewhere_is_told_and_asked_of_nobody() {
        let other = Server::start(&[("/nar/x", 200, "secret")]).await;
        let server = Server::start(&[
            ("/nix-cache-info", 200, "StoreDir: /nix/store\nPriority: 30\n"),
            ("/p21fy4sc5b87h3ma8y0mbiph36v5yfk7.narinfo", 200, ""),
        ])
        .await;
        let (fleet, runner) = (crate::config::fallback(), FakeRunner::unreachable());
        let (web, paths) = (Web::new().unwrap(), [StorePath::parse(PATH).unwrap()]);
        let tier = Tier {
            public_key: parse_public_key(KEY).ok(),
            ..Tier::new("x", KindName::Http, &server.url)
        };
        for url in ["gopher://127.0.0.1:70/1nar/x".to_owned(), format!("{}/nar/x", other.url)] {
            // Nobody signs the address: the signature is as good as before.
            let narinfo = NARINFO.replace("nar/x.nar.xz", &url);
            server.set("/p21fy4sc5b87h3ma8y0mbiph36v5yfk7.narinfo", 200, &narinfo);
            let memory = Memory::default();
            let tools = Tools { web: &web, runner: &runner, fleet: &fleet, memory: &memory };
            for _ in 0..2 {
                let facts = probe(&tools.asking(&tier, &paths, &[], Timestamp::now()), None).await;
                assert_eq!((facts.state, facts.signature), (TierState::Up, SignatureState::Valid));
                assert_eq!((facts.nar_proof, facts.findings.len()), (None, 1));
                assert_eq!(facts.findings[0].code, Code::NarElsewhere);
                assert!(facts.findings[0].cause.contains("not proven"), "{:?}", facts.findings);
            }
        }
        assert_eq!(other.asked(), Vec::<String>::new());
    }
}
