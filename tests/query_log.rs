//! The query log: one line per query, over either transport, without control characters. A test binary of its own, because
//! the log subscriber is the process's.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use clusterlocal::serve::{Listeners, Options, QUERY_LOG_TARGET};
use clusterlocal_core::zone::{Published, Settings, Zone};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::sync::oneshot;
use tokio::time::timeout;
use tracing::field::Field;
use tracing::span;

/// Time-out of anything that is expected to happen.
const TIMEOUT: Duration = Duration::from_secs(20);

/// `db.ns.svc.cluster.local. A IN` with id 10.
const QUERY: &[u8] = b"\0\x0a\x01\0\0\x01\0\0\0\0\0\0\x02db\x02ns\x03svc\x07cluster\x05local\0\0\x01\0\x01";

/// The same with id 9, and with a line feed and a quote in its first label.
const HOSTILE: &[u8] =
    b"\0\x09\x01\0\0\x01\0\0\0\0\0\0\x02\n\"\x02ns\x03svc\x07cluster\x05local\0\0\x01\0\x01";

/// Collects the query log.
#[derive(Default)]
struct Log(Mutex<Vec<String>>);

impl tracing::Subscriber for Log {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target() == QUERY_LOG_TARGET
    }
    fn event(&self, event: &tracing::Event<'_>) {
        let mut line = format!("{} ", event.metadata().level());
        event.record(&mut |_: &Field, message: &dyn std::fmt::Debug| line.push_str(&format!("{message:?}")));
        self.0.lock().unwrap().push(line);
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
async fn each_query_is_one_line_even_with_control_characters_in_its_name() {
    let log = Arc::new(Log::default());
    tracing::subscriber::set_global_default(log.clone()).expect("the only subscriber");
    let listeners = Listeners::bind(&Options::default()).await.unwrap();
    let address = listeners.addresses()[0];
    let (stop, stopped) = oneshot::channel::<()>();
    let server = tokio::spawn(listeners.serve(Published::new(Zone::new(Settings::default())), async {
        let _ = stopped.await;
    }));

    let mut tcp = TcpStream::connect(address).await.unwrap();
    tcp.write_all(&[&[0, HOSTILE.len() as u8], HOSTILE].concat()).await.unwrap();
    timeout(TIMEOUT, tcp.read_u16()).await.expect("an answer").unwrap();
    let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    udp.connect(address).await.unwrap();
    udp.send(QUERY).await.unwrap();
    timeout(TIMEOUT, udp.recv(&mut [0; 4096])).await.expect("an answer").unwrap();
    let clients = [tcp.local_addr().unwrap(), udp.local_addr().unwrap()];
    stop.send(()).unwrap();
    timeout(TIMEOUT, server).await.expect("an end").unwrap().unwrap();

    let expected = [
        format!(r#"DEBUG {} - 9 "A IN \010\".ns.svc.cluster.local. tcp 41 false 512" "#, clients[0]),
        format!(r#"DEBUG {} - 10 "A IN db.ns.svc.cluster.local. udp 41 false 512" "#, clients[1]),
    ];
    let lines = log.0.lock().unwrap();
    assert_eq!(lines.len(), 2, "{lines:#?}");
    for (line, expected) in lines.iter().zip(expected) {
        assert!(line.starts_with(&expected), "{line}\n{expected}");
    }
}
