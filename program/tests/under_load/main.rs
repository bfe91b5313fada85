//! Properties under a steady load of changes to files and pods: each change is served, and none partially. These tests run
//! apart from others: they measure time, and on two cores other tests would be measured as well.

#![cfg(unix)]

#[path = "../../../tests/common/mod.rs"]
mod common;
mod edits;
mod load;
mod renames;
#[path = "../common/server.rs"]
mod server;
