//! Which keys `hosts.toml` gives the commands of the dashboard, as they are written there.

/// A line of `[keys]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyBinding {
    /// The name of the command.
    pub command: String,
    /// The keys as they are written; `none` alone means that it has none.
    pub keys: Vec<String>,
    /// The line on which it stands, from 1.
    pub line: usize,
    /// The column in which it begins, in characters from 1.
    pub column: usize,
}
