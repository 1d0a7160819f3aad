//! The kinds of tiers: a folder each, and one line here.

mod attic;
mod cachix;
mod github;
mod harmonia;
mod http;
pub(super) mod local;
mod ncps;
mod niks3;
mod nix_serve;
mod s3;
mod seaweedfs;

use crate::fleet::{Tier, TierKind};
use crate::probe::asking::TierProbe;

/// Returns what is particular to a tier's kind.
pub fn kind_of(tier: &Tier) -> &'static dyn TierProbe {
    match &tier.kind {
        TierKind::NixServe { .. } => &nix_serve::NixServe,
        TierKind::Http => &http::Http,
        TierKind::Harmonia => &harmonia::Harmonia,
        TierKind::Cachix { .. } => &cachix::Cachix,
        TierKind::S3 => &s3::S3,
        TierKind::Seaweedfs(_) => &seaweedfs::Seaweedfs,
        TierKind::Local => &local::Local,
        TierKind::GithubActions { .. } => &github::GithubActions,
        TierKind::Attic => &attic::Attic,
        TierKind::Ncps => &ncps::Ncps,
        TierKind::Niks3 { .. } => &niks3::Niks3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::KindName;
    use std::time::Duration;

    #[test]
    fn a_tier_is_asked_as_often_as_configured_else_as_its_kind_bears_it() {
        let tier = |kind, url: &str| Tier::new("x", kind, url);
        let seconds = |tier: &Tier| kind_of(tier).every(tier).as_secs();
        assert_eq!(seconds(&tier(KindName::NixServe, "http://p620.lan:5000")), 10);
        assert_eq!(seconds(&tier(KindName::Http, "https://cache.nixos.org")), 60);
        assert_eq!(seconds(&tier(KindName::Attic, "http://10.0.0.5/fleet")), 10);
        assert_eq!(seconds(&tier(KindName::S3, "s3://x?endpoint=http://10.0.0.5")), 60);
        assert_eq!(seconds(&tier(KindName::Local, "")), 60);
        let github = tier(KindName::GithubActions, "https://api.github.com/repos/me/x");
        assert_eq!(seconds(&github), 300);
        assert_eq!(seconds(&Tier { every: Some(Duration::from_secs(30)), ..github.clone() }), 30);
        assert_eq!(seconds(&Tier { every: Some(Duration::ZERO), ..github }), 1);
    }
}
