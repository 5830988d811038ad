//! `stillguard simulate`: an exchange log of a world that does not exist.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use clap::Args;
use stillguard::lab::material::Corpus;
use stillguard::lab::world::{Entry, Fate, Scenario, World};

use super::Failure;

#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Who takes part, at scale 1: config/scenarios holds some.
    #[arg(value_name = "SCENARIO.toml")]
    scenario: PathBuf,
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many of the scenario's accounts there are; what one of them does stays the same.
    #[arg(long, value_name = "FACTOR", default_value_t = 0.01)]
    scale: f64,
    /// Prompts from outside: directories of JSON lines (`prompt` or `messages`, perhaps `system` and
    /// `kind`), plain or zstd.
    #[arg(long, value_name = "DIR")]
    corpus: Vec<PathBuf>,
    /// Where the log goes; `-` is standard output.
    #[arg(long, value_name = "LOG", default_value = "-")]
    out: PathBuf,
    /// A file of accounts, one a line, that is read along: campaigns find these accounts closed.
    /// `replay --bans` writes one.
    #[arg(long, value_name = "FILE")]
    bans: Option<PathBuf>,
}

pub(super) fn run(options: &Options) -> Result<(), Failure> {
    let scenario = read(&options.scenario)?;
    let scenario = Arc::new(scenario.scaled(options.scale).evading());
    let mut world = World::new(&scenario, options.seed, corpus(&options.corpus)?);
    let out: Box<dyn Write> = match options.out.to_str() {
        Some("-") => Box::new(std::io::stdout().lock()),
        _ => Box::new(create(&options.out)?),
    };
    let mut out = BufWriter::with_capacity(1 << 16, out);
    let mut bans = Bans::new(options.bans.as_deref());
    while let Some(sent) = world.next() {
        let line =
            serde_json::to_vec(&Entry::new(&sent, scenario.start)).context("can't write a line")?;
        let written = out.write_all(&line).and_then(|()| out.write_all(b"\n"));
        match written {
            // Who reads along has seen enough.
            Err(why) if why.kind() == std::io::ErrorKind::BrokenPipe => return Ok(()),
            other => other.context("can't write the log")?,
        }
        if bans.holds(&sent.card.name)? {
            world.met(Fate::Banned);
        }
    }
    out.flush().context("can't write the log")?;
    Ok(())
}

/// A scenario file.
pub(super) fn read(path: &Path) -> Result<Scenario, Failure> {
    let text = std::fs::read_to_string(path);
    let text =
        text.map_err(|why| Failure::Unreadable(format!("can't read {}: {why}", path.display())))?;
    toml::from_str(&text).map_err(|why| Failure::Mistakes(format!("{}: {why}", path.display())))
}

/// All prompts of these directories; none without any.
pub(super) fn corpus(dirs: &[PathBuf]) -> Result<Option<Arc<Corpus>>> {
    let mut corpus = Corpus::default();
    for dir in dirs {
        corpus.add(dir).context("can't read the corpus")?;
    }
    Ok((!dirs.is_empty()).then(|| Arc::new(corpus)))
}

fn create(path: &Path) -> Result<File> {
    File::create(path).with_context(|| format!("can't write {}", path.display()))
}

/// Accounts that are closed, read from a file that somebody else appends to.
struct Bans {
    path: Option<PathBuf>,
    file: Option<BufReader<File>>,
    names: BTreeSet<String>,
    part: String,
}

impl Bans {
    fn new(path: Option<&Path>) -> Self {
        Self {
            path: path.map(Path::to_owned),
            file: None,
            names: BTreeSet::new(),
            part: String::new(),
        }
    }

    fn holds(&mut self, name: &str) -> Result<bool> {
        let Some(path) = &self.path else { return Ok(false) };
        if self.file.is_none() {
            // It comes into being with the first ban.
            self.file = File::open(path).ok().map(BufReader::new);
        }
        let Some(file) = &mut self.file else { return Ok(false) };
        while file.read_line(&mut self.part).context("can't read the bans")? > 0 {
            if self.part.ends_with('\n') {
                self.names.insert(self.part.trim().to_owned());
                self.part.clear();
            }
        }
        Ok(self.names.contains(name))
    }
}
