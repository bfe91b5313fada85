//! The drawn terminal of the README: the blocks of the quick start with the comment `drawn`, as an SVG. What is drawn is what the
//! walk of that page prints.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use libtest_mimic::Failed;

use crate::block::Marker;
use crate::page::{Page, ROOT};

const DRAWING: &str = "docs/first-minute.svg";
const SOURCE: &str = "docs/quick-start.md";
/// Width of ten characters and height of a line, in pixels.
const TEN_CHARACTERS: usize = 84;
const LINE: usize = 20;
/// Distance of the text from the edges, and the height of the bar above it, in pixels.
const MARGIN: usize = 16;
const BAR: usize = 36;

/// The drawing is that of the page; it is written on demand.
pub fn is_current() -> Result<(), Failed> {
    let page = Page::read(SOURCE);
    let blocks = page.marked(|marker| *marker == Marker::Drawn);
    let text: Vec<_> = blocks.iter().map(|block| block.content.as_str()).collect();
    if text.is_empty() {
        return Err(format!("{SOURCE} has no block with the comment <!-- drawn -->").into());
    }
    let drawn = drawn(&text.join("\n"));
    let file = Path::new(ROOT).join(DRAWING);
    if fs::read_to_string(&file).is_ok_and(|old| old == drawn) {
        return Ok(());
    }
    if !crate::is_writing() {
        return Err(format!(
            "{DRAWING} does not show the blocks of {SOURCE}: CLUSTERLOCAL_DOCS=write draws it anew"
        )
        .into());
    }
    fs::write(file, drawn).map_err(|e| e.to_string().into())
}

/// The transcript in a terminal's window.
fn drawn(transcript: &str) -> String {
    let transcript = transcript.replace('\t', " ");
    let lines: Vec<_> = transcript.trim_end().lines().collect();
    let columns = lines.iter().map(|line| line.chars().count()).max().unwrap_or_default();
    let width = pixels(columns) + 2 * MARGIN;
    let height = BAR + lines.len() * LINE + MARGIN;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" \
         font-family=\"ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace\" font-size=\"14\">\n\
         <title>A terminal: clusterlocal answers dig, and a scaled set shows at once</title>\n\
         <rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"#16191d\"/>\n"
    );
    for (at, colour) in ["#ff5f57", "#febc2e", "#28c840"].iter().enumerate() {
        writeln!(svg, "<circle cx=\"{}\" cy=\"18\" r=\"6\" fill=\"{colour}\"/>", 20 + 20 * at)
            .expect("a string");
    }
    for (at, line) in lines.iter().enumerate().filter(|(_, line)| !line.is_empty()) {
        let y = BAR + at * LINE + 14;
        let colour = if line.starts_with('$') { "#ffffff" } else { "#a5d6a7" };
        // Columns align in every font.
        let length = pixels(line.chars().count());
        let line = line.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        writeln!(
            svg,
            "<text x=\"{MARGIN}\" y=\"{y}\" fill=\"{colour}\" textLength=\"{length}\" xml:space=\"preserve\">{line}</text>"
        )
        .expect("a string");
    }
    svg.push_str("</svg>\n");
    svg
}

/// Width of a text, in pixels, by the number of its characters.
fn pixels(characters: usize) -> usize {
    (characters * TEN_CHARACTERS).div_ceil(10)
}
