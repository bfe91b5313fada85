//! The query of a request, with the fields of `ListOptions`, `CreateOptions` and the like. A verb ignores other fields, as
//! in kube-apiserver. Must not depend on objects.

use std::time::Duration;

use super::status::Status;
use crate::view::table::Include;
use clusterlocal_core::reconcile::Propagation;
use clusterlocal_core::store::duration;

/// The options of a request.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Query {
    pub(crate) label_selector: String,
    pub(crate) field_selector: String,
    /// Maximum number of objects in an answer; none for all.
    pub(crate) limit: Option<usize>,
    /// The end of the previous answer with a limit.
    pub(crate) continue_from: String,
    /// None for the newest.
    pub(crate) resource_version: Option<u64>,
    pub(crate) version_match: Option<VersionMatch>,
    pub(crate) watch: bool,
    /// A watch begins with the current objects.
    pub(crate) send_initial_events: bool,
    pub(crate) allow_bookmarks: bool,
    /// Time-out of a watch.
    pub(crate) timeout: Option<Duration>,
    /// Does everything except the change itself.
    pub(crate) dry_run: bool,
    pub(crate) grace_period_seconds: Option<u32>,
    pub(crate) propagation_policy: Option<Propagation>,
    /// How unknown fields are handled.
    pub(crate) validation: FieldValidation,
    /// How much of the object the rows of a table have.
    pub(crate) include_object: Include,
    /// For DNS queries: only those answered from the zone of this serial, or a later one.
    pub(crate) since_serial: Option<u32>,
    /// For DNS queries: only those after the query with this number.
    pub(crate) since_query: Option<u64>,
    /// For DNS queries: the expected minimum and maximum, and the time to wait for that.
    pub(crate) at_least: Option<u64>,
    pub(crate) at_most: Option<u64>,
    pub(crate) within: Duration,
}

/// Maximum time to wait for DNS queries.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// The meaning of a list's `resourceVersion`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum VersionMatch {
    /// The state at that version.
    Exact,
    /// The state at that version, or a later one.
    NotOlderThan,
}

/// `fieldValidation`: kubectl sends `Strict`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum FieldValidation {
    /// Unknown fields are refused.
    Strict,
    /// Unknown fields cause warnings.
    #[default]
    Warn,
    /// Unknown fields are ignored.
    Ignore,
}

impl Query {
    /// Parses the query without its `?`.
    pub(crate) fn parse(text: &str) -> Result<Query, Status> {
        let mut query = Query::default();
        for (key, value) in form_urlencoded::parse(text.as_bytes()) {
            query.set(&key, &value)?;
        }
        Ok(query)
    }

    fn set(&mut self, key: &str, value: &str) -> Result<(), Status> {
        match key {
            "labelSelector" => self.label_selector = value.into(),
            "fieldSelector" => self.field_selector = value.into(),
            "limit" => self.limit = number(key, value)?.filter(|limit| *limit > 0),
            "continue" => self.continue_from = value.into(),
            "resourceVersion" => self.resource_version = number(key, value)?,
            "resourceVersionMatch" => {
                self.version_match = match value {
                    "" => None,
                    "Exact" => Some(VersionMatch::Exact),
                    "NotOlderThan" => Some(VersionMatch::NotOlderThan),
                    _ => return Err(unsupported(key, value, "\"Exact\", \"NotOlderThan\"")),
                }
            }
            "watch" => self.watch = boolean(value),
            "sendInitialEvents" => self.send_initial_events = boolean(value),
            "allowWatchBookmarks" => self.allow_bookmarks = boolean(value),
            "timeoutSeconds" => {
                self.timeout = number(key, value)?.filter(|t| *t > 0).map(Duration::from_secs)
            }
            "dryRun" => self.dry_run = dry_run(value)?,
            "gracePeriodSeconds" => self.grace_period_seconds = number(key, value)?,
            "propagationPolicy" => self.propagation_policy = propagation(value)?,
            "orphanDependents" if boolean(value) => self.propagation_policy = Some(Propagation::Orphan),
            "fieldValidation" => {
                self.validation = match value {
                    "Strict" => FieldValidation::Strict,
                    "" | "Warn" => FieldValidation::Warn,
                    "Ignore" => FieldValidation::Ignore,
                    _ => return Err(unsupported(key, value, "\"Ignore\", \"Strict\", \"Warn\"")),
                }
            }
            "sinceSerial" => self.since_serial = number(key, value)?,
            "sinceQuery" => self.since_query = number(key, value)?,
            "atLeast" => self.at_least = number(key, value)?,
            "atMost" => self.at_most = number(key, value)?,
            "within" => {
                let within = duration(value).filter(|within| *within <= LONGEST_WAIT);
                let bad = || {
                    Status::bad_request(format!(
                        "within: Invalid value: {value:?}: write 500ms or 10s, at most 1h"
                    ))
                };
                self.within = within.ok_or_else(bad)?;
            }
            "includeObject" => self.include_object = Include::parse(value).map_err(Status::bad_request)?,
            _ => {}
        }
        Ok(())
    }
}

