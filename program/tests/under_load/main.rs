//! What holds while files and pods change at a pace: each change is seen, and none half. These tests run beside each other only:
//! they measure time, and on two cores other tests would be part of the measure.

#![cfg(unix)]

#[path = "../../../tests/common/mod.rs"]
mod common;
mod edits;
mod load;
mod renames;
#[path = "../common/server.rs"]
mod server;
