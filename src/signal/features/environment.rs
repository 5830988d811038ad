//! Whose machine a request comes from, as coding agents tell the model: the home directory.

use memchr::memmem;

use crate::identity::{Keyring, Tag};
use crate::signal::sketch::words::head;

/// Bytes looked through: about a microsecond for both texts.
const READ: usize = 8 * 1024;

/// Where a home directory begins, and what agents write before it where people write, too.
const HOMES: [&str; 3] = ["/home/", "/Users/", "\\Users\\"];
const TOLD: [&str; 4] = ["<cwd>", "environment_details", "orking directory", "orkspace"];

/// Bytes after such a mark within which the directory stands.
const NEAR: usize = 400;

/// Homes of machines that are nobody's own.
const NOBODYS: [&str; 18] = [
    "admin",
    "app",
    "azureuser",
    "circleci",
    "codespace",
    "coder",
    "ec2-user",
    "gitpod",
    "jovyan",
    "node",
    "public",
    "root",
    "runner",
    "runneradmin",
    "shared",
    "ubuntu",
    "user",
    "vscode",
];

/// A tag of the machine's user, whom a system prompt names; none where it names nobody.
pub(super) fn of_system(system: &str, keyring: &Keyring) -> Option<Tag> {
    name(head(system, READ)).map(|name| tag(name, keyring))
}

/// The same of what people write: only what follows an agent's own mark counts, for they paste other
/// people's paths.
pub(super) fn of_user(user: &str, keyring: &Keyring) -> Option<Tag> {
    let user = head(user, READ);
    let mark = TOLD.iter().filter_map(|mark| memmem::find(user.as_bytes(), mark.as_bytes()));
    let name = mark.min().and_then(|at| name(head(&user[at..], NEAR)))?;
    Some(tag(name, keyring))
}

fn tag(name: &str, keyring: &Keyring) -> Tag {
    keyring.tag("environment", name.to_lowercase().as_bytes())
}

fn name(text: &str) -> Option<&str> {
    let homes = HOMES.iter().filter_map(|home| {
        let at = memmem::find(text.as_bytes(), home.as_bytes())?;
        Some((at, &text[at + home.len()..]))
    });
    let (_, rest) = homes.min_by_key(|(at, _)| *at)?;
    let ends = |c: char| c.is_whitespace() || "/\\\"'`<>,;:)]}".contains(c);
    let name = rest.split(ends).next().unwrap_or_default();
    let nobodys = name.is_empty() || name.len() > 48 || name.starts_with(['$', '{', '[']);
    let known = NOBODYS.iter().any(|known| known.eq_ignore_ascii_case(name));
    (!nobodys && !known).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signal::samples::keyring;

    fn of(system: &str, user: &str) -> Tag {
        let told = || of_user(user, &keyring());
        of_system(system, &keyring()).or_else(told).unwrap_or_default()
    }

    #[test]
    fn one_persons_directories_are_one_machine() {
        let ana = of("You edit code.\nWorking directory: /home/ana/shop", "");
        assert_ne!(ana, Tag::default());
        assert_eq!(of("Project at /home/ana/other", ""), ana);
        assert_eq!(of("", "<environment_context>\n<cwd>/home/ana/shop</cwd>"), ana);
        assert_ne!(of("cwd: C:\\Users\\Ben\\src", ""), ana);
        assert_eq!(of("cwd: C:\\Users\\Ben\\src", ""), of("at /Users/ben", ""));
        assert_ne!(of("工作目录:/Users/李雷/项目", ""), Tag::default());
    }

    #[test]
    fn servers_and_pasted_paths_are_nobodys() {
        assert_eq!(of("Run in /home/runner/work", "why?"), Tag::default());
        assert_eq!(of("", "Traceback: File /home/ana/shop/main.py, line 3"), Tag::default());
        assert_eq!(of("Use $HOME or /home/$USER/bin", ""), Tag::default());
        assert_eq!(of("", ""), Tag::default());
    }
}
