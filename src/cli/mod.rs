//! The other face of nixdash: one file per subcommand.

pub mod lab;
