//! Label selectors: equality-based and set-based.

use serde_json::Value;

use clusterlocal_core::store::{LabelSelector as Selector, Labels, Name, Operator, Requirement};

/// `labelSelector=app=db,tier in (cache,store),!legacy`
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LabelSelector(Vec<Requirement>);

impl LabelSelector {
    /// Parses a selector; the empty one matches everything.
    ///
    /// # Errors
    ///
    /// Why it is invalid, for a 400 Bad Request.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut tokens = Tokens { rest: text.trim_start() };
        let mut all = Vec::new();
        while !tokens.rest.is_empty() {
            all.push(tokens.requirement().map_err(|error| format!("unable to parse requirement: {error}"))?);
            match tokens.next() {
                "" => {}
                "," if !tokens.rest.is_empty() => {}
                "," => return Err("found '', expected: identifier after ','".into()),
                other => return Err(format!("found '{other}', expected: ',' or 'end of string'")),
            }
        }
        Ok(LabelSelector(all))
    }

    /// Whether an object with these labels matches.
    pub fn admits(&self, labels: &Labels) -> bool {
        self.0.iter().all(|requirement| requirement.admits(labels.get(&requirement.key)))
    }
}

/// The selector of a workload, `{matchLabels: …, matchExpressions: …}`, as printed by kubectl.
pub(crate) fn shown(selector: Option<&Value>) -> String {
    let selector = selector.map(<Selector as serde::Deserialize>::deserialize);
    match selector.transpose() {
        Ok(selector) => Some(selector.unwrap_or_default().to_string())
            .filter(|text| !text.is_empty())
            .unwrap_or("<none>".into()),
        Err(_) => "<error>".into(),
    }
}

/// The tokens of a label selector: names, and the symbols between them.
struct Tokens<'a> {
    /// The rest of the text, without leading spaces.
    rest: &'a str,
}

impl<'a> Tokens<'a> {
    /// The next token; empty at the end.
    fn next(&mut self) -> &'a str {
        let symbol =
            ["==", "!=", "=", "!", "(", ")", ",", ">", "<"].into_iter().find(|s| self.rest.starts_with(s));
        let end = |c: char| c.is_whitespace() || "=!(),<>".contains(c);
        let length = symbol.map_or_else(|| self.rest.find(end).unwrap_or(self.rest.len()), str::len);
        let (token, rest) = self.rest.split_at(length);
        self.rest = rest.trim_start();
        token
    }

    fn peek(&self) -> &'a str {
        Tokens { rest: self.rest }.next()
    }

    fn requirement(&mut self) -> Result<Requirement, String> {
        let absent = self.peek() == "!";
        if absent {
            self.next();
        }
        let key = self.next();
        if !is_qualified_name(key) {
            return Err(match key {
                "" => "found '', expected: !, identifier, or 'end of string'".into(),
                key => format!(
                    "invalid label key {key:?}: it has to be a name of letters, digits, '-', '_' and '.'"
                ),
            });
        }
        let requirement = |operator, values| Ok(Requirement { key: key.into(), operator, values });
        match (absent, self.peek()) {
            (true, _) => requirement(Operator::DoesNotExist, Vec::new()),
            (false, "" | ",") => requirement(Operator::Exists, Vec::new()),
            (false, operator @ ("=" | "==" | "!=")) => {
                self.next();
                let value = match self.peek() {
                    "" | "," => Name::default(),
                    _ => value(key, self.next())?,
                };
                requirement(if operator == "!=" { Operator::NotIn } else { Operator::In }, vec![value])
            }
            (false, operator @ ("in" | "notin")) => {
                self.next();
                requirement(if operator == "in" { Operator::In } else { Operator::NotIn }, self.values(key)?)
            }
            (false, other) => Err(format!("found '{other}', expected: in, notin, =, ==, !=")),
        }
    }

    /// `(a,b,)`; nothing between two commas is the empty value.
    fn values(&mut self, key: &str) -> Result<Vec<Name>, String> {
        match self.next() {
            "(" => {}
            other => return Err(format!("found '{other}' expected: '('")),
        }
        let mut values = Vec::new();
        loop {
            match self.peek() {
                "," | ")" => values.push(Name::default()),
                _ => values.push(value(key, self.next())?),
            }
            match self.next() {
                "," => {}
                ")" => return Ok(values),
                other => return Err(format!("found '{other}', expected: ',' or ')'")),
            }
        }
    }
}

/// Checks that `text` is valid as a label's value.
fn value(key: &str, text: &str) -> Result<Name, String> {
    if is_label_value(text) {
        Ok(text.into())
    } else {
        Err(format!(
            "values[0][{key}]: Invalid value: {text:?}: a valid label must be an empty string or consist of alphanumeric \
             characters, '-', '_' or '.', and must start and end with an alphanumeric character"
        ))
    }
}

pub(crate) fn is_label_value(text: &str) -> bool {
    let bytes = text.as_bytes();
    let ends = |byte: Option<&u8>| byte.is_none_or(u8::is_ascii_alphanumeric);
    text.len() <= 63
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(byte))
        && ends(bytes.first())
        && ends(bytes.last())
}

/// `app`, or `apps.kubernetes.io/pod-index`.
pub(crate) fn is_qualified_name(text: &str) -> bool {
    let (prefix, name) = text.rsplit_once('/').unwrap_or(("a", text));
    clusterlocal_core::store::is_subdomain(prefix) && !name.is_empty() && is_label_value(name)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn label_selectors_match_like_apimachinerys() {
        let labels = json!({ "a": "b", "c": "d", "x.io/e": "f", "empty": "" });
        let labels: Labels = serde_json::from_value(labels).expect("labels");
        let table = [
            ("", true),
            ("a=b", true),
            ("a==b,c=d", true),
            ("a = b , c != e", true),
            ("a=c", false),
            ("z=b", false),
            ("z!=b", true),
            ("a!=b", false),
            ("x.io/e in (f, g)", true),
            ("x.io/e in (g)", false),
            ("x.io/e notin (g),a", true),
            ("z notin (i)", true),
            ("!z", true),
            ("!a", false),
            ("empty=", true),
            ("empty in ()", true),
            ("a=,c=d", false),
            ("in in (in)", false),
        ];
        for (text, expected) in table {
            let selector = LabelSelector::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(selector.admits(&labels), expected, "{text}");
        }
        assert!(!LabelSelector::parse("a").expect("a selector").admits(&Labels::default()));
    }

    #[test]
    fn invalid_label_selectors_are_refused() {
        for text in [
            "a=b=c",
            "a b",
            "a in b",
            "a in (b",
            "=b",
            ",",
            "a,",
            "a=-b",
            "/a",
            "a>1",
            "a=b)",
            "!",
            "a in (b c)",
        ] {
            let refused = LabelSelector::parse(text);
            assert!(refused.is_err(), "{text}: {refused:?}");
        }
    }

    #[test]
    fn selectors_of_workloads_are_printed_like_kubectls() {
        let selector = json!({ "matchLabels": { "a": "b" }, "matchExpressions": [{ "key": "c", "operator": "Exists" }] });
        assert_eq!(shown(Some(&selector)), "a=b,c");
        assert_eq!(shown(Some(&json!({}))), "<none>");
        assert_eq!(shown(None), "<none>");
        assert_eq!(shown(Some(&json!({ "matchLabels": [] }))), "<error>");
    }
}
