//! What kinds of material a request holds: images, code, tables of data.

use std::sync::LazyLock;

use memchr::memmem::Finder;

use crate::dialect::{Kind, Part};
use crate::signal::Topics;
use crate::signal::sketch::words::head;

/// Bytes of the user turn that are looked through: about 2 microseconds.
const READ: usize = 2048;

/// Stretches that hardly stand anywhere but in code, or in talk of tables.
static CODE: LazyLock<[Finder<'_>; 7]> = LazyLock::new(|| {
    ["```", "#include <", "def __", "function(", "public class ", "fn main", "Traceback ("]
        .map(Finder::new)
});
static DATA: LazyLock<[Finder<'_>; 5]> =
    LazyLock::new(|| [".csv", "DataFrame", "pandas", "GROUP BY", "dataset with"].map(Finder::new));

/// The topics of a request whose last user turn is `user`.
pub(super) fn of(parts: &[Part<'_>], user: &str) -> Topics {
    let text = head(user, READ).as_bytes();
    let holds = |marks: &[Finder<'_>]| marks.iter().any(|mark| mark.find(text).is_some());
    let images = parts.iter().any(|part| part.kind == Kind::Image);
    Topics::default()
        .with(Topics::IMAGES, images)
        .with(Topics::CODE, holds(&*CODE))
        .with(Topics::DATA, holds(&*DATA))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::Role;

    #[test]
    fn code_data_and_images_are_told_apart() {
        let of = |text| of(&[], text);
        assert_eq!(of("Why does this fail?\n```\nlet x = 1;\n```"), Topics::CODE);
        assert_eq!(of("Plot the third column of sales.csv by month"), Topics::DATA);
        assert_eq!(of("A poem on tides, please"), Topics::default());
        let image = Part { turn: 0, role: Role::User, kind: Kind::Image, text: "".into() };
        assert_eq!(super::of(&[image], "What is this?"), Topics::IMAGES);
    }
}
