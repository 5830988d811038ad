//! The verbs of the command line.

mod cli;

use std::process::ExitCode;

use clap::Parser;

use self::cli::{Command, run};

#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A reverse proxy that recognises and slows the distillation of an inference API.
#[derive(Debug, Parser)]
#[command(version, after_help = cli::EXIT_CODES)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{failure}");
            failure.exit_code()
        }
    }
}
