//! Plots, as SVG on white, which can be read in front of any page.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::metric::{CPU, LATENCIES, Metric, P90, SYSTEM, USER};
use crate::record::{Entry, Record, Results};
use crate::workload::Plot;

/// A file that was written.
pub(crate) struct Plotted {
    pub(crate) title: String,
    pub(crate) file: String,
}

const WIDTH: u32 = 720;
const TITLE: (&str, u32) = ("sans-serif", 16);
const LABEL: (&str, u32) = ("sans-serif", 12);

/// Pixels that a bar takes of the height, and all else.
const BAR: u32 = 26;
const FRAME: u32 = 110;

/// Told apart also by who does not see all colours.
const USER_COLOR: RGBColor = RGBColor(0, 114, 178);
const SYSTEM_COLOR: RGBColor = RGBColor(230, 159, 0);
const LINES: [RGBColor; 10] = [
    RGBColor(213, 94, 0),
    RGBColor(0, 114, 178),
    RGBColor(0, 0, 0),
    RGBColor(0, 158, 115),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(204, 121, 167),
    RGBColor(150, 140, 20),
    RGBColor(130, 130, 130),
    RGBColor(110, 60, 20),
];

/// The percentiles of a curve, by how many nines they have.
const NINES: [(f64, &Metric); 5] = [
    (0.301, &LATENCIES[0]),
    (1.0, &P90),
    (2.0, &LATENCIES[1]),
    (3.0, &LATENCIES[2]),
    (4.0, &LATENCIES[3]),
];

/// Draws what the workloads want drawn into a folder, which is made.
pub(crate) fn write(record: &Record, folder: &Path) -> Result<Vec<Plotted>, Box<dyn Error>> {
    fs::create_dir_all(folder)?;
    let mut all = Vec::new();
    for results in &record.results {
        let Some(plot) = results.plot else { continue };
        let file = format!("{}.svg", results.workload);
        let title = format!("{}: {}", results.workload, results.title);
        let path = folder.join(&file);
        let is_drawn = match plot {
            Plot::Cpu => bars(results, &title, &path)?,
            Plot::Latency => curves(results, &title, &path)?,
        };
        if is_drawn {
            all.push(Plotted { title, file });
        }
    }
    Ok(all)
}

/// CPU time a message, user time before system time. `false`: there is none.
fn bars(results: &Results, title: &str, path: &PathBuf) -> Result<bool, Box<dyn Error>> {
    let mut all: Vec<_> = results.entries.iter().filter_map(bar).collect();
    // The first one at the top.
    all.reverse();
    let most = all.iter().map(|(.., total)| *total).fold(0.0, f64::max);
    if most <= 0.0 {
        return Ok(false);
    }
    let count = u32::try_from(all.len())?;
    let height = FRAME + BAR * count;
    let root = SVGBackend::new(path, (WIDTH, height)).into_drawing_area();
    root.fill(&WHITE)?;
    let places = all.iter().zip((0..).map(f64::from));
    let mut chart = ChartBuilder::on(&root)
        .caption(title, TITLE)
        .margin(10)
        .x_label_area_size(40)
        .y_label_area_size(130)
        .build_cartesian_2d(0.0..most * 1.2, -0.5..f64::from(count) - 0.5)?;
    chart
        .configure_mesh()
        .disable_y_mesh()
        .disable_y_axis()
        .light_line_style(WHITE)
        .label_style(LABEL)
        .x_desc("µs of the server's CPU for a message")
        .draw()?;
    for (name, color, is_user) in [("user", USER_COLOR, true), ("system", SYSTEM_COLOR, false)] {
        let bars = places.clone().map(|((_, user, total), place)| {
            let (from, to) = if is_user { (0.0, *user) } else { (*user, *total) };
            Rectangle::new([(from, place - 0.35), (to, place + 0.35)], color.filled())
        });
        let legend = move |(x, y)| Rectangle::new([(x, y - 5), (x + 12, y + 5)], color.filled());
        chart.draw_series(bars)?.label(name).legend(legend);
    }
    // To the left of the bars.
    let style = LABEL.into_text_style(&root).pos(Pos::new(HPos::Right, VPos::Center));
    chart.draw_series(places.map(|((name, ..), place)| {
        EmptyElement::at((0.0, place)) + Text::new(name.clone(), (-6, 0), style.clone())
    }))?;
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::MiddleRight)
        .label_font(LABEL)
        .draw()?;
    root.present()?;
    Ok(true)
}

/// The name, user time, and both times. Whoever has failed has a name, and no bar. `None`: it was
/// not measured.
fn bar(entry: &Entry) -> Option<(String, f64, f64)> {
    if entry.failure.is_some() {
        return Some((format!("{}: failed", entry.title), 0.0, 0.0));
    }
    let median = |metric: &Metric| Some(metric.spread(entry)?.median);
    let (total, user, system) = (median(&CPU)?, median(&USER)?, median(&SYSTEM)?);
    // The parts' medians need not add up to that of the whole, which the bar is to show.
    let share = if user + system > 0.0 { user / (user + system) } else { 0.0 };
    Some((entry.title.clone(), total * share, total))
}

/// Percentiles of the latency, the axis of which has a nine more at each step. `false`: there are
/// none.
fn curves(results: &Results, title: &str, path: &PathBuf) -> Result<bool, Box<dyn Error>> {
    let mut all = Vec::new();
    for entry in &results.entries {
        let point = |(nines, metric): &(f64, &Metric)| {
            let median = metric.spread(entry)?.median;
            (median > 0.0).then_some((*nines, median))
        };
        let points: Vec<_> = NINES.iter().filter_map(point).collect();
        if !points.is_empty() {
            all.push((entry.title.clone(), points));
        }
    }
    let values = || all.iter().flat_map(|(_, points)| points).map(|(_, value)| *value);
    let (least, most) = (values().fold(f64::INFINITY, f64::min), values().fold(0.0, f64::max));
    if all.is_empty() {
        return Ok(false);
    }
    let root = SVGBackend::new(path, (WIDTH, 420)).into_drawing_area();
    root.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&root)
        .caption(title, TITLE)
        .margin(10)
        .x_label_area_size(40)
        .y_label_area_size(60)
        // To the right of the last percentile stand the names.
        .build_cartesian_2d(0.0..5.6, (least / 1.5..most * 1.5).log_scale().base(2.0))?;
    chart
        .configure_mesh()
        .light_line_style(WHITE)
        .label_style(LABEL)
        .x_labels(6)
        .y_labels(12)
        .x_desc("percentile")
        .y_desc("µs")
        .y_label_formatter(&|value| format!("{value:.0}"))
        .x_label_formatter(&|nines| percentile(*nines).to_owned())
        .draw()?;
    for ((name, points), color) in all.iter().zip(LINES.into_iter().cycle()) {
        let line = LineSeries::new(points.iter().copied(), color.stroke_width(2)).point_size(3);
        let legend = move |(x, y)| PathElement::new([(x, y), (x + 12, y)], color.stroke_width(2));
        chart.draw_series(line)?.label(name).legend(legend);
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::MiddleRight)
        .label_font(LABEL)
        .draw()?;
    root.present()?;
    Ok(true)
}

/// As the axis has it.
fn percentile(nines: f64) -> &'static str {
    let names = [(1.0, "90 %"), (2.0, "99 %"), (3.0, "99.9 %"), (4.0, "99.99 %")];
    names.iter().find(|(known, _)| (known - nines).abs() < 0.01).map_or("", |(_, name)| name)
}
