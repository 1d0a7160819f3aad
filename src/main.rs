//! Starts nixdash: hooks, arguments, dispatch, exit code.

use clap::Parser;
use nixdash::cli::{Cli, answer_shell, run};
use std::io::Write;
use std::process::ExitCode;

fn main() -> color_eyre::Result<ExitCode> {
    answer_shell();
    color_eyre::install()?;
    let cli = Cli::parse();
    let workers = cli.workers();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(workers).enable_all().build()?;
    let result = runtime.block_on(run(cli));
    // Reading standard input cannot be cancelled; nobody waits for it.
    runtime.shutdown_background();
    Ok(match result {
        Ok(code) => code,
        Err(error) => {
            if !error.is_closed_pipe() {
                // The terminal may be gone; the exit code still says it.
                drop(writeln!(std::io::stderr(), "nixdash: {error}"));
            }
            error.exit_code()
        }
    })
}
