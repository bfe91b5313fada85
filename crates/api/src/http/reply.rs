//! HTTP answers: documents, failures and streams. Must not depend on their content.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http_body_util::{Either, Full};
use hyper::body::{Body as HttpBody, Bytes, Frame};
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER, WARNING};
use hyper::{Response, StatusCode};
use serde_json::Value;

use super::accept::YAML;
use super::status::Status;

/// The body of a response.
pub(crate) type Body = Either<Full<Bytes>, Streamed>;

/// The content type of almost all answers.
pub(crate) const JSON: &str = "application/json";

/// The content type of logs.
#[cfg(feature = "connect")]
pub(crate) const TEXT: &str = "text/plain";

/// An answer.
pub(crate) enum Reply {
    /// A document, with the HTTP status code.
    Json(StatusCode, Vec<u8>),
    /// The same as YAML.
    Yaml(StatusCode, Vec<u8>),
    /// Another content type.
    Typed(&'static str, Vec<u8>),
    /// A stream of JSON.
    Stream(Streamed),
    /// An answer with warnings.
    Warned(Box<Reply>, Vec<String>),
}

impl Reply {
    /// `value`, with the code 200.
    pub(crate) fn ok(value: &Value) -> Reply {
        Reply::json(StatusCode::OK, value)
    }

    /// `value`, with the HTTP status code.
    pub(crate) fn json(code: StatusCode, value: &Value) -> Reply {
        Reply::Json(code, value.to_string().into_bytes())
    }

    /// A line of plain text.
    pub(crate) fn text(text: impl Into<String>) -> Reply {
        Reply::Typed("text/plain; charset=utf-8", text.into().into_bytes())
    }

    /// Adds `warnings`, if there are any.
    pub(crate) fn warned(self, warnings: Vec<String>) -> Reply {
        if warnings.is_empty() { self } else { Reply::Warned(Box::new(self), warnings) }
    }

    /// The same as YAML. A stream stays JSON, which is YAML as well.
    pub(crate) fn into_yaml(self) -> Reply {
        match self {
            Reply::Json(code, json) => {
                let yaml = serde_json::from_slice::<Value>(&json).ok();
                let yaml = yaml.and_then(|value| serde_yaml::to_string(&value).ok());
                Reply::Yaml(code, yaml.map_or(json, String::into_bytes))
            }
            Reply::Warned(reply, warnings) => Reply::Warned(Box::new(reply.into_yaml()), warnings),
            other => other,
        }
    }

    /// The HTTP response.
    pub(crate) fn into_response(self) -> Response<Body> {
        if let Reply::Warned(reply, warnings) = self {
            let mut response = reply.into_response();
            attach_warnings(response.headers_mut(), warnings);
            return response;
        }
        let (code, content_type, body) = match self {
            Reply::Json(code, json) => (code, JSON, Either::Left(Full::from(json))),
            Reply::Yaml(code, yaml) => (code, YAML, Either::Left(Full::from(yaml))),
            Reply::Typed(content_type, body) => {
                (StatusCode::OK, content_type, Either::Left(Full::from(body)))
            }
            Reply::Stream(stream) => (StatusCode::OK, JSON, Either::Right(stream)),
            Reply::Warned(..) => unreachable!("taken apart above"),
        };
        let mut response = Response::new(body);
        *response.status_mut() = code;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache, private"));
        response
    }
}

/// The HTTP response of a failure.
pub(crate) fn failure(status: &Status) -> Response<Body> {
    let mut response = Reply::json(status.code, &status.json()).into_response();
    if let Some(seconds) = status.details.as_ref().and_then(|details| details.retry_after) {
        response.headers_mut().insert(RETRY_AFTER, seconds.into());
    }
    response
}

/// Adds `warnings` to the headers of an answer (`Warning: 299` of RFC 9111).
pub(crate) fn attach_warnings<T: AsRef<str>>(headers: &mut HeaderMap, warnings: impl IntoIterator<Item = T>) {
    for warning in warnings {
        let quoted = warning.as_ref().replace('\\', "\\\\").replace('"', "\\\"");
        // Warnings with characters that headers cannot have are left out (apimachinery/pkg/util/net, NewWarningHeader).
        if let Ok(value) = HeaderValue::from_str(&format!("299 - \"{quoted}\"")) {
            headers.append(WARNING, value);
        }
    }
}

/// The pieces of a body. Each is produced only after the previous one has been sent, so that nothing accumulates for a slow
/// client.
pub(crate) struct Streamed(Rest);

/// What is left of a body.
enum Rest {
    Piece(Piece),
    Nothing,
    /// There was more, which cannot be read.
    #[cfg_attr(not(feature = "connect"), allow(dead_code))]
    Broken,
}

/// The next piece and the rest of the stream; nothing at the end.
type Piece = Pin<Box<dyn Future<Output = Option<(Bytes, Streamed)>> + Send>>;

impl Streamed {
    /// The stream that begins with the result of `piece`.
    pub(crate) fn new(piece: impl Future<Output = Option<(Bytes, Streamed)>> + Send + 'static) -> Self {
        Streamed(Rest::Piece(Box::pin(piece)))
    }

    /// The end of a stream that is not complete: the connection is closed, so that the client sees it.
    #[cfg(feature = "connect")]
    pub(crate) fn broken() -> Self {
        Streamed(Rest::Broken)
    }
}

impl HttpBody for Streamed {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let this = self.get_mut();
        let next = match &mut this.0 {
            Rest::Piece(piece) => ready!(piece.as_mut().poll(context)),
            Rest::Nothing => return Poll::Ready(None),
            Rest::Broken => return Poll::Ready(Some(Err(io::ErrorKind::UnexpectedEof.into()))),
        };
        let (bytes, rest) = match next {
            Some((bytes, rest)) => (Some(bytes), rest.0),
            None => (None, Rest::Nothing),
        };
        this.0 = rest;
        Poll::Ready(bytes.map(|bytes| Ok(Frame::data(bytes))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_are_headers() {
        let mut headers = HeaderMap::new();
        attach_warnings(&mut headers, ["a \"b\"", "not\na line", "c"]);
        let all: Vec<_> = headers.get_all(WARNING).iter().map(|value| value.to_str().unwrap()).collect();
        assert_eq!(all, ["299 - \"a \\\"b\\\"\"", "299 - \"c\""]);
    }
}
