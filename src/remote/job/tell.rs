//! Tells a job something, and goes on with its log in the same exchange.

use super::{FOLLOW_LIMIT, Job, OpenLog};
use crate::remote::words::no_answer_within;
use crate::remote::{Output, RemoteError, Script, ScriptRunner, Trouble};
use jiff::Timestamp;
use std::sync::Arc;
use std::time::Duration;

/// The result that the log is followed to.
const AWAITED: &str = "exit";

impl Job {
    /// Runs a script that tells the job a word and then follows it, and returns what the script printed
    /// before that; what [`Job::follow`] reads afterwards comes from the same exchange. `limit` is how long
    /// it may take until the log begins. It goes over the open connection: a new one would be kept only when
    /// the script has ended.
    ///
    /// The script's arguments are the job's name, the word, and those of `follow.sh` without the name. One
    /// that ends before the log begins says why by its exit code.
    pub async fn tell(
        &mut self,
        runner: &Arc<dyn ScriptRunner>,
        body: &'static str,
        word: &str,
        limit: Duration,
    ) -> Result<Output, RemoteError> {
        let mark = self.mark();
        let script = Script::new(body).root().limit(FOLLOW_LIMIT);
        let from = self.begin_of_read();
        let args = [&self.name, word, &from.to_string(), AWAITED, &mark];
        let script = args.into_iter().fold(script, Script::arg);
        let of_log = (mark, AWAITED, from);
        let mut opened = OpenLog::open(runner, &self.host, script, of_log);
        let Ok((has_begun, stdout)) = tokio::time::timeout(limit, said(&mut opened)).await else {
            return Err(RemoteError::new(
                &self.host,
                Trouble::Slow(limit),
                &no_answer_within(limit),
            ));
        };
        if has_begun {
            self.seen_at = Some(Timestamp::now());
            self.opened = Some(opened);
            return Ok(Output { stdout, ..Output::default() });
        }
        let output = opened.end().await?;
        if output.is_ok() {
            let cause = "the host did not say whether the order reached the job";
            return Err(RemoteError::new(&self.host, Trouble::Lost, cause));
        }
        Ok(Output { stdout, ..output })
    }
}

/// Reads what a script prints before the log that it goes on with; says whether that began.
async fn said(opened: &mut OpenLog) -> (bool, String) {
    let mut said = String::new();
    let begun = opened.begin(|line| {
        said.push_str(&line.text());
        said.push('\n');
    });
    (begun.await, said)
}
