//! The kinds of tiers: one file each, and one line here.

pub(super) mod http;
mod prometheus;
mod s3;
mod s3_list;
mod seaweed_status;
mod seaweedfs;

use crate::fleet::TierKind;
use crate::probe::tier::TierProbe;

/// Returns the probe of a kind; none for a kind that this version does not probe.
pub fn probe_of(kind: TierKind) -> Option<&'static dyn TierProbe> {
    match kind {
        TierKind::NixServe | TierKind::Harmonia | TierKind::Http => Some(&http::HttpProbe),
        TierKind::S3 => Some(&s3::S3Probe),
        TierKind::Seaweedfs => Some(&seaweedfs::SeaweedProbe),
        TierKind::Cachix
        | TierKind::Local
        | TierKind::GithubActions
        | TierKind::Attic
        | TierKind::Ncps => None,
    }
}
