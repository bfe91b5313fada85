//! Patterns for names: `*` matches any characters including dots, `?` matches one.

use std::fmt;
use std::str::FromStr;

use super::NotationError;
use crate::text::{Name, SUBDOMAIN_MAX};

/// A pattern for names, in lower case and without the final dot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob(Name);

impl Glob {
    /// Whether `name`, in lower case and without the final dot, matches.
    pub fn matches(&self, name: &[u8]) -> bool {
        let pattern = self.0.as_bytes();
        let (mut p, mut n) = (0, 0);
        // The last star, and the position in the name when it was tried: to retry with one more character for it.
        let mut star: Option<(usize, usize)> = None;
        while n < name.len() {
            match pattern.get(p) {
                Some(b'*') => {
                    star = Some((p, n));
                    p += 1;
                }
                Some(&c) if c == b'?' || c == name[n] => (p, n) = (p + 1, n + 1),
                _ => match star {
                    Some((at, taken)) => {
                        star = Some((at, taken + 1));
                        (p, n) = (at + 1, taken + 1);
                    }
                    None => return false,
                },
            }
        }
        pattern[p..].iter().all(|&c| c == b'*')
    }

    /// Like [`Self::matches`]; a pattern without dots may also match the first label alone.
    pub fn matches_name_or_host(&self, name: &[u8]) -> bool {
        let host = name.split(|&byte| byte == b'.').next().unwrap_or_default();
        self.matches(name) || self.matches(host)
    }
}

impl FromStr for Glob {
    type Err = NotationError;

    fn from_str(text: &str) -> Result<Self, NotationError> {
        let pattern = text.strip_suffix('.').unwrap_or(text);
        let of_names = |b: u8| b.is_ascii_alphanumeric() || b"-_.*?".contains(&b);
        if pattern.is_empty() || pattern.len() > SUBDOMAIN_MAX || !pattern.bytes().all(of_names) {
            return Err(NotationError::new(text, "a pattern for names such as _cql._tcp.*", None));
        }
        Ok(Glob(pattern.to_ascii_lowercase().into()))
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
