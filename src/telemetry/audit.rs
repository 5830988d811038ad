//! The audit log: what operators ordered, on disk before it is done.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::engine::Order;
use crate::time::Timestamp;

/// Appends to one file, which is opened anew for each entry: orders are rare, and a log that was
/// moved away begins again.
#[derive(Debug, Default)]
pub struct AuditLog(Option<PathBuf>);

/// One line.
#[derive(Clone, Debug, Serialize)]
pub struct Entry<'a> {
    pub at: Timestamp,
    #[serde(flatten)]
    pub order: &'a Order,
    /// `ordered` before it is carried out; then `done`, or why not.
    pub outcome: &'a str,
}

impl AuditLog {
    pub fn new(path: Option<PathBuf>) -> Self {
        Self(path)
    }

    /// Blocks until the entry is on disk.
    pub fn write(&self, entry: &Entry<'_>) -> io::Result<()> {
        let text = serde_json::to_string(entry).map_err(io::Error::other)?;
        tracing::info!(target: "stillguard::audit", "{text}");
        let Some(path) = &self.0 else { return Ok(()) };
        let mut file = open(path)?;
        // In one piece at the file's end: lines never mix.
        file.write_all(format!("{text}\n").as_bytes())?;
        file.sync_data()
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o600).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_lines_of_a_file_that_its_owner_alone_reads() {
        use std::os::unix::fs::PermissionsExt;

        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("audit.jsonl");
        let log = AuditLog::new(Some(path.clone()));
        let order = r#"{"verb":{"clear":{"account":"acct_00000000000000000000000000000007"}},
            "owner":"ann","reason":"appeal 9"}"#;
        let order: Order = serde_json::from_str(order).unwrap();
        let at = Timestamp::from_millis(5);
        for outcome in ["ordered", "done"] {
            let entry = Entry { at, order: &order, outcome };
            log.write(&entry).unwrap();
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<serde_json::Value> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 2);
        assert_eq!((&lines[0]["owner"], &lines[1]["outcome"]), (&"ann".into(), &"done".into()));
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn an_entry_that_can_not_be_written_is_an_error() {
        let log = AuditLog::new(Some("/nowhere/at/all/audit.jsonl".into()));
        let order = r#"{"verb":{"lift":{"account":"acct_00000000000000000000000000000007"}},
            "owner":"ann","reason":"r"}"#;
        let order: Order = serde_json::from_str(order).unwrap();
        let entry = Entry { at: Timestamp::default(), order: &order, outcome: "x" };
        assert!(log.write(&entry).is_err());
    }
}
