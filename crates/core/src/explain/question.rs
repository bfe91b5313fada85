//! A question as people write it: a name and a type, or an address.

use std::net::IpAddr;

use crate::wire::{DomainName, NameError, RecordType, reverse_name};

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The name as it was written, or that of an address in its reverse zone.
    pub name: DomainName,
    /// The type that is asked for.
    pub record_type: RecordType,
    /// The name is whole: it was written with a final dot, or is an address.
    pub absolute: bool,
}

impl Question {
    /// Parses `text`, a name or an address, of this type; by default A, and PTR for an address.
    ///
    /// # Errors
    /// Where `text` is neither.
    pub fn parse(text: &str, record_type: Option<RecordType>) -> Result<Self, NameError> {
        let (name, default, absolute) = match text.parse::<IpAddr>() {
            Ok(ip) => (reverse_name(ip), RecordType::PTR, true),
            Err(_) => (text.parse()?, RecordType::A, text.ends_with('.')),
        };
        Ok(Question { name, record_type: record_type.unwrap_or(default), absolute })
    }
}
