//! `cargo run --profile dist -p side-by-side`: the program beside the name servers that people know, on the same records and
//! questions, in one run, and beside the least that any server must do. The story of a run is in `story.rs`.
//!
//! Every figure is the median over the rounds, in which all take turns, so that what else the machine does hits all alike.

#[cfg(target_os = "linux")]
#[path = "story.rs"]
mod story;

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    story::main()
}

#[cfg(not(target_os = "linux"))]
fn main() -> std::process::ExitCode {
    eprintln!("side-by-side needs Linux: it reads /proc and sends datagrams many at a time (sendmmsg)");
    std::process::ExitCode::FAILURE
}
