//! Prompts from outside: a directory of JSON lines laid over the generated material.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::Call;
use crate::lab::rng::Rng;

/// Prompts read from `*.jsonl` files, and from `*.jsonl.zst` where the proxy's features are built in.
///
/// A line is an object with `prompt` (a string) or `messages` (OpenAI chat form), perhaps `system`,
/// and perhaps `kind`, which says who sends it: `system` (a product's system prompt), `eval` (an
/// evaluation harness), `template` with a `capability` (a pipeline; slots are written `⟦name⟧`),
/// `task`, `seed` or `issue` (what pipelines fill in), and people for everything else. Lines without
/// words are counted and left out, as are templates without a `capability`.
#[derive(Clone, Debug, Default)]
pub struct Corpus {
    /// What people ask.
    pub prompts: Vec<Opening>,
    pub systems: Vec<String>,
    pub evals: Vec<String>,
    pub templates: Vec<Opening>,
    pub tasks: Vec<String>,
    /// Lines that held no prompt.
    pub skipped: usize,
}

/// What a conversation starts with.
#[derive(Clone, Debug, PartialEq)]
pub struct Opening {
    pub system: Option<String>,
    pub prompt: String,
}

#[derive(Debug, thiserror::Error)]
#[error("{}: {source}", path.display())]
pub struct CorpusError {
    path: PathBuf,
    source: std::io::Error,
}

#[derive(Deserialize)]
struct Line {
    #[serde(default)]
    kind: String,
    capability: Option<String>,
    system: Option<String>,
    prompt: Option<String>,
    #[serde(default)]
    messages: Vec<Message>,
}

#[derive(Deserialize)]
struct Message {
    role: String,
    #[serde(default)]
    content: serde_json::Value,
}

impl Corpus {
    /// Reads every file of prompts directly below `dir`, in name order.
    pub fn read(dir: &Path) -> Result<Self, CorpusError> {
        let mut corpus = Self::default();
        corpus.add(dir)?;
        Ok(corpus)
    }

    /// Reads what lies directly below `dir` too.
    pub fn add(&mut self, dir: &Path) -> Result<(), CorpusError> {
        let failed = |path: &Path, source| CorpusError { path: path.to_owned(), source };
        let entries = fs::read_dir(dir).map_err(|source| failed(dir, source))?;
        let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        paths.sort();
        for path in paths {
            let file = opened(&path).map_err(|source| failed(&path, source))?;
            let Some(file) = file else { continue };
            self.take(BufReader::new(file)).map_err(|source| failed(&path, source))?;
        }
        Ok(())
    }

    fn take(&mut self, lines: impl BufRead) -> std::io::Result<()> {
        for line in lines.split(b'\n') {
            let line = serde_json::from_slice::<Line>(&line?).ok();
            self.skipped += usize::from(!line.is_some_and(|line| self.sort(line)));
        }
        Ok(())
    }

    /// Puts a line where it belongs; false where it belongs nowhere.
    fn sort(&mut self, line: Line) -> bool {
        if let ("system", Some(system)) = (&*line.kind, &line.system) {
            self.systems.push(system.clone());
            return true;
        }
        let (kind, pipeline) = (line.kind.clone(), line.capability.is_some());
        let Some(opening) = opening(line) else { return false };
        match &*kind {
            "eval" => self.evals.push(opening.prompt),
            "task" | "seed" | "issue" => self.tasks.push(opening.prompt),
            "template" if pipeline => self.templates.push(opening),
            "template" => return false,
            _ => self.prompts.push(opening),
        }
        true
    }

    /// One of the prompts of people; none when there are none.
    pub fn draw(&self, rng: &mut Rng) -> Option<Call> {
        let opening = self.prompts.get(rng.below(self.prompts.len()))?;
        Some(Call { system: opening.system.clone(), ..Call::asking(opening.prompt.clone()) })
    }

