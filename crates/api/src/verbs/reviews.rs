//! Takes the place of kube-apiserver's authentication and authorization in reviews. There is no authentication: every client may do
//! everything, as the administrator. Must not depend on how requests are served.

use clusterlocal_admission::administrator;
use data_encoding::BASE64URL_NOPAD;
use hyper::{Method, StatusCode};
use serde_json::{Value, json};

use super::call::Call;
use super::show;
use crate::http::accept::Form;
use crate::http::body;
use crate::http::reply::Reply;
use crate::http::status::Status;
use clusterlocal_core::store::{Key, Kind, Stored, Time};
use clusterlocal_core::{ControlPlane, Driver};

/// `POST` of a review: the object that was sent, with the result as its status. `GET` of ComponentStatuses, of
/// which there are none.
pub(crate) fn answer(driver: &Driver, call: &Call) -> Result<Reply, Status> {
    let resource = call.place.resource;
    // Reviews have no metadata to make a table of.
    if call.form != Form::Json {
        return Err(Status::not_acceptable(&["application/json", "application/yaml"]));
    }
    match (&call.method, resource.kind) {
        (&Method::GET, "ComponentStatus") if call.place.name.is_empty() => Ok(Reply::ok(&json!({
            "kind": "ComponentStatusList",
            "apiVersion": "v1",
            "metadata": {},
            "items": [],
        }))),
        (&Method::GET, "ComponentStatus") => Err(Status::not_found(resource, &call.place.name)),
        (&Method::POST, kind) if kind.ends_with("Review") && call.place.name.is_empty() => {
            let mut review = body::object(&call.headers, &call.body)?;
            super::identity::check_type(resource, &review)?;
            review["kind"] = kind.into();
            review["apiVersion"] = resource.api_version().into();
            if !review["metadata"].is_object() {
                review["metadata"] = json!({});
            }
            review["metadata"]["creationTimestamp"] = Value::Null;
            review["status"] = driver.read(|cluster| status(cluster, kind, &review));
            Ok(Reply::json(StatusCode::CREATED, &review))
        }
        _ => Err(Status::method_not_supported()),
    }
}

fn status(cluster: &ControlPlane, kind: &str, review: &Value) -> Value {
    match kind {
        "SelfSubjectReview" => json!({ "userInfo": administrator() }),
        "SelfSubjectRulesReview" => json!({
            "resourceRules": [{ "verbs": ["*"], "apiGroups": ["*"], "resources": ["*"] }],
            "nonResourceRules": [{ "verbs": ["*"], "nonResourceURLs": ["*"] }],
            "incomplete": false,
        }),
        "TokenReview" => authenticate(cluster, &review["spec"]),
        _ => json!({ "allowed": true }),
    }
}

/// How long a token is valid unless the request has another time, in seconds.
const TOKEN_SECONDS: i64 = 3600;

/// `POST` of a TokenRequest: a token of a ServiceAccount. It is not signed: there is no authentication.
pub(crate) fn token(driver: &Driver, call: &Call) -> Result<Reply, Status> {
    let mut request = body::object(&call.headers, &call.body)?;
    driver.read(|cluster| {
        let (namespace, name) = (&call.place.namespace, &call.place.name);
        let seconds = request["spec"]["expirationSeconds"].as_i64().unwrap_or(TOKEN_SECONDS);
        let issued = cluster.now().unix_millis() / 1000;
        if request["spec"]["audiences"].as_array().is_none_or(Vec::is_empty) {
            request["spec"]["audiences"] = json!([AUDIENCE]);
        }
        let account = show::stored(cluster.store(), Kind::ServiceAccount, &call.place)?;
        let token = encoded(account, cluster, &request["spec"]["audiences"], seconds);
        request["kind"] = "TokenRequest".into();
        request["apiVersion"] = "authentication.k8s.io/v1".into();
        request["metadata"] = json!({
            "name": name,
            "namespace": namespace,
            "creationTimestamp": cluster.now().to_string(),
        });
        request["spec"]["expirationSeconds"] = seconds.into();
        let expires = Time::from_unix_millis(issued.saturating_add(seconds).saturating_mul(1000));
        request["status"] = json!({ "token": token, "expirationTimestamp": expires.to_string() });
        Ok(Reply::json(StatusCode::CREATED, &request))
    })
}

/// A token of a service account for `audience`, or for the API server where that is empty, which is valid for `seconds`; nothing if
/// there is no such account.
pub fn token_of(
    cluster: &ControlPlane,
    namespace: &str,
    name: &str,
    audience: &str,
    seconds: u64,
) -> Option<String> {
    let account = cluster.store().stored(&Key::new(Kind::ServiceAccount, namespace, name))?;
    let audience = if audience.is_empty() { AUDIENCE } else { audience };
    let seconds = i64::try_from(seconds).unwrap_or(TOKEN_SECONDS);
    Some(encoded(account, cluster, &json!([audience]), seconds))
}

fn encoded(account: &Stored, cluster: &ControlPlane, audiences: &Value, seconds: i64) -> String {
    let issued = cluster.now().unix_millis() / 1000;
    let Key { namespace, name, .. } = &account.object.key();
    let claims = json!({
        "aud": audiences,
        "exp": issued.saturating_add(seconds),
        "iat": issued,
        "iss": AUDIENCE,
        "kubernetes.io": { "namespace": &**namespace, "serviceaccount": { "name": &**name, "uid": account.uid().to_string() } },
        "nbf": issued,
        "sub": format!("system:serviceaccount:{namespace}:{name}"),
    });
    let part = |json: &Value| BASE64URL_NOPAD.encode(json.to_string().as_bytes());
    format!("{}.{}.", part(&json!({ "alg": "none" })), part(&claims))
}

/// The default audience of tokens.
const AUDIENCE: &str = "https://kubernetes.default.svc.cluster.local";

/// Reviews the token of a client.
fn authenticate(cluster: &ControlPlane, spec: &Value) -> Value {
    let token = spec["token"].as_str().unwrap_or_default();
    let claims = token
        .split('.')
        .nth(1)
        .and_then(|part| BASE64URL_NOPAD.decode(part.as_bytes()).ok())
        .and_then(|json| serde_json::from_slice::<Value>(&json).ok());
    let found = claims.as_ref().and_then(|claims| {
        let of = &claims["kubernetes.io"];
        let (namespace, account) = (of["namespace"].as_str()?, &of["serviceaccount"]);
        let key = Key::new(Kind::ServiceAccount, namespace, account["name"].as_str()?);
        let uid = cluster.store().stored(&key)?.uid().to_string();
        let holds = claims["exp"].as_i64()? > cluster.now().unix_millis() / 1000;
        (holds && account["uid"] == uid.as_str()).then(|| (namespace.to_owned(), uid, claims))
    });
    let Some((namespace, uid, claims)) = found else {
        return json!({ "user": {}, "error": "invalid bearer token" });
    };
    let asked = spec["audiences"].as_array().filter(|asked| !asked.is_empty());
    json!({
        "authenticated": true,
        "user": {
            "username": claims["sub"],
            "uid": uid,
            "groups": [
                "system:serviceaccounts",
                format!("system:serviceaccounts:{namespace}"),
                "system:authenticated",
            ],
        },
        "audiences": asked.map_or_else(|| claims["aud"].clone(), |asked| asked.clone().into()),
    })
}
