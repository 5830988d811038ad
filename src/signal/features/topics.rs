//! What kinds of material a request holds: images, code, tables of data.

use memchr::memmem;

use crate::dialect::{Kind, Part};
use crate::signal::Topics;
use crate::signal::sketch::words::head;

/// Bytes of the user turn that are looked through: about 2 microseconds.
const READ: usize = 2048;

/// Stretches that hardly stand anywhere but in code, or in talk of tables.
const CODE: [&str; 7] =
    ["```", "#include <", "def __", "function(", "public class ", "fn main", "Traceback ("];
const DATA: [&str; 5] = [".csv", "DataFrame", "pandas", "GROUP BY", "dataset with"];

/// The topics of a request whose last user turn is `user`.
pub(super) fn of(parts: &[Part<'_>], user: &str) -> Topics {
    let text = head(user, READ).as_bytes();
    let holds = |marks: &[&str]| marks.iter().any(|m| memmem::find(text, m.as_bytes()).is_some());
    let images = parts.iter().any(|part| part.kind == Kind::Image);
    Topics::default()
        .with(Topics::IMAGES, images)
        .with(Topics::CODE, holds(&CODE))
        .with(Topics::DATA, holds(&DATA))
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
