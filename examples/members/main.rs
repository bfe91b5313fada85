//! A test of a set whose members are processes: `cargo test --features run --example members`.

use std::process::ExitCode;
use std::time::Duration;

use clusterlocal::{Cluster, Run, node_process};

const SET: &str = include_str!("members.yaml"); // a StatefulSet of two pods with claims, and a pod that fails
const SOON: Duration = Duration::from_secs(20);

fn main() -> ExitCode {
    if let Some(code) = node_process() {
        return code; // the processes of pods are started from this program
    }
    let tests = [members_find_each_other, a_replaced_member_keeps_its_data, a_failure_is_seen];
    for test in tests {
        if let Err(error) = test() {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

type Tested = Result<(), Box<dyn std::error::Error>>;

fn members_find_each_other() -> Tested {
    let cluster = Cluster::builder().manifests(SET).run(Run::new()).start().wait()?;
    cluster.rollout("member").wait()?;
    let address = cluster.pod("member-0").address().ok_or("no address")?;
    cluster.pod("member-1").wait_for_line(&format!("found member-0 at {address}"), SOON).wait()?;
    Ok(())
}

fn a_replaced_member_keeps_its_data() -> Tested {
    let cluster = Cluster::builder().manifests(SET).run(Run::new()).start().wait()?;
    cluster.rollout("member").wait()?;
    let member = cluster.pod("member-1");
    let before = member.address();
    member.restart().wait()?;
    assert_ne!(member.address(), before);
    member.wait_for_line("started 2 times", SOON).wait()?;
    Ok(())
}

fn a_failure_is_seen() -> Tested {
    let cluster = Cluster::builder().manifests(SET).run(Run::new()).start().wait()?;
    assert_eq!(cluster.pod("failing").wait_for_exit(SOON).wait()?, 3);
    assert_eq!(cluster.pod("failing").logs(), ["cannot start"]);
    Ok(())
}
