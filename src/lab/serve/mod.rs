//! The two cache servers of the lab: a stand-in for nix-serve, which Debian does not have, and a plain server of files.
//!
//! [`store`] speaks nix-serve's protocol straight from a live store and has its habits; [`files`] is what nginx would be in
//! front of a directory that `nix copy` wrote. Both run as processes of their own, started with the hidden `nixdash lab serve`.

pub(crate) mod daemon;
pub(crate) mod fault;
pub(crate) mod files;
pub(crate) mod http;
pub(crate) mod narinfo;
pub(crate) mod store;
mod talk;
