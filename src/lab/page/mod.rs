//! Reports as one page that needs nothing else: tables and plots.

mod svg;

use std::collections::BTreeMap;
use std::fmt::Write;

use self::svg::{Axes, Series, bars, escaped, lines};
use super::history::{Acted, Report, Side};
use super::protocol::{self, Part, Tried};

const STYLE: &str = "body{font:15px/1.45 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;\
    color:#1a1a1a;background:#fff}h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2.2rem}\
    svg{width:100%;height:auto}svg text{font:11px system-ui,sans-serif;fill:currentColor}\
    .axis{fill:none;stroke:currentColor}.grid{stroke:#8884;stroke-width:.5}.legend{margin:.2rem 0 0}\
    pre{overflow-x:auto;background:#8881;padding:.7rem;font-size:12.5px;line-height:1.35}\
    @media(prefers-color-scheme:dark){body{color:#ddd;background:#161616}}";

/// Points of a line over time.
const POINTS: usize = 160;

/// The page of one replay. `table` is what the terminal shows.
pub fn of_replay(report: &Report, table: &str) -> String {
    let mut page = start("What enforcement would have done");
    pre(&mut page, table);
    sections(&mut page, report);
    page + "</body></html>\n"
}

/// The page of a protocol: its tables, and the plots of the first run of the base part.
pub fn of_protocol(tried: &[Tried]) -> String {
    let mut page = start("Protocol: the engine against made-up fleets");
    page +=
        "<p>Attackers and honest accounts are synthetic; a missed target is printed as missed.</p>";
    pre(&mut page, &protocol::told(tried));
    compared(&mut page, tried, (Part::Ablation, "Ablation: leakage without one family of signals"));
    compared(&mut page, tried, (Part::Evasions, "Evasions: leakage"));
    if let Some(first) = tried.iter().find(|one| one.part == Part::Base).or_else(|| tried.first()) {
        let _ = write!(
            page,
            "<p>The plots that follow are of {}, {}.</p>",
            first.part.name(),
            escaped(&first.name)
        );
        pivots(&mut page, &first.outcome.pivots);
        sections(&mut page, &first.outcome.report);
    }
    page + "</body></html>\n"
}

// Writing to a string can't fail, so its results are dropped.

fn start(title: &str) -> String {
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>stillguard: {0}</title>\
         <meta name=\"viewport\" content=\"width=device-width\"><style>{STYLE}</style></head><body><h1>{0}</h1>",
        escaped(title)
    )
}

fn pre(page: &mut String, text: &str) {
    let _ = write!(page, "<pre>{}</pre>", escaped(text));
}

fn head(page: &mut String, title: &str) {
    let _ = write!(page, "<h2>{}</h2>", escaped(title));
}

fn sections(page: &mut String, report: &Report) {
    head(page, "Leakage over time");
    *page += &lines(
        &leakages(report),
        Axes { x: "hours from the start", y: "share served in full", top: Some(1.0) },
    );
    head(page, "Scores, as shares of the exchanges of each side");
    *page += &lines(&scores(report), Axes { x: "nats", y: "share of exchanges", top: None });
    head(page, "Worst honest classes: accounts throttled or worse");
    *page += &bars(&classes(report));
    head(page, "Evidence: nats that each signal gave, a mean over all exchanges of a side");
    for (label, side) in &report.sides {
        let _ = write!(page, "<h3>{}</h3>{}", escaped(label), bars(&evidence(side)));
    }
    head(page, "How often each signal spoke");
    for (label, side) in &report.sides {
        let _ = write!(page, "<h3>{}</h3>{}", escaped(label), bars(&firing(side)));
    }
    told(page, "What each campaign was first acted on for", &report.caught);
    told(page, "Honest accounts acted on first, and why", &report.harmed);
}

fn is_campaign(label: &str) -> bool {
    label.starts_with("campaign")
}

