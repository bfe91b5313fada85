//! Domain names in wire form (RFC 1035, 3.1): labels with their lengths, ending in the root's zero byte.

use std::fmt;
use std::str::FromStr;

use super::HEADER;

/// Maximum length of a name in wire form (RFC 1035, 2.3.4), in bytes.
pub const NAME_MAX: usize = 255;

/// An absolute domain name. Keeps its spelling; compare with [`DomainName::equals`].
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct DomainName(Box<[u8]>);

/// Why a text is not a domain name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Two dots in a row, or a leading one.
    #[error("a domain name has no empty labels")]
    EmptyLabel,
    /// RFC 1035, 2.3.4.
    #[error("label {0:?} is longer than 63 bytes")]
    LabelTooLong(String),
    /// RFC 1035, 2.3.4.
    #[error("a domain name is at most 255 bytes long")]
    TooLong,
    /// A backslash that is followed by neither `DDD` nor a character.
    #[error("{0:?} is not an escape: write \\DDD or a backslash and the character")]
    BadEscape(String),
}

impl DomainName {
    /// Creates a name from a valid wire form.
    pub(crate) fn from_wire(wire: Vec<u8>) -> Self {
        debug_assert!(wire.last() == Some(&0));
        DomainName(wire.into())
    }

    /// The wire form, including the root.
    pub fn as_wire(&self) -> &[u8] {
        &self.0
    }

    /// Number of labels without the root.
    pub fn label_count(&self) -> usize {
        labels(&self.0).count()
    }

    /// Whether both are the same name; case does not matter (RFC 4343).
    pub fn equals(&self, other: &[u8]) -> bool {
        self.0.eq_ignore_ascii_case(other)
    }
}

/// The labels of a name in wire form, leftmost first, without the root.
pub fn labels(wire: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = wire;
    std::iter::from_fn(move || {
        let (&length, tail) = rest.split_first()?;
        let (label, tail) = tail.split_at_checked(usize::from(length)).filter(|_| length > 0)?;
        rest = tail;
        Some(label)
    })
}

/// Appends one label to a wire form.
pub fn push_label(wire: &mut Vec<u8>, label: &[u8]) {
    debug_assert!((1..=63).contains(&label.len()), "labels have 1 to 63 bytes");
    wire.push(label.len() as u8);
    wire.extend_from_slice(label);
}

/// Whether the wire name `child` is `parent` or below it.
pub fn is_subdomain(parent: &[u8], child: &[u8]) -> bool {
    let mut at = 0;
    while child.len() - at > parent.len() {
        at += 1 + usize::from(child[at]);
    }
    child[at.min(child.len())..].eq_ignore_ascii_case(parent)
}

/// The end of the name at `at`, including its root; `None` if it is compressed or runs past the end of `message`.
#[inline]
pub(crate) fn end_of_plain_name(message: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match *message.get(at)? {
            0 => return Some(at + 1),
            length @ 1..=63 => at += 1 + usize::from(length),
            _ => return None,
        }
    }
}

/// Like [`end_of_plain_name`], but a compression pointer ends the name as well. It must point backwards (RFC 1035,
/// 4.1.4), and is not followed.
#[inline]
pub(crate) fn end_of_name(message: &[u8], start: usize) -> Option<usize> {
    let mut at = start;
    loop {
        match *message.get(at)? {
            0 => return Some(at + 1),
            length @ 1..=63 => at += 1 + usize::from(length),
            high @ 0xc0.. => {
                let to = usize::from(high & 0x3f) << 8 | usize::from(*message.get(at + 1)?);
                return (HEADER..start).contains(&to).then_some(at + 2);
            }
            _ => return None,
        }
    }
}

impl FromStr for DomainName {
    type Err = NameError;

