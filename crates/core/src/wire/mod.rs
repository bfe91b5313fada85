//! Takes the place of miekg/dns, CoreDNS's library: names, record types, response codes, and the parts of a message,
//! decoded and encoded in one place (RFC 1035, 3 and 4; RFC 6891). Must not depend on any other room.

mod header;
mod message;
mod name;
mod opt;
mod presentation;
mod question;
mod record;
mod record_type;
mod response_code;
mod reverse;
mod whole;

pub use header::{HEADER, Header, Opcode, flag, u16_at};
pub use message::{error_reply, is_truncated, opt, question, set_response_code, truncate};
pub use name::{DomainName, NAME_MAX, NameError, Presentation, is_subdomain, labels, push_label};
pub(crate) use name::{end_of_name, end_of_plain_name};
pub use opt::{Edns, Opt};
pub use question::Question;
pub(crate) use record::Records;
pub use record::{RecordBuf, RecordView, Section, Sections, character_strings, sections};
pub use record_type::{RecordType, UnknownType};
pub use response_code::{ResponseCode, UnknownCode};
pub(crate) use reverse::reverse_address;
pub use reverse::reverse_name;
pub use whole::Whole;

/// Class IN (RFC 1035, 3.2.4).
pub const IN: u16 = 1;

/// Length of the type, class, TTL and data length of a record (RFC 1035, 4.1.3), in bytes.
pub(crate) const FIXED: usize = 10;
