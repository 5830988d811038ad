//! `stillguard signals`: the catalogue, for people.

use std::fmt::Write;

use stillguard::signal::CATALOGUE;

use super::{Failure, print};

pub(super) fn list() -> Result<(), Failure> {
    let mut table = String::from("id   name              weight  half-life  an account that\n");
    for spec in &CATALOGUE {
        let (id, name, weight, days) = (spec.id, spec.name, spec.weight, spec.half_life / 24.0);
        // Writing to a string can't fail.
        let _ = writeln!(table, "{id:<4} {name:<16} {weight:>7.1} {days:>8.1} d  {}", spec.says);
        if !spec.lookalike.is_empty() {
            let _ = writeln!(table, "{:42}looks alike: {}", "", spec.lookalike);
        }
    }
    print(&table)
}