    /// Parses the presentation form (RFC 1035, 5.1), relative to the root: `cluster.local` and `cluster.local.` are the
    /// same name.
    fn from_str(text: &str) -> Result<Self, NameError> {
        let mut wire = Vec::with_capacity(text.len() + 2);
        let mut label = Vec::new();
        let mut bytes = text.bytes();
        while let Some(byte) = bytes.next() {
            match byte {
                b'.' if text.len() == 1 => break,
                b'.' => end_label(&mut wire, &mut label)?,
                b'\\' => label.push(escaped(&mut bytes)?),
                _ => label.push(byte),
            }
        }
        if !label.is_empty() {
            end_label(&mut wire, &mut label)?;
        }
        wire.push(0);
        if wire.len() > NAME_MAX { Err(NameError::TooLong) } else { Ok(DomainName(wire.into())) }
    }
}

fn end_label(wire: &mut Vec<u8>, label: &mut Vec<u8>) -> Result<(), NameError> {
    match label.len() {
        0 => Err(NameError::EmptyLabel),
        1..=63 => {
            push_label(wire, label);
            label.clear();
            Ok(())
        }
        _ => Err(NameError::LabelTooLong(String::from_utf8_lossy(label).into_owned())),
    }
}

fn escaped(bytes: &mut std::str::Bytes<'_>) -> Result<u8, NameError> {
    let bad = |text: &[u8]| NameError::BadEscape(format!("\\{}", String::from_utf8_lossy(text)));
    match bytes.next() {
        Some(first @ b'0'..=b'9') => {
            let digits = [first, bytes.next().unwrap_or(b' '), bytes.next().unwrap_or(b' ')];
            std::str::from_utf8(&digits).ok().and_then(|d| d.parse().ok()).ok_or_else(|| bad(&digits))
        }
        Some(byte) => Ok(byte),
        None => Err(bad(b"")),
    }
}

impl fmt::Display for DomainName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Presentation(&self.0).fmt(f)
    }
}

impl fmt::Debug for DomainName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// A wire name in presentation form: RFC 1035, 5.1, with decimal escapes for all bytes that are not printable, so that
/// no control character of a packet reaches a terminal or a log. The name ends with the dot of the root.
#[derive(Clone, Copy)]
pub struct Presentation<'a>(pub &'a [u8]);

impl fmt::Display for Presentation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.len() <= 1 {
            return f.write_str(".");
        }
        for label in labels(self.0) {
            for &byte in label {
                match byte {
                    b'.' | b'\\' | b'"' | b'(' | b')' | b';' | b'@' | b'$' => {
                        write!(f, "\\{}", byte as char)?
                    }
                    0x21..=0x7e => write!(f, "{}", byte as char)?,
                    _ => write!(f, "\\{byte:03}")?,
                }
            }
            f.write_str(".")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_parsed_into_wire_form() {
        let table: [(&str, &[u8], &str); 5] = [
            (".", b"\0", "."),
            ("cluster.local", b"\x07cluster\x05local\0", "cluster.local."),
            ("Cluster.Local.", b"\x07Cluster\x05Local\0", "Cluster.Local."),
            ("a\\.b.\\000\\255", b"\x03a.b\x02\0\xff\0", "a\\.b.\\000\\255."),
            ("a\\ b\\(", b"\x04a b(\0", "a\\032b\\(."),
        ];
        for (text, wire, shown) in table {
            let name: DomainName = text.parse().unwrap_or_else(|e| panic!("{text}: {e}"));
            assert_eq!(name.as_wire(), wire, "{text}");
            assert_eq!(name.to_string(), shown);
        }
    }

    #[test]
    fn invalid_names_are_refused() {
        let long_label = "a".repeat(64);
        let long_name = ["a".repeat(63).as_str(); 4].join(".");
        for text in ["a..b", ".a", "a\\", "a\\12", "a\\999", &long_label, &long_name] {
            assert!(text.parse::<DomainName>().is_err(), "{text}");
        }
    }

    #[test]
    fn subdomains_are_recognized() {
        let name = |text: &str| text.parse::<DomainName>().unwrap();
        let table = [
            ("cluster.local", "cluster.local", true),
            ("cluster.local", "A.CLUSTER.local", true),
            ("cluster.local", "xcluster.local", false),
            ("cluster.local", "local", false),
            (".", "local", true),
        ];
        for (parent, child, expected) in table {
            assert_eq!(
                is_subdomain(name(parent).as_wire(), name(child).as_wire()),
                expected,
                "{child} in {parent}"
            );
        }
    }
}