    /// Template `which`, every slot filled with a task or with what `other` says.
    pub fn rendered(
        &self,
        which: usize,
        rng: &mut Rng,
        other: impl Fn(&mut Rng) -> String,
    ) -> Option<Opening> {
        let template = self.templates.get(which)?;
        let mut rest = template.prompt.as_str();
        let mut prompt = String::with_capacity(rest.len() * 2);
        while let Some((before, slot)) = rest.split_once('⟦') {
            let Some((_, after)) = slot.split_once('⟧') else { break };
            prompt.push_str(before);
            let task = self.tasks.get(rng.below(self.tasks.len())).filter(|_| rng.chance(0.5));
            // A number keeps a slot that was drawn before from being filled the same way.
            let filling = match task {
                Some(task) => format!("{task} [{}]", rng.below(100_000)),
                None => other(rng),
            };
            prompt.push_str(&filling);
            rest = after;
        }
        prompt.push_str(rest);
        Some(Opening { system: template.system.clone(), prompt })
    }
}

/// The file decoded; none where it holds no lines.
fn opened(path: &Path) -> std::io::Result<Option<Box<dyn Read>>> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    if name.ends_with(".jsonl") {
        return Ok(Some(Box::new(fs::File::open(path)?)));
    }
    #[cfg(feature = "proxy")]
    if name.ends_with(".jsonl.zst") {
        return Ok(Some(Box::new(zstd::Decoder::new(fs::File::open(path)?)?)));
    }
    Ok(None)
}

fn opening(line: Line) -> Option<Opening> {
    let said = |role: &str| {
        let message = line.messages.iter().find(|message| message.role == role)?;
        message.content.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
    };
    let prompt = said("user").or_else(|| line.prompt.clone().filter(|text| !text.is_empty()))?;
    Some(Opening { system: line.system.clone().or_else(|| said("system")), prompt })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prompts_and_messages_are_read_and_other_lines_are_counted() {
        let dir = tempfile::tempdir().unwrap();
        let lines = concat!(
            r#"{"prompt":"How deep is a lake?","lang":"en"}"#,
            "\n",
            r#"{"messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"Hi"}]}"#,
            "\n",
            "not json\n",
            r#"{"messages":[]}"#,
            "\n",
        );
        fs::write(dir.path().join("a.jsonl"), lines).unwrap();
        fs::write(dir.path().join("b.csv"), "prompt\n").unwrap();
        let corpus = Corpus::read(dir.path()).unwrap();
        assert_eq!((corpus.prompts.len(), corpus.skipped), (2, 2));
        assert_eq!(corpus.prompts[1].system.as_deref(), Some("Be brief."));
        assert!(corpus.draw(&mut Rng::new(1)).is_some());
    }

    #[test]
    fn kinds_say_who_sends_it_and_slots_are_filled_anew() {
        let dir = tempfile::tempdir().unwrap();
        let lines = [
            r#"{"kind":"template","capability":"coding","prompt":"Solve ⟦a⟧ and ⟦b⟧."}"#,
            r#"{"kind":"template","prompt":"Not of a pipeline ⟦a⟧"}"#,
            r#"{"kind":"task","prompt":"sort a list"}"#,
            r#"{"kind":"system","system":"You are terse."}"#,
            r#"{"kind":"eval","prompt":"Q: 1+1"}"#,
        ];
        fs::write(dir.path().join("a.jsonl"), lines.join("\n")).unwrap();
        let corpus = Corpus::read(dir.path()).unwrap();
        assert_eq!((corpus.systems.len(), corpus.evals.len(), corpus.skipped), (1, 1, 1));
        let mut rng = Rng::new(1);
        let mut said =
            || corpus.rendered(0, &mut rng, |rng| rng.draw().to_string()).unwrap().prompt;
        let (one, two) = (said(), said());
        assert!(one.starts_with("Solve ") && !one.contains('⟦') && one != two, "{one} {two}");
    }

    #[test]
    fn a_directory_that_is_not_there_is_named() {
        let error = Corpus::read(Path::new("nowhere-at-all")).unwrap_err();
        assert!(error.to_string().starts_with("nowhere-at-all: "));
    }
}
