//! Tiers that speak the binary cache protocol over HTTP: nix-serve, harmonia, static and public.
//!
//! That `nix-cache-info` answers proves little; so a narinfo is fetched too and its signature
//! checked against the configured key. Only GET is used: nix-serve ignores the method, and caches
//! that redirect to signed addresses refuse HEAD.

use crate::fleet::{SignatureState, StorePath, Tier, TierFacts, TierState, printable_line};
use crate::nix::cache_info::CacheInfo;
use crate::nix::narinfo::NarInfo;
use crate::probe::clock::milliseconds;
use crate::probe::tier::{Answer, TierProbe};
use crate::probe::web::{Reply, Web, WebError};
use futures_util::stream::{self, StreamExt as _};

/// The store directory of every NixOS.
const STORE_DIR: &str = "/nix/store";

/// Most narinfos that are asked for one proof.
const PROOF_LIMIT: usize = 20;

/// How many of them are asked at once, after the first.
const PROOF_WIDTH: usize = 4;

/// The probe of HTTP kinds.
pub(super) struct HttpProbe;

impl TierProbe for HttpProbe {
    fn probe<'a>(
        &'a self,
        web: &'a Web,
        tier: &'a Tier,
        candidates: &'a [StorePath],
    ) -> Answer<'a, TierFacts> {
        Box::pin(async move {
            let reply = match web.get(tier, "nix-cache-info").await {
                Ok(reply) => reply,
                Err(error) => {
                    let error = Some(error.to_string());
                    return TierFacts { state: TierState::Down, error, ..TierFacts::default() };
                }
            };
            let mut facts = judge(tier, &reply);
            if facts.state == TierState::Up {
                let (signature, proof) = prove(web, tier, candidates).await;
                facts.signature = signature;
                facts.proof = Some(proof);
            }
            facts
        })
    }

    fn holds<'a>(
        &'a self,
        web: &'a Web,
        tier: &'a Tier,
        path: &'a StorePath,
    ) -> Answer<'a, Result<bool, WebError>> {
        Box::pin(async move {
            match narinfo(web, tier, path).await? {
                Found::Text(_) => Ok(true),
                Found::Nothing => Ok(false),
                Found::Trouble(status) => Err(WebError {
                    url: tier.url.clone(),
                    cause: format!("answered {status} for the narinfo of {}", path.name()),
                    hint: "see the log of the cache".to_owned(),
                }),
            }
        })
    }
}

/// What a tier has of a path.
enum Found {
    /// This narinfo, untrusted.
    Text(String),
    /// 404; 403 too, which a bucket that may not be listed answers for what it does not have.
    Nothing,
    /// Another status.
    Trouble(u16),
}

/// Asks for the narinfo of a path.
async fn narinfo(web: &Web, tier: &Tier, path: &StorePath) -> Result<Found, WebError> {
    let reply = web.get(tier, &format!("{}.narinfo", path.hash())).await?;
    Ok(match reply.status {
        200 => Found::Text(reply.body),
        404 | 403 => Found::Nothing,
        status => Found::Trouble(status),
    })
}

/// Says what an answer to `nix-cache-info` means.
fn judge(tier: &Tier, reply: &Reply) -> TierFacts {
    let mut facts =
        TierFacts { latency_ms: Some(milliseconds(reply.first_byte)), ..TierFacts::default() };
    let say = |what: &str| Some(format!("{}: {what}", tier.url));
    match reply.status {
        200 => {}
        401 | 403 => {
            facts.state = TierState::Unauthorized;
            facts.error = say(&format!(
                "answered {}; hosts skip such a cache without a word: give them (root's netrc) \
                 and nixdash a valid token",
                reply.status
            ));
            return facts;
        }
        404 => {
            facts.state = TierState::Degraded;
            facts.error = say("answered 404 for nix-cache-info; is this the address of a cache?");
            return facts;
        }
        429 => {
            facts.state = TierState::Degraded;
            facts.error = say("answered 429, too many requests; ask it less often");
            return facts;
        }
        status => {
            facts.state = TierState::Degraded;
            facts.error = say(&format!("answered {status} for nix-cache-info; see its log"));
            return facts;
        }
    }
    let info = CacheInfo::parse(&reply.body);
    facts.priority = info.priority;
    facts.store_dir = info.store_dir.as_deref().map(printable_line);
    match facts.store_dir.as_deref() {
        Some(STORE_DIR) => facts.state = TierState::Up,
        Some(other) => {
            facts.state = TierState::WrongStore;
            facts.error = say(&format!("is for stores in {other}, not in {STORE_DIR}"));
        }
        None => {
            facts.state = TierState::Degraded;
            facts.error = say("answered something that is no nix-cache-info; is the url right?");
        }
    }
    facts
}

