//! Locations in answers of pods, which lead through the proxy (`apimachinery/pkg/util/proxy/transport.go`, rewriteURL). Must not
//! depend on connections.

/// The location that a client of the proxy uses: one at the pod's `host`, or at the host that the client `asked` for, leads
/// through the proxy at the path `prefix`; others, and relative ones, stay.
pub(super) fn location(given: &str, prefix: &str, host: &str, asked: &str) -> String {
    let (authority, path) = match given.split_once("://") {
        Some((_, rest)) => rest.find(['/', '?', '#']).map_or((rest, ""), |at| rest.split_at(at)),
        None => match given.strip_prefix("//") {
            Some(rest) => rest.find(['/', '?', '#']).map_or((rest, ""), |at| rest.split_at(at)),
            None => ("", given),
        },
    };
    let is_other = !authority.is_empty() && authority != host && authority != asked;
    if is_other || !path.starts_with('/') {
        return given.to_owned();
    }
    let (path, rest) = path.find(['?', '#']).map_or((path, ""), |at| path.split_at(at));
    if path.starts_with(prefix) {
        return format!("{path}{rest}");
    }
    let mut joined = join(prefix, path);
    if path.ends_with('/') {
        joined.push('/');
    }
    joined + rest
}

/// Both paths as one, without empty components, `.` and `..` (Go's `path.Join`).
pub(super) fn join(prefix: &str, path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in prefix.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." => _ = parts.pop(),
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Those of transport_test.go that concern locations, and more.
    #[test]
    fn locations_lead_through_the_proxy() {
        let table = [
            ("/redirected/target/", "/proxy/pod/redirected/target/"),
            ("/", "/proxy/pod/"),
            ("/login?from=/x#top", "/proxy/pod/login?from=/x#top"),
            ("http://10.244.0.7:8080/a", "/proxy/pod/a"),
            ("http://localhost:8001/a/", "/proxy/pod/a/"),
            ("//10.244.0.7:8080/a", "/proxy/pod/a"),
            ("http://example.com/a", "http://example.com/a"),
            ("https://example.com", "https://example.com"),
            ("next", "next"),
            ("?page=2", "?page=2"),
            ("/proxy/pod/a", "/proxy/pod/a"),
            ("/a/../../b", "/proxy/b"),
        ];
        for (given, expected) in table {
            let rewritten = location(given, "/proxy/pod", "10.244.0.7:8080", "localhost:8001");
            assert_eq!(rewritten, expected, "{given}");
        }
    }
}