/// Parses a propagation policy; none for an empty text.
///
/// # Errors
///
/// For any other text, with the valid ones.
pub(crate) fn propagation(text: &str) -> Result<Option<Propagation>, Status> {
    match text {
        "" => Ok(None),
        "Orphan" => Ok(Some(Propagation::Orphan)),
        "Background" => Ok(Some(Propagation::Background)),
        "Foreground" => Ok(Some(Propagation::Foreground)),
        _ => Err(unsupported("propagationPolicy", text, "\"Background\", \"Foreground\", \"Orphan\"")),
    }
}

/// Parses a value of `dryRun`: kube-apiserver only accepts `All`.
pub(crate) fn dry_run(text: &str) -> Result<bool, Status> {
    match text {
        "" => Ok(false),
        "All" => Ok(true),
        _ => Err(unsupported("dryRun", text, "\"All\"")),
    }
}

/// Parses a boolean as kube-apiserver does: only these values are false.
pub(crate) fn boolean(text: &str) -> bool {
    !matches!(text, "0" | "false" | "False" | "FALSE")
}

fn number<T: std::str::FromStr>(key: &str, text: &str) -> Result<Option<T>, Status> {
    if text.is_empty() {
        return Ok(None);
    }
    let bad =
        |_| Status::bad_request(format!("{key}: Invalid value: {text:?}: must be a non-negative integer"));
    text.parse().map(Some).map_err(bad)
}

fn unsupported(key: &str, value: &str, supported: &str) -> Status {
    Status::bad_request(format!("{key}: Unsupported value: {value:?}: supported values: {supported}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_of_clients_are_parsed() {
        let table = [
            ("", Query::default()),
            (
                "labelSelector=app%3Ddb%2Ctier+in+%28a%29&fieldSelector=metadata.name%3Dx",
                Query {
                    label_selector: "app=db,tier in (a)".into(),
                    field_selector: "metadata.name=x".into(),
                    ..Query::default()
                },
            ),
            ("limit=500&unknown=1", Query { limit: Some(500), ..Query::default() }),
            ("limit=0&resourceVersion=", Query::default()),
            (
                "watch=true&allowWatchBookmarks=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&timeoutSeconds=7",
                Query {
                    watch: true,
                    allow_bookmarks: true,
                    send_initial_events: true,
                    version_match: Some(VersionMatch::NotOlderThan),
                    timeout: Some(Duration::from_secs(7)),
                    ..Query::default()
                },
            ),
            ("watch=false&dryRun=All", Query { dry_run: true, ..Query::default() }),
            (
                "gracePeriodSeconds=0&propagationPolicy=Orphan",
                Query {
                    grace_period_seconds: Some(0),
                    propagation_policy: Some(Propagation::Orphan),
                    ..Query::default()
                },
            ),
        ];
        for (text, expected) in table {
            assert_eq!(Query::parse(text), Ok(expected), "{text}");
        }
        for bad in
            ["limit=x", "resourceVersion=-1", "dryRun=Some", "propagationPolicy=x", "resourceVersionMatch=x"]
        {
            let status = Query::parse(bad).expect_err(bad);
            assert_eq!(status.code, 400, "{bad}");
        }
    }
}
