//! The figures as one picture (SVG), which needs nothing else: what a query costs each contender, and how our cost grows. It
//! has a background of its own, to be read on any page.

use std::fmt::{self, Write as _};

use super::contenders::{ECHO, OURS};
use super::growth::Size;
use super::machine::Machine;
use super::questions::Mix;
use super::table::figure;
use super::udp::Costs;

/// In pixels, like all here.
const WIDTH: f64 = 900.0;
const MARGIN: f64 = 24.0;
const BAR: f64 = 24.0;

const OUR_COLOUR: &str = "#2563a8";
const OTHERS_COLOUR: &str = "#9aa7b5";
const SECOND_COLOUR: &str = "#66717d";
const ECHO_COLOUR: &str = "#b5541c";
const TEXT_COLOUR: &str = "#1f2933";
const QUIET_COLOUR: &str = "#52606d";
const BACKGROUND: &str = "#f7f9fb";

/// Draws what there is of both.
pub fn draw(machine: &Machine, costs: Option<&Costs>, sizes: Option<&[Size]>) -> String {
    let mut canvas = Canvas { body: String::new(), y: MARGIN };
    if let Some(costs) = costs {
        bars(&mut canvas, costs);
    }
    if let Some(sizes) = sizes {
        growth(&mut canvas, sizes);
    }
    footer(&mut canvas, machine);
    canvas.finish()
}

/// For each mix a panel, for each contender a bar; what the echo takes is a line.
fn bars(canvas: &mut Canvas, costs: &Costs) {
    const NAMES: f64 = 90.0;
    canvas.headline(
        "Server CPU time per query over UDP, in µs (ratio to the echo, the least a server can do); a scale to each mix",
    );
    let Some(echo) = costs.names.iter().position(|&name| name == ECHO) else { return };
    let mut order: Vec<usize> = (0..costs.names.len()).filter(|&who| who != echo).collect();
    if let Some(mix) = costs.mixes.last() {
        order.sort_by(|&one, &other| mix[one].cpu.total_cmp(&mix[other].cpu));
    }
    let panel = (WIDTH - 2.0 * MARGIN - NAMES) / costs.mixes.len() as f64;
    let top = canvas.y + 20.0;
    let bottom = top + BAR * order.len() as f64;
    for (row, &who) in order.iter().enumerate() {
        let baseline = top + BAR * row as f64 + 16.0;
        let weight = if costs.names[who] == OURS { Weight::Bold } else { Weight::Normal };
        canvas.text(MARGIN, baseline, costs.names[who], (TEXT_COLOUR, weight));
    }
    for (at, (mix, of_mix)) in Mix::ALL.iter().zip(&costs.mixes).enumerate() {
        let left = MARGIN + NAMES + panel * at as f64;
        // The figures stand behind the bars.
        let scale = (panel - 95.0) / of_mix.iter().map(|cost| cost.cpu).fold(0.0, f64::max);
        let what = match mix {
            Mix::Pod => "pod: A of a pod",
            Mix::Srv => "srv: SRV of ten pods",
            Mix::Mixed => "mix: A 75 %, SRV 15 %, missing 10 %",
        };
        canvas.text(left, top - 6.0, what, (QUIET_COLOUR, Weight::Normal));
        for (row, &who) in order.iter().enumerate() {
            let (y, cost) = (top + BAR * row as f64 + 3.0, of_mix[who]);
            let colour = if costs.names[who] == OURS { OUR_COLOUR } else { OTHERS_COLOUR };
            canvas.bar(left, y, cost.cpu * scale, BAR - 6.0, colour);
            let label = format!("{} ({})", figure(cost.cpu), figure(cost.to_echo));
            canvas.text(left + cost.cpu * scale + 5.0, y + 13.0, &label, (TEXT_COLOUR, Weight::Normal));
        }
        let x = left + of_mix[echo].cpu * scale;
        canvas.line(&[(x, top), (x, bottom)], ECHO_COLOUR, true);
        let label = format!("echo {}", figure(of_mix[echo].cpu));
        canvas.text(x - 4.0, bottom + 13.0, &label, (ECHO_COLOUR, Weight::Normal));
    }
    canvas.y = bottom + 40.0;
}

/// One line of a chart. Of two, the upper one comes first.
struct Series<'a> {
    name: &'a str,
    figure: fn(&Size) -> f64,
    colour: &'static str,
}

/// Four charts; sizes to the right and costs upwards, both by powers.
fn growth(canvas: &mut Canvas, sizes: &[Size]) {
    let line = |name, figure, colour| Series { name, figure, colour };
    let charts = [
        (
            "CPU per query, µs",
            vec![
                line("clusterlocal", |size| size.cpu, OUR_COLOUR),
                line("echo, same sizes", |size| size.echo, ECHO_COLOUR),
            ],
        ),
        ("first answer, ms", vec![line("after the start", |size| size.first_answer, OUR_COLOUR)]),
        (
            "memory, MiB",
            vec![
                line("peak until then", |size| size.peak, SECOND_COLOUR),
                line("after the start", |size| size.memory, OUR_COLOUR),
            ],
        ),
        (
            "change to answer, ms",
            vec![
                line("file saved, median", |size| size.save[0] / 1e3, SECOND_COLOUR),
                line("pod (un)ready, median", |size| size.update[0] / 1e3, OUR_COLOUR),
            ],
        ),
    ];
    canvas.headline(
        "How clusterlocal's cost grows with the cluster: 10 pods to a Service, a file each; powers of ten",
    );
    let width = (WIDTH - 2.0 * MARGIN) / charts.len() as f64;
    for (at, (headline, lines)) in charts.iter().enumerate() {
        let left = MARGIN + width * at as f64;
        chart(canvas, (left, width - 30.0), headline, lines, sizes);
    }
    canvas.y += 245.0;
}

