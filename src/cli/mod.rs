//! What the program can be asked to do, one file per verb.

mod campaign;
mod check;
mod failure;
mod fetch;
mod home;
mod id;
mod orders;
mod protocol;
mod replay;
mod secret;
mod serve;
mod signals;
mod simulate;
mod solve;
mod tune;

use std::io::{ErrorKind, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use stillguard::config::{self, Config, Loaded, Refused};
use stillguard::net::upstream::Endpoint;
use stillguard::time::Clock;

use self::failure::{EXIT_CODES, Failure};

/// A reverse proxy that recognises and slows the distillation of an inference API.
#[derive(Debug, Parser)]
#[command(version, after_help = EXIT_CODES)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

/// Does what the command line says.
pub(crate) fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{failure}");
            failure.exit_code()
        }
    }
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the proxy.
    Serve(serve::Options),
    /// Show what a file means, or everything that is wrong with it.
    Check { file: PathBuf },
    /// Print the JSON schema of the file, for editors.
    Schema,
    /// List the heuristics: what each one sees, and who looks alike.
    Signals,
    /// Print the account id of an API key, read from standard input.
    Id(id::Options),
    /// Judge a decision log again and say what changes.
    Replay(replay::Options),
    /// Write an exchange log of a made-up fleet: honest accounts and campaigns, labelled.
    Simulate(simulate::Options),
    /// Try the engine on made-up fleets and hold what it does against its targets.
    Protocol(protocol::Options),
    /// Fit the weights of signals to labelled logs.
    Tune(tune::Options),
    /// Answer a challenge: the link that a refusal names.
    Solve { url: String },
    /// List campaigns, show one, or say what becomes of it.
    #[command(subcommand)]
    Campaign(campaign::Campaigns),
    #[command(flatten)]
    Orders(orders::Orders),
}

fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Serve(options) => serve::serve(&options),
        Command::Check { file } => check::check(&file),
        Command::Schema => print(&format!("{:#}\n", config::schema().to_value())),
        Command::Signals => signals::list(),
        Command::Id(options) => id::id(&options),
        Command::Replay(options) => replay::run(&options),
        Command::Simulate(options) => simulate::run(&options),
        Command::Protocol(options) => protocol::run(&options),
        Command::Tune(options) => tune::run(&options),
        Command::Solve { url } => solve::solve(&url),
        Command::Campaign(campaigns) => campaign::run(campaigns),
        Command::Orders(orders) => orders::run(orders),
    }
}

/// Reads a file and prints its warnings; without one, the defaults.
fn read(file: Option<&Path>) -> Result<Config, Failure> {
    let Some(file) = file else { return Ok(Config::default()) };
    let Loaded { config, warnings } = load(file)?;
    if !warnings.is_empty() {
        eprintln!("{}\n", warnings.render(std::io::stderr().is_terminal()));
    }
    Ok(config)
}

fn load(file: &Path) -> Result<Loaded, Failure> {
    let now = Clock::start().now();
    config::load(file, &config::process_environment, now).map_err(|refused| match refused {
        Refused::Unreadable { .. } => Failure::Unreadable(refused.to_string()),
        Refused::Mistakes(mistakes) => {
            let shown = mistakes.render(std::io::stderr().is_terminal());
            Failure::Mistakes(format!("{shown}\n\n{}", counted(mistakes.len(), "mistake")))
        }
    })
}

/// Writes to standard output. A reader who has seen enough (`| head`) is no failure.
fn print(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(why) if why.kind() != ErrorKind::BrokenPipe => {
            Err(Failure::Other(anyhow::Error::new(why).context("can't write")))
        }
        _ => Ok(()),
    }
}

fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

fn joined(endpoints: &[Endpoint]) -> String {
    let urls: Vec<_> = endpoints.iter().map(|endpoint| endpoint.url.to_string()).collect();
    urls.join(", ")
}
