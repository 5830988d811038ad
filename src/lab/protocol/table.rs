//! The protocol's tables, as text.

use std::fmt::Write;

use super::super::baseline::Baseline;
use super::figures::{classes, interval, targets};
use super::{Figures, Part, Target, Tried};

/// Everything that was found, misses as plain as hits.
pub fn told(tried: &[Tried]) -> String {
    let mut text = String::new();
    let mut add = |more: String| text.push_str(&more);
    if of(tried, Part::Base).next().is_some() {
        add(target_table(&rows(tried)));
        add(campaign_table(tried));
        add(class_table(tried));
        add(baseline_table(tried));
    }
    for (part, title) in [
        (Part::Provisioning, "Nothing known of how accounts came to be"),
        (Part::Regimes, "Load regimes and replacement of banned accounts"),
        (Part::Ablation, "Families of signals switched off"),
        (Part::Evasions, "Evasions"),
    ] {
        if of(tried, part).next().is_some() {
            add(run_table(title, of(tried, part)));
        }
    }
    text
}

/// The target table of these runs.
pub(in crate::lab) fn rows(tried: &[Tried]) -> Vec<Target> {
    let figures = |part| of(tried, part).map(|one| one.figures.clone()).collect::<Vec<Figures>>();
    let triple = of(tried, Part::Evasions).filter(|one| one.name.starts_with("worst three"));
    let triple: Vec<Figures> = triple.map(|one| one.figures.clone()).collect();
    targets(&figures(Part::Base), &figures(Part::Provisioning), &triple)
}

fn of(tried: &[Tried], part: Part) -> impl Iterator<Item = &Tried> {
    tried.iter().filter(move |one| one.part == part)
}

// Writing to a string can't fail, so its results are dropped.

fn target_table(rows: &[Target]) -> String {
    let mut text = format!("\n{:38} {:>20} {:>18} {:>18}\n", "target", "", "median", "worst");
    for Target { metric, target, median, worst, hit } in rows {
        let hit = hit.map_or("", |hit| if hit { "hit" } else { "MISSED" });
        let _ = writeln!(text, "{metric:38} {target:>20} {median:>18} {worst:>18}  {hit}");
    }
    text
}

fn campaign_table(tried: &[Tried]) -> String {
    let mut text = format!(
        "\n{:28} {:>9} {:>9} {:>8} {:>8} {:>8} {:>8} {:>7} {:>9}  first acted on\n",
        "campaign, by seed",
        "planned",
        "offered",
        "leakage",
        "shaped",
        "taken",
        "recall",
        "lost",
        "accounts"
    );
    for one in of(tried, Part::Base) {
        for (name, spent) in &one.outcome.campaigns {
            let Some(side) = one.outcome.report.sides.get(&format!("campaign:{name}")) else {
                continue;
            };
            let first = side.first_enforced.map_or_else(
                || "never".to_owned(),
                |(after, hours)| format!("after {after} exchanges, {hours:.1} h"),
            );
            let _ = writeln!(
                text,
                "{:28} {:>9} {:>9} {:>7.2}% {:>7.2}% {:>7.2}% {:>7.2}% {:>7} {:>9}  {first}",
                format!("{name}, {}", one.name),
                spent.planned,
                side.offered,
                side.leakage() * 100.0,
                side.shaped as f64 / side.offered.max(1) as f64 * 100.0,
                side.served as f64 / spent.planned.max(1) as f64 * 100.0,
                side.recall() * 100.0,
                spent.lost,
                spent.opened,
            );
        }
    }
    let leakages: Vec<_> = of(tried, Part::Base).map(|one| one.figures.leakage * 100.0).collect();
    let (mean, half) = interval(&leakages);
    let _ =
        writeln!(text, "leakage over {} seeds: {mean:.2} % +- {half:.2} (95 %)", leakages.len());
    text
}

fn class_table(tried: &[Tried]) -> String {
    let mut text = format!(
        "\n{:28} {:>9} {:>22} {:>11} {:>9}\n",
        "honest class, all seeds", "accounts", "throttled or worse", "challenged", "dropped"
    );
    let all = classes(of(tried, Part::Base).map(|one| &one.outcome));
    let mut all: Vec<_> = all.into_iter().collect();
    all.sort_by(|(_, a), (_, b)| (b[1] * a[0].max(1)).cmp(&(a[1] * b[0].max(1))));
    for (name, [accounts, acted, challenged, dropped]) in all {
        let share = acted as f64 / accounts.max(1) as f64 * 100.0;
        let _ = writeln!(
            text,
            "{name:28} {accounts:>9} {acted:>12} {share:>7.2} % {challenged:>11} {dropped:>9}"
        );
    }
    text
}

fn baseline_table(tried: &[Tried]) -> String {
    let mut text = format!("\n{}  first seed\n", Baseline::HEADER);
    let Some(first) = of(tried, Part::Base).next() else { return text };
    let note = format!(
        "accounts throttled or worse; {:.1} % of exchanges held back",
        (1.0 - first.figures.leakage) * 100.0
    );
    let honest = first.outcome.report.sides.get("benign");
    let own = Baseline {
        name: "stillguard".into(),
        caught: first.figures.recall,
        harmed: honest.map_or(0.0, super::super::history::Side::recall),
        note,
    };
    for one in std::iter::once(&own).chain(&first.outcome.baselines) {
        let _ = writeln!(text, "{}", one.row());
    }
    text
}

fn run_table<'a>(title: &str, runs: impl Iterator<Item = &'a Tried>) -> String {
    let mut text = format!(
        "\n{title}\n{:58} {:>8} {:>8} {:>8} {:>8} {:>12} {:>16} {:>8}  worst class\n",
        "", "leakage", "macro", "shaped", "taken", "first at", "accounts lost", "harmed"
    );
    for Tried { name, figures, outcome, .. } in runs {
        let harmed =
            outcome.report.sides.get("benign").map_or(0.0, super::super::history::Side::recall);
        let first = figures.first.map_or_else(|| "never".into(), |first| first.to_string());
        let _ = writeln!(
            text,
            "{name:58} {:>7.2}% {:>7.2}% {:>7.2}% {:>7.2}% {first:>12} {:>16} {:>7.3}%  {} {:.2} %",
            figures.leakage * 100.0,
            figures.macro_leakage * 100.0,
            figures.shaped * 100.0,
            figures.taken * 100.0,
            format!("{} of {}", figures.lost, figures.opened),
            harmed * 100.0,
            figures.worst_class.0,
            figures.worst_class.1 * 100.0,
        );
    }
    text
}
