//! Proof that a cache serves the nars of the narinfos that it has.
//!
//! The first 32 bytes of a nar are asked for, now and then, and compared with the label that its
//! narinfo has (`Compression:`): a login page is no nar, and Nix from 2.22 on unpacks by the label. The `URL:` of a narinfo is signed by nobody: whoever
//! can write to a cache, or is in between, chooses it. So only what lies on the tier's own address
//! and is a request that the kind declares is asked for; any other address is said, not followed.

use crate::fleet::words::tiers;
use crate::fleet::{Finding, TierFacts, TierState, printable_line};
use crate::nix::nar::{LabelFit, NarStart};
use crate::nix::narinfo::NarInfo;
use crate::probe::asking::Asking;
use crate::probe::checks::served;
use crate::probe::memory::Dated;
use crate::probe::transport::redirect::climbs;
use crate::probe::transport::{
    AnswerPart, DeclaredRequest, HttpRequest, Method, RequestTrouble, is_declared, nothing_came,
};
use reqwest::Url;

/// What asking for the first bytes of a nar showed.
enum Content {
    /// It was answered with a status, and these bytes came first.
    Answered(u16, NarStart),
    /// Not one byte came, and why.
    Nothing(String),
    /// It was not asked for now: that says nothing of the nar.
    Unproven(Finding),
    /// It is said to be where nixdash does not ask, and will be said again.
    Elsewhere(Finding),
}

/// Fills in what is known of the tier's nars, when that is still believed; returns whether it is.
fn recall(asking: &Asking<'_>, facts: &mut TierFacts) -> bool {
    let age = asking.kind.content_age();
    let is_young = |at| asking.now.duration_since(at) < age;
    let (content, unproven) = asking
        .memory
        .with(asking.tier, |memory| (memory.content.clone(), memory.content_unproven.clone()));
    if let Some(content) = content.filter(|content| is_young(content.at)) {
        facts.nar_proof = Some(content.value);
        return true;
    }
    let unproven = unproven.filter(|unproven| is_young(unproven.at));
    let is_known = unproven.is_some();
    facts.findings.extend(unproven.map(|unproven| unproven.value));
    is_known
}

/// Returns the address of a nar: what a narinfo names, on the tier's own address; else why it is
/// not asked for.
pub(super) fn nar_address(
    base: &str,
    declared: &[DeclaredRequest],
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
        return no("which is not an address");
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

/// Proves now and then that a nar is served: its first bytes, never its head, which nix-serve
/// answers with the whole body.
pub(in crate::probe) async fn prove(asking: &Asking<'_>, narinfo: &NarInfo, facts: &mut TierFacts) {
    if recall(asking, facts) {
        return;
    }
    let base = asking.kind.files_url(asking.tier);
    let content = match nar_address(&base, asking.kind.rules().requests, &narinfo.url) {
        Ok(url) => ask(asking, url).await,
        Err(why) => Content::Elsewhere(tiers::nar_elsewhere(asking.tier, &why)),
    };
    take(asking, narinfo, content, facts);
}

/// Asks for the first bytes of a nar.
async fn ask(asking: &Asking<'_>, url: String) -> Content {
    let answer = asking.send(HttpRequest::get(url).part(AnswerPart::Start).follow()).await;
    match answer.inspect(|reply| served::nar(asking, reply.status)) {
        // Servers that send as they read say 200 before they know whether the file is there.
        Ok(reply) if matches!(reply.status, 200 | 206) && reply.body.is_empty() => {
            Content::Nothing(nothing_came(reply.status))
        }
        Ok(reply) => Content::Answered(reply.status, NarStart::of(&reply.body)),
        Err(error) => match error.trouble {
            RequestTrouble::NoAnswer | RequestTrouble::Certificate => Content::Nothing(error.cause),
            RequestTrouble::Redirect => {
                let why = format!("the cache {}", error.cause);
                Content::Elsewhere(tiers::nar_redirected(asking.tier, &why, &error.hint))
            }
            RequestTrouble::Proxy
            | RequestTrouble::Rest
            | RequestTrouble::Spent
            | RequestTrouble::Setup => {
                let why = format!("{}: {}", error.url, error.cause);
                Content::Unproven(tiers::nar_not_proven(asking.tier, &why, &error.hint))
            }
        },
    }
}

/// Puts into the facts what asking for the first bytes of a nar showed.
fn take(asking: &Asking<'_>, narinfo: &NarInfo, content: Content, facts: &mut TierFacts) {
    let tier = asking.tier;
    let name = narinfo.store_path.name();
    let missing = match content {
        Content::Answered(200 | 206, start) => {
            let label = narinfo.compression.as_deref();
            let fit = start.fits(label);
            if fit == LabelFit::Differs {
                facts.state = TierState::Malformed;
                let shown = label.unwrap_or("bzip2");
                facts.findings.push(tiers::nar_mislabelled(tier, name, shown, start.words()));
                return;
            }
            let proof = match fit {
                LabelFit::Fits => format!("{name} is served (content not checked)"),
                LabelFit::Differs | LabelFit::NotKnown => {
                    format!("{name} answers (content not checked)")
                }
            };
            facts.nar_proof = Some(proof.clone());
            let content = Some(Dated { at: asking.now, value: proof });
            asking.memory.with(tier, |memory| memory.content = content);
            return;
        }
        Content::Unproven(finding) => {
            facts.findings.push(finding);
            return;
        }
        Content::Elsewhere(finding) => {
            let finding = finding.at(asking.now);
            facts.findings.push(finding.clone());
            let unproven = Some(Dated { at: asking.now, value: finding });
            asking.memory.with(tier, |memory| memory.content_unproven = unproven);
            return;
        }
        // These may be gone in a minute, and say nothing of the nar.
        Content::Answered(status @ (401 | 408 | 429), _) => {
            facts.state = TierState::Degraded;
            let why = format!("the cache answered {status} for a nar");
            let fix = "see the log of the cache; it is asked again at the next look";
            facts.findings.push(tiers::nar_not_proven(tier, &why, fix));
            return;
        }
        Content::Answered(status, _) => format!("the cache answered {status} for its nar"),
        Content::Nothing(why) => format!("not one byte of its nar came ({why})"),
    };
    facts.state = TierState::NarMissing;
    facts.findings.push(tiers::nar_missing(tier, name, &missing));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::{Code, KindName, SignatureState, StorePath, Tier};
    use crate::nix::signature::parse_public_key;
    use crate::probe::asking::Tools;
    use crate::probe::look::look;
    use crate::probe::memory::Memory;
    use crate::probe::server::{KEY, NARINFO, PATH, Server};
    use crate::probe::transport::CACHE_REQUESTS;
    use crate::probe::transport::http::HttpClient;
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
            let found = nar_address(base, CACHE_REQUESTS, named);
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
        let (web, paths) = (HttpClient::new().unwrap(), [StorePath::parse(PATH).unwrap()]);
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
                let facts = look(&tools.asking(&tier, &paths, &[], Timestamp::now()), None).await;
                assert_eq!((facts.state, facts.signature), (TierState::Up, SignatureState::Valid));
                assert_eq!((facts.nar_proof, facts.findings.len()), (None, 1));
                assert_eq!(facts.findings[0].code, Code::NarElsewhere);
                assert!(facts.findings[0].cause.contains("not proven"), "{:?}", facts.findings);
            }
        }
        assert_eq!(other.asked(), Vec::<String>::new());
    }
}
