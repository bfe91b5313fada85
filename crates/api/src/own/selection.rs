//! The DNS queries that a request selects: `fieldSelector=name=db-*,rcode!=NOERROR&sinceSerial=17`. Must not depend on what
//! is done with them.

use crate::http::query;
use crate::http::status::Status;
use crate::view::selector::terms;
use clusterlocal_core::Driver;
use clusterlocal_core::fault::{NotationError, Transport};
use clusterlocal_core::queries::{Filter, Position, Query, QueryLog};
use clusterlocal_core::wire::{UnknownCode, UnknownType};

/// The fields of a selector.
const FIELDS: &str = "name, type, client, pod, transport, rcode, fault";

/// The selected queries.
pub(super) struct Selection {
    /// Filters of one field each, and whether it has to match or not.
    terms: Vec<(Filter, bool)>,
    since: Filter,
    /// The selector as the client wrote it, for messages.
    written: String,
}

impl Selection {
    /// Parses the selection of a request.
    pub(super) fn read(query: &query::Query) -> Result<Self, Status> {
        let written = query.field_selector.clone();
        let terms = terms(&written).map_err(Status::bad_request)?;
        let term = |(field, equal, value): (&str, bool, String)| Ok((filter(field, &value)?, equal));
        let terms = terms.into_iter().map(term).collect::<Result<_, Status>>()?;
        let after = Position { number: query.since_query.unwrap_or(0), serial: query.since_serial };
        let since = Filter { after: Some(after), ..Filter::default() };
        Ok(Selection { terms, since, written })
    }

    /// Returns the queries of `log` after the one with this number, with the pods that sent them; and the number up to
    /// which all kept queries are included.
    pub(super) fn after(&self, number: u64, log: &QueryLog, driver: &Driver) -> (Vec<Query>, u64) {
        self.first_after(number, usize::MAX, log, driver)
    }

    /// As [`after`](Self::after), limited to `bytes`; the first query in any case.
    pub(super) fn first_after(
        &self,
        number: u64,
        bytes: usize,
        log: &QueryLog,
        driver: &Driver,
    ) -> (Vec<Query>, u64) {
        // A query that is too large for the log has a number nevertheless.
        let latest = log.latest();
        let (mut queries, all) = log.first_after(number, bytes);
        let latest = match queries.last() {
            Some(last) if all => last.number.max(latest),
            Some(last) => last.number,
            None => latest,
        };
        driver.name_pods(&mut queries);
        (queries, latest)
    }

    /// Whether `query` is selected.
    pub(super) fn admits(&self, query: &Query) -> bool {
        self.is_in_time(query) && self.terms.iter().all(|(filter, equal)| filter.admits(query) == *equal)
    }

    /// Whether `query` is in the selected period.
    pub(super) fn is_in_time(&self, query: &Query) -> bool {
        self.since.admits(query)
    }
}

impl std::fmt::Display for Selection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if !self.written.is_empty() {
            write!(f, " with {}", self.written)?;
        }
        match self.since.after.and_then(|after| after.serial) {
            Some(serial) => write!(f, " since serial {serial}"),
            None => Ok(()),
        }
    }
}

/// The filter for one field.
fn filter(field: &str, value: &str) -> Result<Filter, Status> {
    let bad = |why: &dyn std::fmt::Display| {
        Status::bad_request(format!("fieldSelector: {field}: Invalid value: {value:?}: {why}"))
    };
    let mut filter = Filter::default();
    match field {
        "name" => filter.name = Some(value.parse().map_err(|error: NotationError| bad(&error))?),
        "type" => filter.qtype = Some(value.parse().map_err(|error: UnknownType| bad(&error))?),
        "client" => {
            filter.client = Some(value.parse().map_err(|_| bad(&"write an address such as 127.0.0.1"))?)
        }
        "pod" => filter.pod = Some(value.into()),
        "transport" => {
            filter.transport = Some(match value {
                "udp" => Transport::Udp,
                "tcp" => Transport::Tcp,
                _ => return Err(bad(&"write udp or tcp")),
            });
        }
        "rcode" if value.eq_ignore_ascii_case("none") => filter.code = Some(None),
        "rcode" => {
            filter.code =
                Some(Some(value.parse().map_err(|_: UnknownCode| bad(&"write NXDOMAIN, RCODE11 or none"))?))
        }
        "fault" => filter.fault = Some(value.into()),
        _ => {
            return Err(Status::bad_request(format!(
                "field label not supported: {field}: there are {FIELDS}"
            )));
        }
    }
    Ok(filter)
}