/// Proves the signature with the first candidate that the tier holds and its key signed.
///
/// A wrong signature ends the search. Narinfos without a signature of the key are passed over,
/// since a cache may hold paths that others signed; when there are only such, it is untrusted.
async fn prove(web: &Web, tier: &Tier, candidates: &[StorePath]) -> (SignatureState, String) {
    let Some(key) = &tier.public_key else {
        let why = "nothing to prove with: hosts.toml has no public_key for it";
        return (SignatureState::Unchecked, why.to_owned());
    };
    let candidates = &candidates[..candidates.len().min(PROOF_LIMIT)];
    let mut unsigned: Option<String> = None;
    let mut trouble: Option<String> = None;
    // The first alone: it is likely enough, and opens the connection that the others share.
    let first = stream::iter(candidates.iter().take(1)).map(|path| look(web, tier, path));
    let rest = stream::iter(candidates.iter().skip(1)).map(|path| look(web, tier, path));
    let mut answers = first.buffered(1).chain(rest.buffered(PROOF_WIDTH)).boxed();
    while let Some((path, answer)) = answers.next().await {
        match answer {
            Ok(None) => {}
            Ok(Some(narinfo)) => match narinfo.verdict(key) {
                SignatureState::Valid => {
                    let proof = format!("{}, signed by {}", path.name(), key.name);
                    return (SignatureState::Valid, proof);
                }
                SignatureState::Invalid => {
                    let proof = format!(
                        "{} carries a signature named {} that does not verify: another key of \
                         that name, or the narinfo was changed",
                        path.name(),
                        key.name
                    );
                    return (SignatureState::Invalid, proof);
                }
                SignatureState::Untrusted | SignatureState::Unchecked => {
                    let signers = narinfo.signers().join(", ");
                    let signers = if signers.is_empty() { "nobody".to_owned() } else { signers };
                    unsigned.get_or_insert(printable_line(&format!(
                        "{} is signed by {signers}, not by {}",
                        path.name(),
                        key.name
                    )));
                }
            },
            Err(why) => {
                trouble.get_or_insert(why);
            }
        }
    }
    if let Some(proof) = unsigned {
        return (SignatureState::Untrusted, proof);
    }
    let why = match trouble {
        Some(trouble) => format!("nothing to prove with: {trouble}"),
        None if candidates.is_empty() => {
            "nothing to prove with: no host has told its paths yet".to_owned()
        }
        None => format!("nothing to prove with: it holds none of {} paths", candidates.len()),
    };
    (SignatureState::Unchecked, why)
}

