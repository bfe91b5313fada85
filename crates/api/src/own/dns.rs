//! `/dns/records`, `/dns/query` and `/dns/explain`: the records of the DNS, its answers and their reasons, for the verbs of
//! the program. They are paths besides the resources, as `/version` is. Must not depend on how clients show them.

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::http::path::Dns;
use crate::http::reply::Reply;
use crate::http::status::Status;
use clusterlocal_core::answer::{ask, forward_records, reverse_records};
use clusterlocal_core::explain::{Explainer, Question};
use clusterlocal_core::store::{Fault, Kind, is_label};
use clusterlocal_core::wire::{Presentation, RecordView};
use clusterlocal_core::zone::Zone;
use clusterlocal_core::{ControlPlane, Driver, RecordType};

/// Answers a request; `query` is the part after the `?`. The DNS forwards queries outside the cluster to the servers in
/// `upstream`.
///
/// # Errors
///
/// If the name, the type or the namespace is invalid.
pub(crate) fn answer(
    driver: &Driver,
    upstream: &[SocketAddr],
    dns: Dns,
    query: &str,
) -> Result<Reply, Status> {
    if dns == Dns::Records {
        // Without the lock: it takes some time with 100,000 pods.
        let zone = driver.read(|cluster| cluster.published().load().clone());
        return Ok(Reply::ok(&records(&zone)));
    }
    let (question, namespace) = asked(query)?;
    Ok(Reply::ok(&driver.read(|cluster| one(cluster, upstream, dns, &question, &namespace))))
}

fn asked(query: &str) -> Result<(Question, String), Status> {
    let parameter = |name: &str| {
        let mut pairs = form_urlencoded::parse(query.as_bytes());
        pairs.find(|(key, value)| key == name && !value.is_empty()).map(|(_, value)| value.into_owned())
    };
    let bad = |key: &str, value: &str, why: &dyn std::fmt::Display| {
        Status::bad_request(format!("{key}: Invalid value: {value:?}: {why}"))
    };
    let name = parameter("name").ok_or_else(|| {
        Status::bad_request("name: Required value: the name to ask for, as in ?name=db-0.db&type=A")
    })?;
    let record_type = parameter("type")
        .map(|text| text.parse::<RecordType>().map_err(|error| bad("type", &text, &error)))
        .transpose()?;
    let namespace = parameter("namespace").unwrap_or_else(|| "default".into());
    if !is_label(&namespace) {
        return Err(bad("namespace", &namespace, &"expected the name of a namespace, such as default"));
    }
    let question = Question::parse(&name, record_type).map_err(|error| bad("name", &name, &error))?;
    Ok((question, namespace))
}

fn one(
    cluster: &ControlPlane,
    upstream: &[SocketAddr],
    dns: Dns,
    question: &Question,
    namespace: &str,
) -> Value {
    let zone = cluster.published().load().clone();
    let explainer = Explainer::new(&[], cluster.store(), &zone).with_upstream(upstream);
    let faults: Vec<&str> =
        cluster.store().list::<Fault>(Kind::Fault).map(|fault| fault.metadata.name.as_str()).collect();
    match dns {
        Dns::Explain => {
            let explanation = explainer.search(question, namespace);
            json!({ "text": explanation.to_string(), "hasAnswer": explanation.has_answer(), "faults": faults })
        }
        Dns::Query | Dns::Records => {
            let lookup = explainer.look_up(question, namespace);
            let tried = lookup.tried.iter().map(|(name, outcome)| json!([name.to_string(), outcome]));
            let reply = ask(&zone, &lookup.name, question.record_type);
            let hex: String = reply.iter().map(|byte| format!("{byte:02x}")).collect();
            json!({
                "name": lookup.name.to_string(),
                "upstream": explainer.forwards(&lookup.name),
                "type": question.record_type.to_string(),
                "tried": tried.collect::<Vec<_>>(),
                "reply": hex,
                "faults": faults,
            })
        }
    }
}

fn records(zone: &Zone) -> Value {
    let mut rows = Vec::new();
    let mut row = |record: RecordView<'_>| {
        rows.push(json!({
            "name": Presentation(record.owner).to_string(),
            "ttl": record.ttl,
            "type": record.record_type.to_string(),
            "data": record.data().to_string(),
        }));
    };
    forward_records(zone, &mut row);
    reverse_records(zone, &mut row);
    let settings = zone.settings();
    json!({ "domain": settings.domain.to_string(), "ttl": settings.ttl, "records": rows })
}
