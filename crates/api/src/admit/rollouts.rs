//! How a Deployment or a DaemonSet may roll out: kube-apiserver's validation of their strategies and of the progress
//! deadline (pkg/apis/apps/validation).

use std::borrow::Cow;

use serde_json::{Value, json};

use super::Cause;
use super::words::{forbidden, invalid, required};
use crate::schema::field;
use clusterlocal_core::store::Kind;

const NOT_NEGATIVE: &str = "must be greater than or equal to 0";
const NO_PERCENTAGE: &str = "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', \
                             regex used for validation is '[0-9]+%')";

/// What is wrong with how `json`, an object of `kind`, rolls out.
pub(super) fn check(kind: Kind, json: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    match kind {
        Kind::Deployment => {
            deployment_strategy(&mut causes, json);
            progress_deadline(&mut causes, json);
        }
        Kind::DaemonSet => daemon_set_strategy(&mut causes, json),
        _ => {}
    }
    causes
}

/// The deadline leaves a pod the time to become available (`ValidateDeploymentSpec`).
fn progress_deadline(causes: &mut Vec<Cause>, json: &Value) {
    const FIELD: &str = "spec.progressDeadlineSeconds";
    let deadline = field::at(json, "/spec/progressDeadlineSeconds").filter(|value| !value.is_null());
    // `SetDefaults_Deployment`
    let deadline = deadline.cloned().unwrap_or_else(|| 600.into());
    let Some(seconds) = deadline.as_i64() else { return };
    if seconds < 0 {
        causes.push(invalid(FIELD, Some(&deadline), NOT_NEGATIVE));
    }
    if seconds <= field::number(json, "/spec/minReadySeconds") {
        causes.push(invalid(FIELD, Some(&deadline), "must be greater than minReadySeconds"));
    }
}

/// `ValidateDeploymentStrategy`, `ValidateRollingUpdateDeployment`
fn deployment_strategy(causes: &mut Vec<Cause>, json: &Value) {
    const ROLLING: &str = "spec.strategy.rollingUpdate";
    match field::text(json, "/spec/strategy/type") {
        "Recreate" if field::is_set(json, "/spec/strategy/rollingUpdate") => {
            causes.push(forbidden(ROLLING, "may not be specified when strategy `type` is 'Recreate'"));
        }
        "Recreate" => {}
        "" | "RollingUpdate" => {
            let rolling = Rolling::of(json, "/spec/strategy/rollingUpdate", json!("25%"), json!("25%"));
            rolling.check_amounts(causes, ROLLING);
            if amount(&rolling.unavailable) == 0 && amount(&rolling.surge) == 0 {
                let why = "may not be 0 when `maxSurge` is 0";
                causes.push(invalid(format!("{ROLLING}.maxUnavailable"), Some(&rolling.unavailable), why));
            }
            check_share(causes, format!("{ROLLING}.maxUnavailable"), &rolling.unavailable);
        }
        other => causes.push(unsupported(json, "strategy", other, r#""Recreate", "RollingUpdate""#)),
    }
}

/// `ValidateDaemonSetUpdateStrategy`, `ValidateRollingUpdateDaemonSet`
fn daemon_set_strategy(causes: &mut Vec<Cause>, json: &Value) {
    const ROLLING: &str = "spec.updateStrategy.rollingUpdate";
    match field::text(json, "/spec/updateStrategy/type") {
        "OnDelete" => {}
        "" | "RollingUpdate" => {
            let rolling = Rolling::of(json, "/spec/updateStrategy/rollingUpdate", json!(1), json!(0));
            rolling.check_amounts(causes, ROLLING);
            check_share(causes, format!("{ROLLING}.maxUnavailable"), &rolling.unavailable);
            check_share(causes, format!("{ROLLING}.maxSurge"), &rolling.surge);
            match (amount(&rolling.unavailable), amount(&rolling.surge)) {
                (0, 0) => {
                    let why = "cannot be 0 when maxSurge is 0";
                    causes.push(required(format!("{ROLLING}.maxUnavailable"), why));
                }
                (0, _) | (_, 0) => {}
                _ => {
                    let why = "may not be set when maxUnavailable is non-zero";
                    causes.push(invalid(format!("{ROLLING}.maxSurge"), Some(&rolling.surge), why));
                }
            }
        }
        other => causes.push(unsupported(json, "updateStrategy", other, r#""RollingUpdate", "OnDelete""#)),
    }
}

/// A strategy of a type that does not exist. Its value is shown as Go's struct.
fn unsupported(json: &Value, strategy: &str, kind: &str, known: &str) -> Cause {
    let rolling =
        field::at(json, &format!("/spec/{strategy}/rollingUpdate")).filter(|value| value.is_object());
    let number = |rolling: &Value, name: &str| rolling.get(name).cloned().unwrap_or_else(|| 0.into());
    let rolling = rolling.map_or_else(
        || "null".into(),
        |rolling| {
            let (unavailable, surge) = (number(rolling, "maxUnavailable"), number(rolling, "maxSurge"));
            format!("{{\"MaxUnavailable\":{unavailable},\"MaxSurge\":{surge}}}")
        },
    );
    let value = format!("{{\"Type\":{kind:?},\"RollingUpdate\":{rolling}}}");
    let message = format!("Unsupported value: {value}: supported values: {known}");
    Cause { field: format!("spec.{strategy}"), reason: "FieldValueNotSupported", message }
}

/// The block `rollingUpdate`: numbers of pods, or shares of them.
struct Rolling<'a> {
    unavailable: Cow<'a, Value>,
    surge: Cow<'a, Value>,
}

impl<'a> Rolling<'a> {
    /// The block of `json` at `pointer`; what it leaves out is `unavailable` and `surge`.
    fn of(json: &'a Value, pointer: &str, unavailable: Value, surge: Value) -> Self {
        let written = |name: &str, default: Value| {
            let value = field::at(json, &format!("{pointer}/{name}")).filter(|value| !value.is_null());
            value.map_or(Cow::Owned(default), Cow::Borrowed)
        };
        let unavailable = written("maxUnavailable", unavailable);
        Rolling { unavailable, surge: written("maxSurge", surge) }
    }

    /// `ValidatePositiveIntOrPercent`
    fn check_amounts(&self, causes: &mut Vec<Cause>, path: &str) {
        for (name, value) in [("maxUnavailable", &self.unavailable), ("maxSurge", &self.surge)] {
            let why = match &**value {
                Value::Number(number) if number.as_i64().is_some_and(|number| number < 0) => NOT_NEGATIVE,
                Value::String(_) if percentage(value).is_none() => NO_PERCENTAGE,
                _ => continue,
            };
            causes.push(invalid(format!("{path}.{name}"), Some(value), why));
        }
    }
}

/// `IsNotMoreThan100Percent`
fn check_share(causes: &mut Vec<Cause>, field: String, value: &Value) {
    if percentage(value).is_some_and(|percent| percent > 100) {
        causes.push(invalid(field, Some(value), "must not be greater than 100%"));
    }
}

/// The 25 of `25%`.
fn percentage(value: &Value) -> Option<i64> {
    let digits = value.as_str()?.strip_suffix('%')?;
    digits.parse().ok().filter(|_| digits.bytes().all(|byte| byte.is_ascii_digit()))
}

/// The number, or the number of the percentage (`getIntOrPercentValue`).
fn amount(value: &Value) -> i64 {
    let number = || value.as_str().and_then(|text| text.parse().ok());
    percentage(value).or_else(|| value.as_i64()).or_else(number).unwrap_or(0)
}
