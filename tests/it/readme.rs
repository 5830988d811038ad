//! What the README says of the program is what the program says of itself.

use stillguard::config::parse;
use stillguard::signal::CATALOGUE;
use stillguard::time::Timestamp;

const README: &str = include_str!("../../README.md");

#[test]
fn the_table_of_signals_is_the_registry() {
    let rows: Vec<_> =
        README.lines().skip_while(|line| !line.starts_with("| id | signal")).collect();
    let rows: Vec<_> = rows.into_iter().skip(2).take_while(|line| line.starts_with('|')).collect();
    let made: Vec<_> = CATALOGUE
        .iter()
        .map(|spec| {
            let (id, name, family) = (spec.id, spec.name, spec.family);
            format!("| {id} | `{name}` | {family:?} | {} | {} |", spec.says, spec.lookalike)
        })
        .collect();
    assert_eq!(rows, made, "the table should read:\n{}", made.join("\n"));
}

#[test]
fn every_file_the_readme_links_to_is_there() {
    for link in README.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
        if !link.starts_with("http") {
            let path = format!("{}/{link}", env!("CARGO_MANIFEST_DIR"));
            assert!(std::path::Path::new(&path).exists(), "{link}");
        }
    }
}

#[test]
fn every_example_of_a_file_works() {
    let examples = README.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next());
    let environment = |_: &str| Some("sk-from-the-environment".to_owned());
    for text in examples {
        let read = parse("README.md", text, &environment, Timestamp::from_millis(0));
        let loaded = read.unwrap_or_else(|mistakes| panic!("{mistakes}"));
        assert!(loaded.warnings.is_empty(), "{}", loaded.warnings);
    }
}
