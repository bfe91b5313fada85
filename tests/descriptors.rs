//! A server without free file descriptors does not fill the log, answers over UDP, and recovers by itself. A test binary of
//! its own, because the limit is the process's.
#![cfg(unix)]

use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use clusterlocal::serve::{Listeners, Options};
use clusterlocal_core::zone::{Published, Settings, Zone};
use nix::sys::resource::{Resource, UsageWho, getrusage, setrlimit};
use nix::sys::time::TimeValLike;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, UdpSocket};
use tokio::time::timeout;
use tracing::span;

/// Time-out of anything that is expected to happen.
const TIMEOUT: Duration = Duration::from_secs(20);

/// A header without a question, which gets a reply.
const QUERY: [u8; 12] = [0xab, 0xcd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// Counts warnings.
#[derive(Default)]
struct Warnings(AtomicUsize);

impl tracing::Subscriber for Warnings {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        *metadata.level() == tracing::Level::WARN
    }
    fn event(&self, _: &tracing::Event<'_>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }
    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

#[tokio::test]
async fn the_server_recovers_from_a_lack_of_file_descriptors() {
    setrlimit(Resource::RLIMIT_NOFILE, 64, 64).expect("a lower limit");
    let warnings = Arc::new(Warnings::default());
    let _guard = tracing::subscriber::set_default(warnings.clone());
    let listeners = Listeners::bind(&Options::default()).await.unwrap();
    let address = listeners.addresses()[0];
    tokio::spawn(listeners.serve(Published::new(Zone::new(Settings::default())), std::future::pending()));
    let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    udp.connect(address).await.unwrap();
    let tcp = TcpSocket::new_v4().unwrap();

    let taken: Vec<File> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
    assert!(!taken.is_empty());
    let mut connection = tcp.connect(address).await.expect("the kernel accepts");
    connection.write_all(&[&[0, 12], QUERY.as_slice()].concat()).await.unwrap();
    let before = cpu_milliseconds();
    let unanswered = timeout(Duration::from_millis(500), connection.read_u8()).await;
    assert!(unanswered.is_err(), "there was a descriptor left: {unanswered:?}");
    let spent = cpu_milliseconds() - before;
    assert!(spent < 100, "{spent} ms of CPU in 500 ms without work");
    udp.send(&QUERY).await.unwrap();
    let mut reply = [0; 512];
    timeout(TIMEOUT, udp.recv(&mut reply)).await.expect("UDP needs no descriptors").unwrap();
    assert_eq!(reply[..2], QUERY[..2]);

    drop(taken);
    let length = timeout(TIMEOUT, connection.read_u16()).await.expect("it recovers").unwrap();
    assert!(length >= 12);
    assert_eq!(warnings.0.load(Ordering::Relaxed), 1, "one line in the log");
}

fn cpu_milliseconds() -> i64 {
    let usage = getrusage(UsageWho::RUSAGE_SELF).expect("this process's usage");
    usage.user_time().num_milliseconds() + usage.system_time().num_milliseconds()
}
