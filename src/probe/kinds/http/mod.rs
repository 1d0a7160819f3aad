//! Any static or public cache over HTTP, such as cache.nixos.org: nothing but the binary cache
//! protocol.

use crate::fleet::{StorePath, TierFacts};
use crate::probe::asking::{Asking, TierFuture, TierProbe};
use crate::probe::checks::{held, up};
use crate::probe::transport::{CACHE_REQUESTS, RequestError, Rules};

/// The kind `http`.
pub(super) struct Http;

/// What such a cache may be asked.
static RULES: Rules = Rules::new(CACHE_REQUESTS);

impl TierProbe for Http {
    fn rules(&self) -> &'static Rules {
        &RULES
    }

    fn look<'a>(&'a self, asking: &'a Asking<'a>) -> TierFuture<'a, TierFacts> {
        Box::pin(up::look(asking))
    }

    fn holds<'a>(
        &'a self,
        asking: &'a Asking<'a>,
        paths: &'a [&'a StorePath],
    ) -> TierFuture<'a, Result<Vec<bool>, RequestError>> {
        Box::pin(held::held(asking, paths))
    }
}
