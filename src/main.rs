//! Starts nixdash.

fn main() {}
