//! ReplicaSets that follow from a Deployment's templates and sizes.

use super::sets::{HASH_LABEL, is_of_template};
use crate::store::{Container, Given, ObjectMeta, Part, PodSpec, PodTemplate};

/// A template as a client that read it sends it back.
fn sent_back(template: &PodTemplate, image: &str) -> PodTemplate {
    let mut json = template.json();
    json["spec"]["containers"][0]["image"] = image.into();
    json["metadata"]["labels"].as_object_mut().expect("labels").remove(HASH_LABEL);
    let mut read: PodTemplate = serde::Deserialize::deserialize(&json).expect("a template");
    read.given = Some(Part::new(&Given::from(json), ""));
    read
}

#[test]
fn a_template_sent_back_unchanged_equals_the_stored_one() {
    let container = Container { name: arcstr::literal!("c"), ..Container::default() };
    let labels = [("app", "web"), (HASH_LABEL, "x")].into_iter().collect();
    let of_set = PodTemplate {
        metadata: ObjectMeta { labels, ..ObjectMeta::default() },
        spec: PodSpec::of_containers([container]),
        given: None,
    };
    let image = of_set.json()["spec"]["containers"][0]["image"].as_str().expect("an image").to_owned();
    assert!(is_of_template(&of_set, &sent_back(&of_set, &image)));
    assert!(!is_of_template(&of_set, &sent_back(&of_set, "other")));
}
