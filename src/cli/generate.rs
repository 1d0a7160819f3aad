//! `nixdash completions` and `nixdash man`, both made from the arguments' own description, and
//! `nixdash findings`, made from the table of codes.

use crate::cli::{Cli, CliError};
use crate::fleet::words;
use clap::CommandFactory;
use clap_complete::Shell;
use std::process::ExitCode;

pub(super) fn completions(shell: Shell) -> Result<ExitCode, CliError> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "nixdash", &mut text);
    print(&text)
}

pub(super) fn man() -> Result<ExitCode, CliError> {
    let mut text = Vec::new();
    clap_mangen::Man::new(Cli::command()).render(&mut text)?;
    print(&text)
}

pub(super) fn findings() -> Result<ExitCode, CliError> {
    print(words::page::findings().as_bytes())
}

fn print(text: &[u8]) -> Result<ExitCode, CliError> {
    std::io::Write::write_all(&mut std::io::stdout().lock(), text)?;
    Ok(ExitCode::SUCCESS)
}
