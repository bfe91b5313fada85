//! `cargo run --profile dist -p side-by-side`: the program compared with well-known name servers, on the same records and
//! queries, in one run, and with the minimal work of a server. `run.rs` has its steps.
//!
//! Every figure is the median over rounds in which all contenders take turns, so that other load on the machine affects all
//! of them.

#[cfg(target_os = "linux")]
#[path = "run.rs"]
mod run;

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    run::main()
}

#[cfg(not(target_os = "linux"))]
fn main() -> std::process::ExitCode {
    eprintln!("side-by-side needs Linux: it reads /proc and sends datagrams many at a time (sendmmsg)");
    std::process::ExitCode::FAILURE
}