/// Fetches and reads the narinfo of a candidate; nothing when the tier does not hold it.
async fn look<'a>(
    web: &Web,
    tier: &Tier,
    path: &'a StorePath,
) -> (&'a StorePath, Result<Option<NarInfo>, String>) {
    let answer = match narinfo(web, tier, path).await {
        Ok(Found::Text(text)) => match NarInfo::parse(&text) {
            Ok(narinfo) if narinfo.store_path == *path => Ok(Some(narinfo)),
            Ok(_) => Err(format!("the narinfo of {} is of another path", path.name())),
            Err(error) => Err(format!("{}: {error}", path.name())),
        },
        Ok(Found::Nothing) => Ok(None),
        Ok(Found::Trouble(status)) => Err(format!("answered {status} for a narinfo")),
        Err(error) => Err(error.to_string()),
    };
    (path, answer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::TierKind;
    use crate::nix::signature::parse_public_key;
    use crate::probe::server::Server;

    const PATH: &str = "/nix/store/p21fy4sc5b87h3ma8y0mbiph36v5yfk7-a-1.0";
    const KEY: &str = "test-1:84lYE1B4WYBhgRnr4i3CGQuBrqMejfmimNytE5731+M=";
    const OTHER_KEY: &str = "test-1:NiNfYW82Gw9o49ng/jhUKy3RmtBlesa/LQ0HuCcuSeU=";
    const NIXOS_KEY: &str = "cache.nixos.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY=";
    const INFO: &str = "StoreDir: /nix/store\nWantMassQuery: 1\nPriority: 30\n";
    const NARINFO: &str = "StorePath: /nix/store/p21fy4sc5b87h3ma8y0mbiph36v5yfk7-a-1.0\n\
        URL: nar/x.nar.xz\n\
        NarHash: sha256:0p3l2z3riilylr2rxb1aq2blxdfxg55wbgp4gxkns93srbr4bwyq\n\
        NarSize: 120\nReferences: \n\
        Sig: test-1:kSf2Du9hukyeeNYSa2bKdTH8PrXtZddli5mvfdYfaNnED+dN+qtmdEsnA9OuiKt+MwOhE5K71hLSbyqDAdWeAg==\n";

    /// Makes a tier at a server.
    fn tier(url: &str, key: &str) -> Tier {
        Tier {
            public_key: parse_public_key(key).ok(),
            host: Some("p620".to_owned()),
            ..Tier::new("p620", TierKind::NixServe, url)
        }
    }

    /// Probes a server that answers with these files.
    async fn probe_with(files: &[(&str, u16, &str)], key: &str, paths: &[&str]) -> TierFacts {
        let server = Server::start(files).await;
        let web = Web::new().unwrap();
        let paths: Vec<StorePath> = paths.iter().map(|p| StorePath::parse(p).unwrap()).collect();
        crate::probe::tier::probe(&web, &tier(&server.url, key), &paths, None).await
    }

    #[tokio::test]
    async fn a_healthy_tier_is_proven_by_a_signature() {
        let files = [
            ("/nix-cache-info", 200, INFO),
            ("/p21fy4sc5b87h3ma8y0mbiph36v5yfk7.narinfo", 200, NARINFO),
        ];
        let missing = "/nix/store/4xa9xjwdxbpaf7ls3r2c8qvz8221bw0a-b-2.0";
        let facts = probe_with(&files, KEY, &[missing, PATH]).await;
        assert_eq!(facts.state, TierState::Up);
        assert_eq!(facts.signature, SignatureState::Valid);
        assert_eq!(facts.proof.as_deref(), Some("a-1.0, signed by test-1"));
        assert_eq!((facts.priority, facts.store_dir.as_deref()), (Some(30), Some("/nix/store")));
        assert!(facts.latency_ms.is_some() && facts.measured_at.is_some());

        let facts = probe_with(&files, OTHER_KEY, &[PATH]).await;
        assert_eq!(facts.signature, SignatureState::Invalid);
        let facts = probe_with(&files, NIXOS_KEY, &[PATH]).await;
        assert_eq!(facts.signature, SignatureState::Untrusted);
        let proof = "a-1.0 is signed by test-1, not by cache.nixos.org-1";
        assert_eq!(facts.proof.as_deref(), Some(proof));
        let facts = probe_with(&files, KEY, &[missing]).await;
        assert_eq!(facts.signature, SignatureState::Unchecked);
        assert!(facts.proof.unwrap().contains("none of 1 paths"));
    }

    #[tokio::test]
    async fn a_narinfo_of_another_path_proves_nothing() {
        let files = [
            ("/nix-cache-info", 200, INFO),
            ("/4xa9xjwdxbpaf7ls3r2c8qvz8221bw0a.narinfo", 200, NARINFO),
        ];
        let other = "/nix/store/4xa9xjwdxbpaf7ls3r2c8qvz8221bw0a-b-2.0";
        let facts = probe_with(&files, KEY, &[other]).await;
        assert_eq!(facts.signature, SignatureState::Unchecked);
        assert!(facts.proof.unwrap().contains("another path"));
    }

    #[tokio::test]
    async fn what_is_not_a_healthy_cache_says_why() {
        for (status, body, state, word) in [
            (401, "", TierState::Unauthorized, "token"),
            (403, "", TierState::Unauthorized, "token"),
            (404, "no", TierState::Degraded, "address of a cache"),
            (429, "", TierState::Degraded, "less often"),
            (500, "", TierState::Degraded, "500"),
            (200, "<html>", TierState::Degraded, "no nix-cache-info"),
            (200, "StoreDir: /gnu/store\n", TierState::WrongStore, "/gnu/store"),
        ] {
            let facts = probe_with(&[("/nix-cache-info", status, body)], KEY, &[PATH]).await;
            assert_eq!(facts.state, state, "{status} {body}");
            assert!(facts.error.as_deref().unwrap().contains(word), "{:?}", facts.error);
            assert_eq!(facts.signature, SignatureState::Unchecked);
        }
    }

    #[tokio::test]
    async fn a_tier_that_is_down_keeps_what_was_known_and_says_whose_cache_to_start() {
        let server = Server::start(&[("/nix-cache-info", 200, INFO)]).await;
        let web = Web::new().unwrap();
        let mut tier = tier(&server.url, KEY);
        let up = crate::probe::tier::probe(&web, &tier, &[], None).await;
        assert_eq!(up.state, TierState::Up);
        // A port that was just free and is closed again.
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        tier.url = format!("http://{}", listener.local_addr().unwrap());
        drop(listener);
        let down = crate::probe::tier::probe(&web, &tier, &[], Some(&up)).await;
        assert_eq!(down.state, TierState::Down);
        assert_eq!((down.priority, down.latency_ms), (Some(30), None));
        assert_eq!(down.measured_at, up.measured_at);
        assert!(down.error.as_deref().unwrap().contains("run on p620"), "{:?}", down.error);
    }

    #[tokio::test]
    async fn an_endless_answer_is_cut() {
        let long = "x".repeat(3 << 20);
        let facts = probe_with(&[("/nix-cache-info", 200, &long)], KEY, &[]).await;
        assert_eq!(facts.state, TierState::Degraded);
    }

    #[tokio::test]
    async fn at_most_two_requests_are_open_to_nix_serve() {
        let server = Server::start(&[]).await;
        let web = Web::new().unwrap();
        let tier = tier(&server.url, KEY);
        let path = StorePath::parse(PATH).unwrap();
        let asks = (0..20).map(|_| HttpProbe.holds(&web, &tier, &path));
        let answers = futures_util::future::join_all(asks).await;
        assert!(answers.iter().all(|answer| *answer == Ok(false)));
        assert!(server.most_open() <= 2, "{}", server.most_open());
    }
}
