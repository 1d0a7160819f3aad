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

use crate::fleet::KindName;
use crate::probe::tier::TierProbe;

/// Returns the probe of a kind.
pub fn probe_of(kind: KindName) -> Option<&'static dyn TierProbe> {
    match kind {
        KindName::NixServe => Some(&nix_serve::NixServeProbe),
        KindName::Http => Some(&http::HttpProbe),
        KindName::Harmonia => Some(&harmonia::HarmoniaProbe),
        KindName::Cachix => Some(&cachix::CachixProbe),
        KindName::S3 => Some(&s3::S3Probe),
        KindName::Seaweedfs => Some(&seaweedfs::SeaweedProbe),
        KindName::Local => Some(&local::LocalProbe),
        KindName::GithubActions => Some(&github_actions::GithubActionsProbe),
        KindName::Attic => Some(&attic::AtticProbe),
        KindName::Ncps => Some(&ncps::NcpsProbe),
    }
}