fn chart(
    canvas: &mut Canvas,
    (left, width): (f64, f64),
    headline: &str,
    lines: &[Series<'_>],
    sizes: &[Size],
) {
    const HEIGHT: f64 = 130.0;
    let top = canvas.y + 34.0;
    let bottom = top + HEIGHT;
    canvas.text(left, canvas.y + 12.0, headline, (TEXT_COLOUR, Weight::Bold));
    let all = || lines.iter().flat_map(|line| sizes.iter().map(line.figure)).filter(|figure| *figure > 0.0);
    // At least a power of ten from bottom to top, so that noise does not look like growth.
    let least = all().fold(f64::INFINITY, f64::min).log10();
    let most = all().fold(f64::NEG_INFINITY, f64::max).log10().max(least + 1.0);
    let last = sizes.len().saturating_sub(1).max(1) as f64;
    let x = |at: usize| left + 14.0 + (width - 28.0) * at as f64 / last;
    let y = |figure: f64| bottom - HEIGHT * (figure.log10() - least) / (most - least);
    canvas.line(&[(left, bottom + 22.0), (left + width, bottom + 22.0)], QUIET_COLOUR, false);
    for (at, size) in sizes.iter().enumerate() {
        canvas.middle(x(at), bottom + 37.0, &thousands(size.pods), QUIET_COLOUR);
    }
    for (nth, series) in lines.iter().enumerate() {
        let points: Vec<_> = sizes
            .iter()
            .enumerate()
            .map(|(at, size)| (x(at), (series.figure)(size)))
            .filter(|(_, figure)| *figure > 0.0)
            .collect();
        let drawn: Vec<_> = points.iter().map(|&(x, figure)| (x, y(figure))).collect();
        canvas.line(&drawn, series.colour, series.colour == ECHO_COLOUR);
        // Of two lines, the upper one's figures stand above it, the lower one's below.
        let away = if nth == 0 { -8.0 } else { 16.0 };
        for &(x, figure_here) in &points {
            canvas.dot(x, y(figure_here), series.colour);
            canvas.middle(x, y(figure_here) + away, &figure(figure_here), series.colour);
        }
        canvas.text(left, bottom + 56.0 + 15.0 * nth as f64, series.name, (series.colour, Weight::Normal));
    }
}

fn thousands(count: usize) -> String {
    match count {
        0..1_000 => count.to_string(),
        _ => format!("{}k", count / 1_000),
    }
}

fn footer(canvas: &mut Canvas, machine: &Machine) {
    let about = [
        format!("{}, {}, {}", machine.processor, machine.kernel, machine.date),
        machine.versions.join("; "),
        machine.how.clone(),
    ];
    for line in about {
        canvas.y += 15.0;
        canvas.text(MARGIN, canvas.y, &line, (QUIET_COLOUR, Weight::Normal));
    }
    canvas.y += MARGIN;
}

/// What is drawn, and how far down.
struct Canvas {
    body: String,
    y: f64,
}

#[derive(Clone, Copy)]
enum Weight {
    Normal,
    Bold,
}

impl fmt::Display for Weight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Weight::Normal => "normal",
            Weight::Bold => "bold",
        })
    }
}

impl Canvas {
    fn headline(&mut self, text: &str) {
        self.y += 14.0;
        self.text(MARGIN, self.y, text, (TEXT_COLOUR, Weight::Bold));
        self.y += 14.0;
    }

    fn text(&mut self, x: f64, y: f64, text: &str, (colour, weight): (&str, Weight)) {
        let text = escaped(text);
        self.element(format_args!(
            r#"<text x="{x:.1}" y="{y:.1}" fill="{colour}" font-weight="{weight}">{text}</text>"#
        ));
    }

    /// Text with its middle at `x`, legible across lines.
    fn middle(&mut self, x: f64, y: f64, text: &str, colour: &str) {
        let text = escaped(text);
        self.element(format_args!(
            r#"<text x="{x:.1}" y="{y:.1}" fill="{colour}" text-anchor="middle" paint-order="stroke" stroke="{BACKGROUND}" stroke-width="3">{text}</text>"#
        ));
    }

    fn bar(&mut self, x: f64, y: f64, width: f64, height: f64, colour: &str) {
        self.element(format_args!(
            r#"<rect x="{x:.1}" y="{y:.1}" width="{width:.1}" height="{height:.1}" fill="{colour}"/>"#
        ));
    }

    fn line(&mut self, points: &[(f64, f64)], colour: &str, dashed: bool) {
        let points: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        let (points, dashes) = (points.join(" "), if dashed { r#" stroke-dasharray="4 3""# } else { "" });
        self.element(format_args!(
            r#"<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.5"{dashes}/>"#
        ));
    }

    fn dot(&mut self, x: f64, y: f64, colour: &str) {
        self.element(format_args!(r#"<circle cx="{x:.1}" cy="{y:.1}" r="2.5" fill="{colour}"/>"#));
    }

    fn element(&mut self, element: fmt::Arguments<'_>) {
        _ = writeln!(self.body, "  {element}");
    }

    fn finish(self) -> String {
        let (body, height) = (self.body, self.y);
        format!(
            r##"<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height:.0}" viewBox="0 0 {WIDTH} {height:.0}" font-family="sans-serif" font-size="12">
  <rect width="100%" height="100%" rx="8" fill="{BACKGROUND}"/>
{body}</svg>
"##
        )
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
