//! The scripts of jobs: starting one, following it, stopping it.

/// Puts files of the folder of scripts one after the other, when nixdash is compiled.
macro_rules! script {
    ($($file:literal),+) => { concat!($(include_str!(concat!("../scripts/", $file))),+) };
}

/// Prints a job's log, and how it ended.
pub const FOLLOW: &str = script!("results.sh", "units.sh", "follow.sh", "follow-job.sh");
/// Starts a job and follows it.
pub const START: &str = script!("results.sh", "units.sh", "follow.sh", "start.sh");
/// Stops a job.
pub const STOP: &str = script!("stop.sh");
