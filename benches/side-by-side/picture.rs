//! The figures as one picture (SVG): the cost of a query for each contender, and the growth of our cost. It has its own
//! background, for any page.

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::Result;
use super::contenders::{ECHO, OURS};
use super::growth::Size;
use super::machine::Machine;
use super::questions::Mix;
use super::table::figure;
use super::udp::Costs;

/// Width of the picture, in pixels, the unit of all lengths here.
const WIDTH: u32 = 900;
const MARGIN: u32 = 24;
const HEADLINE: u32 = 28;
const BAR: u32 = 24;
/// Width of the contenders' names.
const NAMES: u32 = 90;
const CHART: u32 = 200;
const LEGEND: u32 = 50;
const LINE: u32 = 15;

const OUR_COLOUR: RGBColor = RGBColor(0x25, 0x63, 0xa8);
const OTHERS_COLOUR: RGBColor = RGBColor(0x9a, 0xa7, 0xb5);
const SECOND_COLOUR: RGBColor = RGBColor(0x66, 0x71, 0x7d);
const ECHO_COLOUR: RGBColor = RGBColor(0xb5, 0x54, 0x1c);
const TEXT_COLOUR: RGBColor = RGBColor(0x1f, 0x29, 0x33);
const QUIET_COLOUR: RGBColor = RGBColor(0x52, 0x60, 0x6d);
const BACKGROUND: RGBColor = RGBColor(0xf7, 0xf9, 0xfb);

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Draws the available figures.
pub fn draw(machine: &Machine, costs: Option<&Costs>, sizes: Option<&[Size]>) -> Result<String> {
    let of_costs = costs.map_or(0, |costs| HEADLINE + BAR * (costs.names.len() as u32 + 2));
    let of_sizes = sizes.map_or(0, |_| HEADLINE + CHART + LEGEND);
    let about = [
        format!("{}, {}, {}", machine.processor, machine.kernel, machine.date),
        machine.versions.join("; "),
        machine.how.clone(),
    ];
    let height = 2 * MARGIN + of_costs + of_sizes + LINE * about.len() as u32;
    let mut drawn = String::new();
    let picture = SVGBackend::with_string(&mut drawn, (WIDTH, height)).into_drawing_area();
    picture.fill(&BACKGROUND)?;
    let (of_costs_area, rest) = picture.margin(MARGIN, MARGIN, MARGIN, MARGIN).split_vertically(of_costs);
    let (of_sizes_area, footer) = rest.split_vertically(of_sizes);
    if let Some(costs) = costs {
        bars(&of_costs_area, costs)?;
    }
    if let Some(sizes) = sizes {
        growth(&of_sizes_area, sizes)?;
    }
    for (at, line) in about.into_iter().enumerate() {
        footer.draw(&Text::new(line, (0, (LINE * at as u32) as i32), normal(&QUIET_COLOUR)))?;
    }
    picture.present()?;
    drop((picture, of_costs_area, rest, of_sizes_area, footer));
    Ok(drawn)
}

fn normal(colour: &'static RGBColor) -> TextStyle<'static> {
    TextStyle::from(("sans-serif", 15).into_font()).color(colour)
}

fn bold(colour: &'static RGBColor) -> TextStyle<'static> {
    TextStyle::from(("sans-serif", 15, FontStyle::Bold).into_font()).color(colour)
}

/// Draws a headline, and returns the area below.
fn headed<'a>(area: &Area<'a>, headline: &str) -> Result<Area<'a>> {
    area.draw(&Text::new(headline, (0, 0), bold(&TEXT_COLOUR)))?;
    Ok(area.split_vertically(HEADLINE).1)
}

/// A panel for each mix with a bar for each contender; a line marks the echo.
fn bars(area: &Area<'_>, costs: &Costs) -> Result<()> {
    let area = headed(
        area,
        "Server CPU time per query over UDP, in µs (ratio to the echo, the least a server can do); a scale to each mix",
    )?;
    let Some(echo) = costs.names.iter().position(|&name| name == ECHO) else { return Ok(()) };
    let mut order: Vec<usize> = (0..costs.names.len()).filter(|&who| who != echo).collect();
    if let Some(mix) = costs.mixes.last() {
        order.sort_by(|&one, &other| mix[one].cpu.total_cmp(&mix[other].cpu));
    }
    let (names, panels) = area.split_horizontally(NAMES);
    for (row, &who) in order.iter().enumerate() {
        let style = if costs.names[who] == OURS { bold } else { normal };
        let y = (BAR * (row as u32 + 1) + BAR / 2) as i32;
        let style = style(&TEXT_COLOUR).pos(Pos::new(HPos::Left, VPos::Center));
        names.draw(&Text::new(costs.names[who], (0, y), style))?;
    }
    let rows = order.len() as f64;
    for ((panel, mix), of_mix) in
        panels.split_evenly((1, Mix::ALL.len())).iter().zip(Mix::ALL).zip(&costs.mixes)
    {
        let what = match mix {
            Mix::Pod => "pod: A of a pod",
            Mix::Srv => "srv: SRV of ten pods",
            Mix::Mixed => "mix: A 75 %, SRV 15 %, missing 10 %",
        };
        panel.draw(&Text::new(what, (0, 2), normal(&QUIET_COLOUR)))?;
        let (_, bars) = panel.split_vertically(BAR);
        // The figures are after the bars, the echo's below them.
        let most = of_mix.iter().map(|cost| cost.cpu).fold(0.0, f64::max) * 1.6;
        let (bars, below) = bars.split_vertically(BAR * order.len() as u32);
        let mut chart = ChartBuilder::on(&bars).build_cartesian_2d(0.0..most, 0.0..rows)?;
        for (row, &who) in order.iter().enumerate() {
            let (middle, cost) = (rows - row as f64 - 0.5, of_mix[who]);
            let colour = if costs.names[who] == OURS { OUR_COLOUR } else { OTHERS_COLOUR };
            let bar = [(0.0, middle - 0.375), (cost.cpu, middle + 0.375)];
            let label = format!("{} ({})", figure(cost.cpu), figure(cost.to_echo));
            let style = normal(&TEXT_COLOUR).pos(Pos::new(HPos::Left, VPos::Center));
            chart.draw_series([Rectangle::new(bar, colour.filled())])?;
            chart.draw_series([EmptyElement::at((cost.cpu, middle)) + Text::new(label, (5, 0), style)])?;
        }
        let least = of_mix[echo].cpu;
        chart.draw_series(DashedLineSeries::new([(least, 0.0), (least, rows)], 4, 3, ECHO_COLOUR.into()))?;
        let (x, _) = chart.backend_coord(&(least, 0.0));
        let label = format!("echo {}", figure(least));
        let left = below.get_pixel_range().0.start;
        below.draw(&Text::new(label, (x - left - 4, 2), normal(&ECHO_COLOUR)))?;
    }
    Ok(())
}

