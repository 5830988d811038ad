//! Where memory and, if none is configured, the deployment's secret are kept.

use std::path::{Path, PathBuf};

use stillguard::config::process_environment;
use stillguard::store::Settings;

/// The directory, or none where memory is not to be kept.
pub(super) fn directory(settings: &Settings) -> Option<PathBuf> {
    settings.enabled.then(|| settings.path.clone().unwrap_or_else(|| usual(&process_environment)))
}

/// What the command line says of it: a directory, or `off`.
pub(super) fn lay_over(settings: &mut Settings, said: Option<&Path>) {
    match said {
        Some(off) if off.as_os_str() == "off" => settings.enabled = false,
        Some(path) => settings.path = Some(path.to_owned()),
        None => {}
    }
}

fn usual(environment: &dyn Fn(&str) -> Option<String>) -> PathBuf {
    let set = |name| environment(name).filter(|value| !value.is_empty());
    // A service manager may name several, divided by colons.
    let given = set("STATE_DIRECTORY").and_then(|all| all.split(':').next().map(PathBuf::from));
    let own = || set("XDG_STATE_HOME").map(|home| PathBuf::from(home).join("stillguard"));
    let home = || set("HOME").map(|home| PathBuf::from(home).join(".local/state/stillguard"));
    given.or_else(own).or_else(home).unwrap_or_else(|| PathBuf::from("/var/lib/stillguard"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_service_managers_word_goes_before_the_users_home() {
        let all = [
            ("STATE_DIRECTORY", "/var/lib/one:/var/lib/two"),
            ("XDG_STATE_HOME", "/home/u/state"),
            ("HOME", "/home/u"),
        ];
        let from = |first: usize| {
            let found = |name: &str| {
                let known = all[first..].iter().find(|(known, _)| *known == name);
                known.map(|(_, value)| (*value).to_owned())
            };
            usual(&found).to_string_lossy().into_owned()
        };
        assert_eq!(from(0), "/var/lib/one");
        assert_eq!(from(1), "/home/u/state/stillguard");
        assert_eq!(from(2), "/home/u/.local/state/stillguard");
        assert_eq!(from(3), "/var/lib/stillguard");
    }
}
