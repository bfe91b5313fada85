use super::*;
use crate::manifest::read_bytes;

fn scenario(rest: &str) -> Result<Scenario, Vec<String>> {
    let text = format!("apiVersion: clusterlocal.dev/v1\nkind: Scenario\n{rest}\n");
    let manifest = read_bytes("s.yaml", text.into_bytes());
    let decoded = if manifest.problems.is_empty() { scenarios(&manifest) } else { Err(manifest.problems) };
    let shown = |problems: Vec<Problem>| problems.iter().map(ToString::to_string).collect();
    decoded.map(|mut scenarios| scenarios.remove(0)).map_err(shown)
}

#[test]
fn steps_run_at_their_times_or_at_that_of_the_previous_step() {
    let scenario = scenario("steps:\n- ask: db A\n- {at: 2s, restart: [db-0, db-1]}\n- {scale: {db: 5}}\n- {at: 1m, node: {down: node-1}}").unwrap();
    let times: Vec<_> = scenario.steps.iter().map(|step| step.at.as_secs()).collect();
    assert_eq!(times, [0, 2, 2, 60]);
    assert_eq!(scenario.steps[1].event, Event::Pods(PodEvent::Restart, vec!["db-0".into(), "db-1".into()]));
    assert!(scenario.manual);
}

#[test]
fn problems_of_a_scenario_have_their_position() {
    let table = [
        ("stepz: []", "s.yaml:3:1: unknown field `stepz`"),
        ("clock: fast", "\"fast\" is not manual, real or a speed like 10x"),
        ("steps: [{at: 5}]", "\"5\" is not a duration such as 500ms, 5s or 1m30s"),
        ("steps: [{says: db-0}]", "s.yaml:3:9: steps[0]: says: is only allowed with ask or remember"),
        (
            "steps:\n- {at: 5s, ask: db A}\n- {at: 2s, ask: db A}",
            "s.yaml:5:8: steps[1].at: is earlier than the previous step, at 5s",
        ),
        ("steps: [{ask: db A, restart: db-0}]", "more than one action"),
        ("steps: [{}]", "no action: expected one of ask, remember"),
        ("steps: [{ask: db AB}]", "\"AB\" is not a record type"),
        ("steps: [{bind: {db-0: \"127.0.0.1:1\"}}]", "bind and port require each other"),
        ("steps: [{remove: db}]", "\"db\" is not KIND NAME, such as Service db"),
        ("steps: [{fault: {x: {actions: [explode]}}}]", "explode"),
        (
            "expect: [{queries: {rcode: NX}}]",
            "s.yaml:3:28: expect[0].queries.rcode: \"NX\" is not a response code",
        ),
    ];
    for (text, expected) in table {
        let problems = scenario(text).expect_err(text).join("\n");
        assert!(problems.contains(expected), "{text}:\n{problems}");
    }
}

#[test]
fn text_in_brackets_belongs_to_the_preceding_word() {
    let words = Says::words("db-0 db-1 (gone) SERVFAIL");
    assert_eq!(words, Says::Words(vec!["db-0".into(), "db-1 (gone)".into(), "SERVFAIL".into()]));
}