fn leakages(report: &Report) -> Vec<Series> {
    let first = report
        .sides
        .values()
        .filter_map(|side| side.hours.keys().next())
        .min()
        .copied()
        .unwrap_or_default();
    let campaigns = report.sides.iter().filter(|(label, _)| is_campaign(label));
    let line = |(label, side): (&String, &Side)| {
        let wide = side.hours.len().div_ceil(POINTS).max(1) as u64;
        let mut bins = BTreeMap::<u64, [u64; 2]>::new();
        for (hour, [offered, served]) in &side.hours {
            let bin = bins.entry((hour - first) / wide).or_default();
            *bin = [bin[0] + offered, bin[1] + served];
        }
        let points = bins.into_iter().filter(|(_, [offered, _])| *offered > 0);
        let share = |[offered, served]: [u64; 2]| (served as f64 / offered as f64).min(1.0);
        (label.clone(), points.map(|(bin, counts)| ((bin * wide) as f64, share(counts))).collect())
    };
    campaigns.map(line).collect()
}

fn scores(report: &Report) -> Vec<Series> {
    let line = |(label, side): (&String, &Side)| {
        let all: u64 = side.scores.values().sum();
        let points = side
            .scores
            .iter()
            .map(|(score, count)| (f64::from(*score), *count as f64 / all.max(1) as f64));
        (label.clone(), points.collect())
    };
    report.sides.iter().map(line).collect()
}

fn classes(report: &Report) -> Vec<(String, f64, String)> {
    let row = |(name, met): (&String, &super::history::Met)| {
        let share = met.share(met.acted);
        (name.clone(), share, format!("{:.2} % ({} of {})", share * 100.0, met.acted, met.accounts))
    };
    let mut rows: Vec<_> = report.classes.iter().map(row).collect();
    rows.sort_by(|a, b| b.1.total_cmp(&a.1));
    rows
}

fn evidence(side: &Side) -> Vec<(String, f64, String)> {
    let all: u64 = side.scores.values().sum();
    let row = |(name, nats): (&String, &f64)| {
        let mean = nats / all.max(1) as f64;
        (name.clone(), mean, format!("{mean:.2} nats"))
    };
    ranked(side.nats.iter().map(row).collect())
}

fn firing(side: &Side) -> Vec<(String, f64, String)> {
    let all: u64 = side.scores.values().sum();
    let row = |(name, count): (&String, &u64)| {
        let share = *count as f64 / all.max(1) as f64;
        (name.clone(), share, format!("{:.1} %", share * 100.0))
    };
    ranked(side.signals.iter().map(row).collect())
}

fn ranked(mut rows: Vec<(String, f64, String)>) -> Vec<(String, f64, String)> {
    rows.sort_by(|a, b| b.1.total_cmp(&a.1));
    rows
}

fn told(page: &mut String, title: &str, acted: &[Acted]) {
    if acted.is_empty() {
        return;
    }
    head(page, title);
    for Acted { account, label, class, action, why } in acted {
        let line = format!("{label} {class} {account}: {}\n{why}", action.name());
        pre(page, &line);
    }
}

fn compared(page: &mut String, tried: &[Tried], (part, title): (Part, &str)) {
    let row = |one: &Tried| {
        let (leakage, taken) = (one.figures.leakage, one.figures.taken);
        let said = format!("{:.2} %, {:.2} % of the plan", leakage * 100.0, taken * 100.0);
        (one.name.clone(), leakage, said)
    };
    let rows: Vec<_> = tried.iter().filter(|one| one.part == part).map(row).collect();
    if !rows.is_empty() {
        head(page, title);
        *page += &bars(&rows);
    }
}

fn pivots(page: &mut String, pivots: &BTreeMap<String, Option<f64>>) {
    if pivots.is_empty() {
        return;
    }
    head(page, "Pivots to the new model");
    for (campaign, lag) in pivots {
        let lag = lag.map_or_else(
            || "never noticed".to_owned(),
            |hours| format!("noticed after {hours:.1} h"),
        );
        let _ = write!(page, "<p>{}: {lag}</p>", escaped(campaign));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_fetches_nothing_and_quotes_what_it_is_given() {
        let mut report = Report::default();
        let side = report.sides.entry("campaign:<script>".into()).or_default();
        side.hours.extend([(500, [4, 2]), (501, [4, 0])]);
        let page = of_replay(&report, "a & b");
        assert!(page.contains("campaign:&lt;script&gt;") && page.contains("a &amp; b"));
        for word in ["<script", "http://", "https://", "NaN", "src="] {
            assert!(!page.contains(word), "{word}");
        }
        assert!(page.contains("<polyline"));
    }
}