/// A line of a chart. Of two, the upper one comes first.
struct Series {
    name: &'static str,
    figure: fn(&Size) -> f64,
    colour: &'static RGBColor,
}

/// Four charts, with logarithmic axes: sizes to the right, costs upwards.
fn growth(area: &Area<'_>, sizes: &[Size]) -> Result<()> {
    let line = |name, figure, colour| Series { name, figure, colour };
    let charts = [
        (
            "CPU per query, µs",
            vec![
                line("clusterlocal", |size| size.cpu, &OUR_COLOUR),
                line("echo, same sizes", |size| size.echo, &ECHO_COLOUR),
            ],
        ),
        ("first answer, ms", vec![line("after the start", |size| size.first_answer, &OUR_COLOUR)]),
        (
            "memory, MiB",
            vec![
                line("peak until then", |size| size.peak, &SECOND_COLOUR),
                line("after the start", |size| size.memory, &OUR_COLOUR),
            ],
        ),
        (
            "change to answer, ms",
            vec![
                line("file saved, median", |size| size.save[0] / 1e3, &SECOND_COLOUR),
                line("pod (un)ready, median", |size| size.update[0] / 1e3, &OUR_COLOUR),
            ],
        ),
    ];
    let headline =
        "How clusterlocal's cost grows with the cluster: 10 pods to a Service, a file each; powers of ten";
    let area = headed(area, headline)?;
    for (panel, (headline, lines)) in area.split_evenly((1, charts.len())).iter().zip(&charts) {
        chart(panel, headline, lines, sizes)?;
    }
    Ok(())
}

fn chart(panel: &Area<'_>, headline: &str, lines: &[Series], sizes: &[Size]) -> Result<()> {
    panel.draw(&Text::new(headline, (0, 0), bold(&TEXT_COLOUR)))?;
    let (panel, legend) = panel.split_vertically(CHART);
    let all = || lines.iter().flat_map(|line| sizes.iter().map(line.figure)).filter(|figure| *figure > 0.0);
    let least = all().fold(f64::INFINITY, f64::min);
    // At least a power of ten in height, so that noise does not look like growth.
    let most = all().fold(0.0, f64::max).max(least * 10.0);
    let (Some(first), Some(last)) = (sizes.first(), sizes.last()) else { return Ok(()) };
    let right = (first.pods as f64 / 1.6)..(last.pods as f64 * 1.6);
    // Figures are above and below the lines.
    let room = (most / least).powf(0.2);
    let mut chart = ChartBuilder::on(&panel)
        .margin_top(HEADLINE)
        .margin_right(30)
        .x_label_area_size(24)
        .build_cartesian_2d(right.log_scale(), (least / room..most * room).log_scale())?;
    chart
        .configure_mesh()
        .disable_mesh()
        .disable_y_axis()
        .axis_style(QUIET_COLOUR)
        .x_labels(sizes.len())
        .x_label_style(normal(&QUIET_COLOUR))
        .x_label_formatter(&|pods| thousands(pods.round() as usize))
        .draw()?;
    for (nth, series) in lines.iter().enumerate() {
        let points = sizes.iter().map(|size| (size.pods as f64, (series.figure)(size)));
        let points: Vec<_> = points.filter(|(_, figure)| *figure > 0.0).collect();
        if *series.colour == ECHO_COLOUR {
            chart.draw_series(DashedLineSeries::new(points.clone(), 4, 3, series.colour.into()))?;
        } else {
            chart.draw_series(LineSeries::new(points.clone(), series.colour))?;
        }
        // Of two lines, the upper one has its figures above, the lower one below.
        let (away, side) = if nth == 0 { (-6, VPos::Bottom) } else { (6, VPos::Top) };
        let style = normal(series.colour).pos(Pos::new(HPos::Center, side));
        chart.draw_series(points.iter().map(|&at| {
            EmptyElement::at(at)
                + Circle::new((0, 0), 3, series.colour.filled())
                + Text::new(figure(at.1), (0, away), style.clone())
        }))?;
        let below = (LINE * nth as u32) as i32 + 4;
        legend.draw(&Text::new(series.name, (0, below), normal(series.colour)))?;
    }
    Ok(())
}

fn thousands(count: usize) -> String {
    match count {
        0..1_000 => count.to_string(),
        _ => format!("{}k", count / 1_000),
    }
}
