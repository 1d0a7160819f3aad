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

#[cfg(test)]
mod tests {
    use std::process::Command;

    /// Runs `gone` beside a systemctl that answers so.
    fn gone(systemctl: &str, jobs: &str) -> String {
        let units = include_str!("../scripts/units.sh");
        let text = format!("systemctl() {{ {systemctl}; }}\n{units}\ngone {jobs}\n");
        let output = Command::new("/bin/sh").args(["-c", &text]).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    #[test]
    fn one_question_tells_which_jobs_are_gone() {
        let states = "printf 'Id=nixdash-a.service\\nActiveState=inactive\\n\\n\
                      Id=nixdash-b.service\\nActiveState=deactivating\\n\\n\
                      ActiveState=failed\\nId=nixdash-c-d.service\\n'";
        assert_eq!(gone(states, "a b c-d"), "a\nc-d\n");
        assert_eq!(gone("echo asked", ""), "", "nothing is asked about no job");
        assert_eq!(gone("return 1", "a"), "", "a systemd that does not answer says nothing");
    }
}
