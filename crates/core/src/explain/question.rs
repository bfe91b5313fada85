//! Parses a question in the notation of the command line: a name and a type, or an address.

use std::net::IpAddr;

use crate::wire::{DomainName, NameError, RecordType, reverse_name};

/// A question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The given name, or that of an address in its reverse zone.
    pub name: DomainName,
    /// The requested type.
    pub record_type: RecordType,
    /// Whether the name is absolute: given with a final dot, or as an address.
    pub absolute: bool,
}

impl Question {
    /// Parses `text`, a name or an address, with this type; the default is A, and PTR for an address.
    ///
    /// # Errors
    /// If `text` is neither.
    pub fn parse(text: &str, record_type: Option<RecordType>) -> Result<Self, NameError> {
        let (name, default, absolute) = match text.parse::<IpAddr>() {
            Ok(ip) => (reverse_name(ip), RecordType::PTR, true),
            Err(_) => (text.parse()?, RecordType::A, text.ends_with('.')),
        };
        Ok(Question { name, record_type: record_type.unwrap_or(default), absolute })
    }
}
