//! Weights of signals in a file of their own, as `stillguard tune` writes it.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use crate::signal::{CATALOGUE, Settings};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    signals: BTreeMap<String, Weight>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Weight {
    weight: f32,
}

/// Most that a weight may multiply a signal's own by.
const MOST: f32 = 4.0;

/// `signals` with the weights of the file at `path` in the place of their own. Blocks on the disk.
pub(super) fn laid_over(signals: &Settings, path: &Path) -> Result<Settings, String> {
    let text = std::fs::read_to_string(path)
        .map_err(|why| format!("can't read {}: {why}", path.display()))?;
    let file: File =
        toml::from_str(&text).map_err(|why| format!("{}: {}", path.display(), why.message()))?;
    let mut all = serde_json::to_value(signals).map_err(|why| why.to_string())?;
    for (name, Weight { weight }) in file.signals {
        if !CATALOGUE.iter().any(|spec| spec.name == name) {
            return Err(format!("{}: there is no signal `{name}`", path.display()));
        }
        if !(0.0..=MOST).contains(&weight) {
            return Err(format!("{}: the weight of {name} is not from 0 to 4", path.display()));
        }
        all[name]["weight"] = weight.into();
    }
    serde_json::from_value(all).map_err(|why| why.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn laid(text: &str) -> Result<Settings, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, text).unwrap();
        laid_over(&Settings::default(), file.path())
    }

    #[test]
    fn weights_replace_those_of_their_signals_alone() {
        let settings = laid("[signals.grader]\nweight = 2.5\n").unwrap();
        assert_eq!((settings.grader.weight, settings.egress.weight), (2.5, 1.0));
    }

    #[test]
    fn a_file_with_a_mistake_is_refused_by_name() {
        for (text, why) in [
            ("[signals.grading]\nweight = 1.0\n", "no signal `grading`"),
            ("[signals.grader]\nweight = 9.0\n", "from 0 to 4"),
            ("[signals.grader]\nweight = nan\n", "from 0 to 4"),
            ("[signals.grader]\nmode = \"off\"\n", "unknown field"),
            ("nonsense", ""),
        ] {
            let refused = laid(text).unwrap_err();
            assert!(refused.contains(why), "{refused}");
        }
    }
}
