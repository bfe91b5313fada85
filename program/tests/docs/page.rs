//! Pages as Markdown has them: headings, blocks of code with the comments before them, links.

use std::fs;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use pulldown_cmark::{CodeBlockKind, Event, HeadingLevel, Options, Parser, Tag, TagEnd};

use crate::block::{Block, Marker};

/// The root of the project.
pub const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// The comment of a page whose headings do not begin walks of their own.
const ONE_WALK: &str = "<!-- one walk -->";

/// A Markdown file.
#[derive(Clone, Debug)]
pub struct Page {
    /// Its path from the root.
    pub path: String,
    pub text: String,
    /// What is before the first heading, and then one section for each heading.
    pub sections: Vec<Section>,
    /// Targets of links and images, each with its line.
    pub links: Vec<(String, usize)>,
}

/// The part of a page from one heading to the next, unless that is below `###`.
#[derive(Clone, Debug, Default)]
pub struct Section {
    pub title: String,
    pub blocks: Vec<Block>,
    /// Its text without blocks of code.
    pub prose: String,
    /// The anchors of its headings.
    pub anchors: Vec<String>,
}

impl Section {
    /// Whether it has commands to run.
    pub fn runs(&self) -> bool {
        self.blocks.iter().any(Block::runs)
    }
}

/// The pages that are held to what they show: those at the root, of docs/, of conformance/ and of examples/.
pub fn all() -> Vec<Page> {
    let mut paths = Vec::new();
    for folder in [".", "docs", "conformance", "examples", "examples/peers", "zones/traps"] {
        let entries = fs::read_dir(Path::new(ROOT).join(folder)).expect("a folder of the project");
        for entry in entries {
            let name = entry.expect("an entry").file_name().into_string().expect("a name in UTF-8");
            if name.ends_with(".md") {
                paths.push(format!("{folder}/{name}").trim_start_matches("./").to_owned());
            }
        }
    }
    paths.sort();
    paths.retain(|path| path != "CHANGELOG.md");
    paths.iter().map(|path| Page::read(path)).collect()
}

impl Page {
    /// Reads the page at `path`, which starts at the root.
    pub fn read(path: &str) -> Page {
        let text = fs::read_to_string(Path::new(ROOT).join(path)).unwrap_or_else(|e| panic!("{path}: {e}"));
        Page::parse(path, text)
    }

    fn parse(path: &str, text: String) -> Page {
        let mut page = Page {
            path: path.into(),
            text: text.clone(),
            sections: vec![Section::default()],
            links: Vec::new(),
        };
        let is_one_walk = text.contains(ONE_WALK);
        let (mut comments, mut heading, mut block) = (String::new(), None::<String>, None::<Block>);
        for (event, range) in Parser::new_ext(&text, Options::ENABLE_TABLES).into_offset_iter() {
            let line = text[..range.start].lines().count() + 1;
            match event {
                Event::Start(Tag::Heading { level, .. }) => {
                    if level <= HeadingLevel::H3 && !(is_one_walk && page.sections.len() > 1) {
                        page.sections.push(Section::default());
                    }
                    heading = Some(String::new());
                }
                Event::End(TagEnd::Heading(_)) => {
                    let title = heading.take().expect("a heading that began");
                    let taken = page.sections.iter().flat_map(|section| &section.anchors);
                    let anchor = anchor(&title, taken);
                    let section = page.sections.last_mut().expect("a section");
                    section.anchors.push(anchor);
                    if section.title.is_empty() {
                        section.title = title;
                    }
                }
                Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                    page.links.push((dest_url.into_string(), line));
                }
                Event::Start(Tag::CodeBlock(kind)) => {
                    let CodeBlockKind::Fenced(info) = kind else {
                        block = Some(Block::new("indented", line, &comments));
                        continue;
                    };
                    block = Some(Block::new(&info, line, &comments));
                }
                Event::End(TagEnd::CodeBlock) => {
                    let section = page.sections.last_mut().expect("a section");
                    section.blocks.push(block.take().expect("a block that began"));
                    comments.clear();
                }
                Event::Html(html) => comments.push_str(&html),
                Event::Start(Tag::Paragraph | Tag::List(_) | Tag::Table(_) | Tag::BlockQuote(_)) => {
                    comments.clear();
                    page.sections.last_mut().expect("a section").prose.push('\n');
                }
                Event::Text(part) | Event::Code(part) => {
                    if let Some(block) = &mut block {
                        block.content.push_str(&part);
                        continue;
                    }
                    if let Some(title) = &mut heading {
                        title.push_str(&part);
                    }
                    page.sections.last_mut().expect("a section").prose.push_str(&part);
                }
                Event::SoftBreak => page.sections.last_mut().expect("a section").prose.push(' '),
                _ => {}
            }
        }
        page
    }

    /// The page's blocks with this marker.
    pub fn marked(&self, is_marked: impl Fn(&Marker) -> bool) -> Vec<&Block> {
        let blocks = self.sections.iter().flat_map(|section| &section.blocks);
        blocks.filter(|block| block.markers.iter().any(&is_marked)).collect()
    }
}

/// The anchor of a heading, as repository pages and mdBook make it.
fn anchor<'a>(title: &str, taken: impl Iterator<Item = &'a String>) -> String {
    let kept = title.trim().to_lowercase();
    let kept = kept.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    let plain: String = kept.map(|c| if c == ' ' { '-' } else { c }).collect();
    let is_numbered = |other: &&String| {
        other.strip_prefix(&plain).is_some_and(|rest| {
            rest.is_empty() || rest.strip_prefix('-').is_some_and(|number| number.parse::<u32>().is_ok())
        })
    };
    match taken.filter(is_numbered).count() {
        0 => plain,
        before => format!("{plain}-{before}"),
    }
}

/// Replaces `old` by `new` in the page at `path`, at its first place after the heading `title`. One page is written at a time.
pub fn replace(path: &str, title: &str, old: &str, new: &str) {
    static WRITING: Mutex<()> = Mutex::new(());
    let _alone = WRITING.lock().unwrap_or_else(PoisonError::into_inner);
    let file = Path::new(ROOT).join(path);
    let text = fs::read_to_string(&file).expect("a page that was read before");
    let from = text.find(&format!("# {title}\n")).unwrap_or(0);
    let (before, after) = text.split_at(from);
    fs::write(&file, format!("{before}{}", after.replacen(old, new, 1))).expect("a page that can be written");
    println!("{path}: written anew under {title:?}");
}
