//! Nix's own language, pure: keys and signatures, narinfos, logs, versions, command lines.
//!
//! Nothing here does I/O or reads a clock: text and bytes come in as arguments. The formats are
//! those of Nix 2.8 and later; what a newer Nix adds passes through or is ignored.

pub mod activity;
pub mod argv;
pub mod base32;
pub mod base64;
pub mod build_log;
pub mod build_output;
pub mod cache_info;
pub mod content_address;
pub mod copy_failure;
pub mod derivation;
pub mod disk_cache;
pub mod dry_run;
pub mod eval_error;
pub mod flake_lock;
pub mod flake_url;
pub mod hash;
pub mod internal_json;
pub mod nar;
pub mod narinfo;
pub mod s3_url;
pub mod settings;
pub mod signature;
pub mod substituter;
pub mod substitution;
pub mod trusted_keys;
pub mod unpack;
pub mod version;
pub mod versions;

/// Returns whether a text can stand between quotes as an attribute name in a Nix expression or
/// installable: nothing in it can end the quotes or start an interpolation.
pub fn is_attribute(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 200
        && !text.chars().any(|c| c.is_control() || matches!(c, '"' | '\\' | '$'))
}
