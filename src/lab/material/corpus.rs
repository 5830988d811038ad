//! Prompts from outside: a directory of JSON lines laid over the generated material.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::Call;
use crate::lab::rng::Rng;

/// Prompts read from `*.jsonl` files. Compressed files are not read: `zstd -d` them first.
///
/// A line is an object with `prompt` (a string) or `messages` (OpenAI chat form), and perhaps
/// `system`. All other fields are ignored, as are lines without a user's words.
#[derive(Clone, Debug, Default)]
pub struct Corpus {
    pub prompts: Vec<Opening>,
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
    /// Reads every `.jsonl` file directly below `dir`, in name order.
    pub fn read(dir: &Path) -> Result<Self, CorpusError> {
        let failed = |path: &Path, source| CorpusError { path: path.to_owned(), source };
        let entries = fs::read_dir(dir).map_err(|source| failed(dir, source))?;
        let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        paths.retain(|path| path.extension().is_some_and(|end| end == "jsonl"));
        paths.sort();
        let mut corpus = Self::default();
        for path in paths {
            let file = fs::File::open(&path).map_err(|source| failed(&path, source))?;
            corpus.take(BufReader::new(file)).map_err(|source| failed(&path, source))?;
        }
        Ok(corpus)
    }

    fn take(&mut self, lines: impl BufRead) -> std::io::Result<()> {
        for line in lines.split(b'\n') {
            let opening = serde_json::from_slice(&line?).ok().and_then(opening);
            self.skipped += usize::from(opening.is_none());
            self.prompts.extend(opening);
        }
        Ok(())
    }

    /// One of the prompts; none when the corpus is empty.
    pub fn draw(&self, rng: &mut Rng) -> Option<Call> {
        let opening = self.prompts.get(rng.below(self.prompts.len()))?;
        Some(Call { system: opening.system.clone(), ..Call::asking(opening.prompt.clone()) })
    }
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
        fs::write(dir.path().join("b.jsonl.zst"), b"\x28\xb5").unwrap();
        let corpus = Corpus::read(dir.path()).unwrap();
        assert_eq!((corpus.prompts.len(), corpus.skipped), (2, 2));
        assert_eq!(corpus.prompts[1].system.as_deref(), Some("Be brief."));
        assert!(corpus.draw(&mut Rng::new(1)).is_some());
    }

    #[test]
    fn a_directory_that_is_not_there_is_named() {
        let error = Corpus::read(Path::new("nowhere-at-all")).unwrap_err();
        assert!(error.to_string().starts_with("nowhere-at-all: "));
    }
}
