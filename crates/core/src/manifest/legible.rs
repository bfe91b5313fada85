//! Text of files and clients for a terminal: without characters that move the cursor or hide others.

/// `text` for one line of a terminal: at most `max` characters, without any that move the cursor or hide others.
pub fn legible(text: &str, max: usize) -> String {
    let mut chars = text.chars();
    let mut legible: String = chars.by_ref().take(max).map(plain).collect();
    if chars.next().is_some() {
        legible.push('…');
    }
    legible
}

/// `text` for a terminal: lines and tabs are kept, characters that move the cursor, ring a bell or hide others are
/// replaced.
pub fn harmless(text: &str) -> String {
    text.chars().map(|c| if matches!(c, '\n' | '\t') { c } else { plain(c) }).collect()
}

/// `c`, or the replacement character for control characters and those that change the text direction.
pub(super) fn plain(c: char) -> char {
    let hides =
        matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    if c.is_control() || hides { char::REPLACEMENT_CHARACTER } else { c }
}
