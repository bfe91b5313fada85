//! The error of a text without the expected notation.

/// A text that does not have the expected notation.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not {wanted}{}", help.as_ref().map(|help| format!("; {help}")).unwrap_or_default())]
pub struct NotationError {
    text: String,
    wanted: String,
    help: Option<String>,
}

impl NotationError {
    /// The error that `text` is not `wanted`; suggests `near`.
    pub(super) fn new(text: &str, wanted: impl Into<String>, near: Option<&str>) -> Self {
        let shown = text.chars().take(60).collect();
        let help = near.map(|near| format!("did you mean `{near}`?"));
        NotationError { text: shown, wanted: wanted.into(), help }
    }
}
