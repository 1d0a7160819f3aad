//! The kinds of tiers: one file each, and one line here.

pub(super) mod answers;
mod attic;
mod cachix;
mod github_actions;
mod github_caches;
mod github_jobs;
mod github_runs;
mod harmonia;
pub(super) mod http;
mod jwt;
pub(super) mod local;
pub(super) mod nar;
mod ncps;
mod nix_serve;
mod prometheus;
pub(super) mod proof;
pub(super) mod s3;
mod s3_list;
mod s3_pages;
mod seaweed_disks;
mod seaweed_status;
pub(super) mod seaweedfs;
pub(super) mod served;
pub(super) mod thrift;

use crate::fleet::TierKind;
use crate::probe::tier::TierProbe;

/// Returns the probe of a kind.
pub fn probe_of(kind: TierKind) -> Option<&'static dyn TierProbe> {
    match kind {
        TierKind::NixServe => Some(&nix_serve::NixServeProbe),
        TierKind::Http => Some(&http::HttpProbe),
        TierKind::Harmonia => Some(&harmonia::HarmoniaProbe),
        TierKind::Cachix => Some(&cachix::CachixProbe),
        TierKind::S3 => Some(&s3::S3Probe),
        TierKind::Seaweedfs => Some(&seaweedfs::SeaweedProbe),
        TierKind::Local => Some(&local::LocalProbe),
        TierKind::GithubActions => Some(&github_actions::GithubActionsProbe),
        TierKind::Attic => Some(&attic::AtticProbe),
        TierKind::Ncps => Some(&ncps::NcpsProbe),
    }
}
