//! `GET` of a container's log (`pkg/registry/core/pod/rest/log.go`, `ValidatePodLogOptions`). Must not depend on how logs are kept.

use std::time::Duration;

use http_body_util::Either;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};
use tokio::sync::watch;

use super::Connect;
use super::location::{container, is_placed};
use crate::http::query::boolean;
use crate::http::reply::{Body, Streamed, TEXT};
use crate::http::server::stopped;
use crate::http::status::Status;
use crate::kubelet::{Log, LogOptions};
use clusterlocal_admission::Cause;
use clusterlocal_core::store::Time;

impl Connect {
    pub(super) async fn log(self, query: &str) -> Result<Response<Body>, Status> {
        let asked = Asked::parse(query)?;
        let options = asked.options(&self.place.name, self.api.driver.clock().now())?;
        let pod = self.pod().await?;
        let container = container(&pod, &asked.container)?;
        let mut response = Response::new(Either::Left(Default::default()));
        if !is_placed(&pod) {
            *response.status_mut() = StatusCode::NO_CONTENT;
            return Ok(response);
        }
        let log = self.kubelet.log(&container, options).map_err(Status::bad_request)?;
        *response.body_mut() = Either::Right(streamed(log, self.api.stop.clone()));
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(TEXT));
        response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache, private"));
        if let Some(busy) = self.busy {
            response.extensions_mut().insert(busy);
        }
        Ok(response)
    }
}

/// The pieces of a log, until its end or that of the server.
fn streamed(mut log: Log, mut stop: watch::Receiver<bool>) -> Streamed {
    Streamed::new(async move {
        let piece = tokio::select! {
            piece = log.recv() => piece?,
            () = stopped(&mut stop) => return None,
        };
        Some((piece, streamed(log, stop)))
    })
}

/// The parameters of a request.
#[derive(Default)]
struct Asked {
    container: String,
    options: LogOptions,
    tail: Option<i64>,
    limit_bytes: Option<i64>,
    since_seconds: Option<i64>,
    since_time: Option<Time>,
    stream: Option<String>,
}

impl Asked {
    fn parse(query: &str) -> Result<Asked, Status> {
        let mut asked = Asked::default();
        for (key, value) in form_urlencoded::parse(query.as_bytes()) {
            match &*key {
                "container" => asked.container = value.into_owned(),
                "follow" => asked.options.follow = boolean(&value),
                "previous" => asked.options.previous = boolean(&value),
                "timestamps" => asked.options.timestamps = boolean(&value),
                "tailLines" => asked.tail = integer(&value)?,
                "limitBytes" => asked.limit_bytes = integer(&value)?,
                "sinceSeconds" => asked.since_seconds = integer(&value)?,
                "sinceTime" if !value.is_empty() => {
                    let time = value.parse::<Time>().map_err(|_| {
                        let as_go =
                            format!("parsing time {value:?} as \"2006-01-02T15:04:05Z07:00\": cannot parse");
                        Status::bad_request(as_go)
                    });
                    asked.since_time = Some(time?);
                }
                "stream" => asked.stream = Some(value.into_owned()),
                _ => {}
            }
        }
        Ok(asked)
    }

    /// The options, if they are valid.
    fn options(&self, pod: &str, now: Time) -> Result<LogOptions, Status> {
        let mut causes = Vec::new();
        let mut at_least = |field: &str, value: Option<i64>, least: i64, message: &str| {
            if let Some(value) = value.filter(|value| *value < least) {
                let message = format!("Invalid value: {value}: {message}");
                causes.push(Cause { field: field.into(), reason: "FieldValueInvalid", message });
            }
        };
        at_least("tailLines", self.tail, 0, "must be greater than or equal to 0");
        at_least("limitBytes", self.limit_bytes, 1, "must be greater than 0");
        if self.since_seconds.is_some() && self.since_time.is_some() {
            let message = "Forbidden: at most one of `sinceTime` or `sinceSeconds` may be specified".into();
            causes.push(Cause { field: String::new(), reason: "FieldValueForbidden", message });
        } else if let Some(seconds) = self.since_seconds.filter(|seconds| *seconds < 1) {
            let message = format!("Invalid value: {seconds}: must be greater than 0");
            causes.push(Cause { field: "sinceSeconds".into(), reason: "FieldValueInvalid", message });
        }
        // Behind the feature gate PodLogsQuerySplitStreams, which is off by default.
        if self.stream.is_some() {
            let message = "Forbidden: may not be specified".into();
            causes.push(Cause { field: "stream".into(), reason: "FieldValueForbidden", message });
        }
        if !causes.is_empty() {
            return Err(Status::invalid_options("PodLogOptions", pod, causes));
        }
        let count = |number: Option<i64>| number.and_then(|number| u64::try_from(number).ok());
        let seconds = count(self.since_seconds).map(|seconds| now.before(Duration::from_secs(seconds)));
        Ok(LogOptions {
            tail: count(self.tail),
            limit_bytes: count(self.limit_bytes),
            since: seconds.or(self.since_time),
            ..self.options.clone()
        })
    }
}

fn integer(text: &str) -> Result<Option<i64>, Status> {
    if text.is_empty() {
        return Ok(None);
    }
    let bad = |_| Status::bad_request(format!("strconv.ParseInt: parsing {text:?}: invalid syntax"));
    text.parse().map(Some).map_err(bad)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_validated_as_by_kube_apiserver() {
        let now: Time = "2026-01-01T00:01:00Z".parse().unwrap();
        let none = LogOptions::default;
        let table = [
            ("", Ok(none())),
            (
                "container=a&follow=true&previous=1&timestamps=true",
                Ok(LogOptions { follow: true, previous: true, timestamps: true, ..none() }),
            ),
            (
                "follow=false&tailLines=0&limitBytes=9",
                Ok(LogOptions { tail: Some(0), limit_bytes: Some(9), ..none() }),
            ),
            (
                "sinceSeconds=60",
                Ok(LogOptions { since: Some("2026-01-01T00:00:00Z".parse().unwrap()), ..none() }),
            ),
            (
                "sinceTime=2026-01-01T00%3A00%3A05Z",
                Ok(LogOptions { since: Some("2026-01-01T00:00:05Z".parse().unwrap()), ..none() }),
            ),
            (
                "tailLines=-1",
                Err(
                    "PodLogOptions \"db-0\" is invalid: tailLines: Invalid value: -1: must be greater than or equal to 0",
                ),
            ),
            (
                "limitBytes=0",
                Err(
                    "PodLogOptions \"db-0\" is invalid: limitBytes: Invalid value: 0: must be greater than 0",
                ),
            ),
            (
                "sinceSeconds=0",
                Err(
                    "PodLogOptions \"db-0\" is invalid: sinceSeconds: Invalid value: 0: must be greater than 0",
                ),
            ),
            ("tailLines=x", Err("strconv.ParseInt: parsing \"x\": invalid syntax")),
            (
                "stream=Stdout",
                Err("PodLogOptions \"db-0\" is invalid: stream: Forbidden: may not be specified"),
            ),
        ];
        for (query, expected) in table {
            let options = Asked::parse(query).and_then(|asked| asked.options("db-0", now));
            assert_eq!(options.map_err(|status| status.message), expected.map_err(String::from), "{query}");
        }
    }
}
