//! Starts nixdash: arguments, dispatch, exit code.

use std::process::ExitCode;

use clap::Parser;
use nixdash::cli::lab::{LabArgs, LabOutcome};

#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    Lab(LabArgs),
}

#[tokio::main]
async fn main() -> ExitCode {
    let Command::Lab(args) = Arguments::parse().command;
    match nixdash::cli::lab::run(args).await {
        Ok(LabOutcome::Exit(code)) => ExitCode::from(code),
        Ok(LabOutcome::Dashboard { hosts_file }) => {
            println!("{}", hosts_file.display());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("nixdash: {error}");
            ExitCode::from(if error.is_usage() { 2 } else { 1 })
        }
    }
}
