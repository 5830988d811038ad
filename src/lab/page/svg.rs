//! Plots as inline SVG: no script, no font, nothing fetched.

use std::fmt::Write;

/// A named run of points, x ascending.
pub(super) type Series = (String, Vec<(f64, f64)>);

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 240.0;
const LEFT: f64 = 56.0;
const BOTTOM: f64 = 34.0;
const TOP: f64 = 10.0;
const RIGHT: f64 = 12.0;

/// Told apart without red against green.
const COLOURS: [&str; 7] =
    ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#555555"];

/// What the axes say; `top` is the largest y, or the data's own.
#[derive(Clone, Copy, Debug)]
pub(super) struct Axes<'a> {
    pub(super) x: &'a str,
    pub(super) y: &'a str,
    pub(super) top: Option<f64>,
}

// Writing to a string can't fail, so its results are dropped.

/// Lines over one x axis, with a legend.
pub(super) fn lines(series: &[Series], axes: Axes<'_>) -> String {
    let points = || series.iter().flat_map(|(_, points)| points.iter());
    let Some(&(first, _)) = points().min_by(|a, b| a.0.total_cmp(&b.0)) else {
        return String::new();
    };
    let last = points().map(|point| point.0).fold(first, f64::max);
    let top =
        axes.top.unwrap_or_else(|| points().map(|point| point.1).fold(0.0, f64::max)).max(1e-9);
    let x = |value: f64| LEFT + (value - first) / (last - first).max(1e-9) * (WIDTH - LEFT - RIGHT);
    let y = |value: f64| HEIGHT - BOTTOM - (value / top).min(1.0) * (HEIGHT - BOTTOM - TOP);
    let mut svg = frame(axes, (first, last), top);
    for (at, (_, points)) in series.iter().enumerate() {
        let path: Vec<_> =
            points.iter().map(|point| format!("{:.1},{:.1}", x(point.0), y(point.1))).collect();
        let colour = COLOURS[at % COLOURS.len()];
        let _ = write!(
            svg,
            "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.6\" points=\"{}\"/>",
            path.join(" ")
        );
    }
    svg += "</svg>";
    svg + &legend(series.iter().map(|(name, _)| name.as_str()))
}

fn frame(axes: Axes<'_>, (first, last): (f64, f64), top: f64) -> String {
    let (floor, right) = (HEIGHT - BOTTOM, WIDTH - RIGHT);
    let mut svg = format!(
        "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\">\
         <path class=\"axis\" d=\"M{LEFT},{TOP}V{floor}H{right}\"/>",
        escaped(axes.y)
    );
    for step in 0..=4 {
        let part = f64::from(step) / 4.0;
        let (x, y) = (LEFT + part * (right - LEFT), floor - part * (floor - TOP));
        let _ = write!(
            svg,
            "<text x=\"{x:.0}\" y=\"{:.0}\" text-anchor=\"middle\">{}</text>\
             <text x=\"{:.0}\" y=\"{:.0}\" text-anchor=\"end\">{}</text>\
             <path class=\"grid\" d=\"M{LEFT},{y:.1}H{right}\"/>",
            floor + 14.0,
            short(first + part * (last - first)),
            LEFT - 5.0,
            y + 4.0,
            short(part * top),
        );
    }
    let _ = write!(
        svg,
        "<text x=\"{right}\" y=\"{:.0}\" text-anchor=\"end\">{}</text>\
         <text x=\"{LEFT}\" y=\"{TOP}\" dx=\"6\" dy=\"6\">{}</text>",
        HEIGHT - 4.0,
        escaped(axes.x),
        escaped(axes.y),
    );
    svg
}

fn legend<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let one = |(at, name): (usize, &str)| {
        format!(
            "<span style=\"color:{}\">&#9644;</span> {}",
            COLOURS[at % COLOURS.len()],
            escaped(name)
        )
    };
    let all: Vec<_> = names.enumerate().map(one).collect();
    format!("<p class=\"legend\">{}</p>", all.join(" &ensp; "))
}

/// One bar a row: its name, its length and what stands behind it.
pub(super) fn bars(rows: &[(String, f64, String)]) -> String {
    let top = rows.iter().map(|row| row.1).fold(0.0, f64::max).max(1e-9);
    let (line, start) = (19.0, 250.0);
    let height = line * rows.len() as f64 + 4.0;
    let mut svg = format!("<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\">");
    for (at, (name, value, said)) in rows.iter().enumerate() {
        let y = line * at as f64 + 2.0;
        let length = value.max(0.0) / top * (WIDTH - start - 150.0);
        let _ = write!(
            svg,
            "<text x=\"{:.0}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>\
             <rect x=\"{start}\" y=\"{y:.1}\" width=\"{length:.1}\" height=\"14\" fill=\"{}\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\">{}</text>",
            start - 6.0,
            y + 11.0,
            escaped(name),
            COLOURS[0],
            start + length + 5.0,
            y + 11.0,
            escaped(said),
        );
    }
    svg + "</svg>"
}

fn short(value: f64) -> String {
    match value.abs() {
        big if big >= 10_000.0 => format!("{:.0}k", value / 1000.0),
        big if big >= 10.0 => format!("{value:.0}"),
        big if big >= 1.0 => format!("{value:.1}"),
        _ if value == 0.0 => "0".into(),
        _ => format!("{value:.2}"),
    }
}

/// Text as HTML takes it.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plot_has_a_line_for_each_series_and_names_it() {
        let series = vec![
            ("a<b".to_owned(), vec![(0.0, 0.0), (1.0, 1.0)]),
            ("c".to_owned(), vec![(0.0, 0.5)]),
        ];
        let svg = lines(&series, Axes { x: "hours", y: "share", top: None });
        assert_eq!(svg.matches("<polyline").count(), 2);
        assert!(svg.contains("a&lt;b") && !svg.contains("a<b") && !svg.contains("NaN"), "{svg}");
        assert_eq!(lines(&[], Axes { x: "", y: "", top: None }), "");
    }

    #[test]
    fn bars_of_nothing_have_no_length() {
        let svg = bars(&[("none".to_owned(), 0.0, "0".to_owned())]);
        assert!(svg.contains("width=\"0.0\"") && !svg.contains("NaN"), "{svg}");
    }
}
