//! URLs as Go's `net/url` parses them, as far as rules of the API ask.

use crate::field::Shown;

/// The parts of a URL that rules look at.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Url<'t> {
    pub(crate) scheme: String,
    pub(crate) user: Option<&'t str>,
    pub(crate) host: &'t str,
    pub(crate) query: &'t str,
    pub(crate) fragment: &'t str,
}

/// `url.Parse`
///
/// # Errors
///
/// Why it is no URL, in Go's words.
pub(crate) fn parse(text: &str) -> Result<Url<'_>, String> {
    let (url, fragment) = text.split_once('#').unwrap_or((text, ""));
    let error = |url: &str, why: String| format!("parse {}: {why}", Shown::from(url).into_text());
    let mut parsed = parse_without_fragment(url).map_err(|why| error(url, why))?;
    check_escapes(fragment).map_err(|why| error(text, why))?;
    parsed.fragment = fragment;
    Ok(parsed)
}

fn parse_without_fragment(text: &str) -> Result<Url<'_>, String> {
    if text.bytes().any(|byte| byte < b' ' || byte == 0x7f) {
        return Err("net/url: invalid control character in URL".into());
    }
    let (scheme, rest) = scheme(text)?;
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let mut url = Url { scheme: scheme.to_lowercase(), query, ..Url::default() };
    if !rest.starts_with('/') {
        let first = rest.split('/').next().unwrap_or_default();
        if scheme.is_empty() && first.contains(':') {
            return Err("first path segment in URL cannot contain colon".into());
        }
        if !scheme.is_empty() {
            return Ok(url);
        }
    }
    let mut path = rest;
    let has_authority = !scheme.is_empty() || !rest.starts_with("///");
    if let Some(rest) = rest.strip_prefix("//").filter(|_| has_authority) {
        let (authority, after) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        path = after;
        let (user, host) = match authority.rsplit_once('@') {
            Some((user, host)) => (Some(user), host),
            None => (None, authority),
        };
        check_host(host)?;
        if user.is_some_and(|user| !is_user(user)) {
            return Err("net/url: invalid userinfo".into());
        }
        (url.user, url.host) = (user, host);
    }
    check_escapes(path)?;
    Ok(url)
}

/// `getScheme`: the scheme, if there is one, and what follows.
fn scheme(text: &str) -> Result<(&str, &str), String> {
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' => {}
            b'0'..=b'9' | b'+' | b'-' | b'.' if at > 0 => {}
            b':' if at == 0 => return Err("missing protocol scheme".into()),
            b':' => return Ok((&text[..at], &text[at + 1..])),
            _ => break,
        }
    }
    Ok(("", text))
}

/// `parseHost`
fn check_host(host: &str) -> Result<(), String> {
    let port = if host.starts_with('[') {
        let Some((_, port)) = host.rsplit_once(']') else { return Err("missing ']' in host".into()) };
        port
    } else {
        host.rfind(':').map_or("", |at| &host[at..])
    };
    let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
    if !(port.is_empty() || port.strip_prefix(':').is_some_and(is_port)) {
        return Err(format!("invalid port {} after host", Shown::from(port).into_text()));
    }
    let is_host =
        |c: char| !c.is_ascii() || c.is_ascii_alphanumeric() || "!$&'()*+,;=:[]<>\"-_.~%".contains(c);
    match host.chars().find(|c| !is_host(*c)) {
        Some(c) => {
            let shown = Shown::from(c.to_string().as_str()).into_text();
            Err(format!("invalid character {shown} in host name"))
        }
        None => Ok(()),
    }
}

/// `validUserinfo`
fn is_user(user: &str) -> bool {
    user.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._:~!$&'()*+,;=%@".contains(&byte))
}

/// `unescape`: each `%` begins two hexadecimal digits.
fn check_escapes(text: &str) -> Result<(), String> {
    for (at, _) in text.match_indices('%') {
        let escape: String = text[at..].chars().take(3).collect();
        if escape.len() != 3 || !escape.bytes().skip(1).all(|byte| byte.is_ascii_hexdigit()) {
            return Err(format!("invalid URL escape {}", Shown::from(escape.as_str()).into_text()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_parsed_as_go_does() {
        let of = |scheme: &str, host| Url { scheme: scheme.into(), host, ..Url::default() };
        let table: [(&str, Result<Url<'_>, &str>); 9] = [
            ("https://a.b:1/c", Ok(of("https", "a.b:1"))),
            ("HTTPS://u@h?q#f", Ok(Url { user: Some("u"), query: "q", fragment: "f", ..of("https", "h") })),
            ("", Ok(Url::default())),
            ("a/b", Ok(Url::default())),
            ("127.0.0.1", Ok(Url::default())),
            ("::1", Err(r#"parse "::1": missing protocol scheme"#)),
            ("1:2", Err(r#"parse "1:2": first path segment in URL cannot contain colon"#)),
            ("https://a b", Err(r#"parse "https://a b": invalid character " " in host name"#)),
            ("https://a:b/%zz", Err(r#"parse "https://a:b/%zz": invalid port ":b" after host"#)),
        ];
        for (text, expected) in table {
            assert_eq!(parse(text), expected.map_err(str::to_owned), "{text}");
        }
    }
}
