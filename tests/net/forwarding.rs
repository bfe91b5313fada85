//! Queries outside the cluster domain, which are forwarded to an upstream: over either transport and through a hickory
//! server.

use std::net::SocketAddr;
use std::time::Duration;

use clusterlocal::serve::{ClusterHandler, Listeners, Options};
use clusterlocal_core::answer::Order;
use clusterlocal_core::zone::Published;
use clusterlocal_core::{ControlPlane, Settings, manifest};
use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

/// Time-out of anything that is expected to happen.
const TIMEOUT: Duration = Duration::from_secs(20);

const MANIFEST: &str = "
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {clusterIP: 127.96.0.80, ports: [{port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: search}
spec: {type: ExternalName, externalName: search.example.com}
---
apiVersion: v1
kind: Service
metadata: {name: lost}
spec: {type: ExternalName, externalName: lost.example.com}
";

fn zone() -> Published {
    let mut cluster = ControlPlane::new(Settings::default());
    let manifest = manifest::read_bytes("test.yaml", MANIFEST.into());
    assert!(manifest.problems.is_empty(), "{:?}", manifest.problems);
    let objects = manifest.objects.into_iter().map(|read| (read.object.key(), read.object)).collect();
    cluster.apply(&objects);
    cluster.published()
}

/// Answers `search.example.com. A 192.0.2.7` and refuses other names.
async fn upstream() -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut query = [0; 4096];
        loop {
            let (length, client) = socket.recv_from(&mut query).await.unwrap();
            let query = Message::from_vec(&query[..length]).unwrap();
            let mut reply = query.clone();
            reply.metadata.message_type = MessageType::Response;
            reply.metadata.recursion_available = true;
            let name: Name = "search.example.com.".parse().unwrap();
            if query.queries[0].name() == &name {
                let address = RData::A("192.0.2.7".parse().unwrap());
                reply.answers.push(Record::from_rdata(name, 77, address));
            } else {
                reply.metadata.response_code = ResponseCode::Refused;
            }
            socket.send_to(&reply.to_vec().unwrap(), client).await.unwrap();
        }
    });
    address
}

fn query(id: u16, name: &str) -> Vec<u8> {
    let mut query = Message::new(id, MessageType::Query, OpCode::Query);
    query.metadata.recursion_desired = true;
    query.add_query(Query::query(Name::from_ascii(name).unwrap(), RecordType::A));
    query.to_vec().unwrap()
}

async fn over_udp(server: SocketAddr, query: &[u8]) -> Vec<u8> {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.connect(server).await.unwrap();
    socket.send(query).await.unwrap();
    let mut reply = vec![0; 4096];
    let length = timeout(TIMEOUT, socket.recv(&mut reply)).await.expect("a reply").unwrap();
    reply.truncate(length);
    reply
}

async fn over_tcp(server: SocketAddr, query: &[u8]) -> Vec<u8> {
    let exchange = async {
        let mut stream = TcpStream::connect(server).await?;
        stream.write_all(&[&(query.len() as u16).to_be_bytes(), query].concat()).await?;
        let mut reply = vec![0; usize::from(stream.read_u16().await?)];
        stream.read_exact(&mut reply).await?;
        std::io::Result::Ok(reply)
    };
    timeout(TIMEOUT, exchange).await.expect("a reply").unwrap()
}

/// Response code, AA, RA and the answer section as text.
fn gist(reply: &[u8]) -> (String, bool, bool, Vec<String>) {
    let Message { metadata, answers, .. } = Message::from_vec(reply).expect("a message");
    let answers = answers.iter().map(Record::to_string).collect();
    (metadata.response_code.to_string(), metadata.authoritative, metadata.recursion_available, answers)
}

#[tokio::test]
async fn queries_outside_the_cluster_domain_are_forwarded() {
    let mut options = Options::default();
    options.order = Order::Stable;
    options.upstream = vec![upstream().await];
    let listeners = Listeners::bind(&options).await.unwrap();
    let ours = listeners.addresses()[0];
    tokio::spawn(listeners.serve(zone(), std::future::pending()));

    let mut hickory = hickory_server::Server::new(ClusterHandler::new(zone(), &options));
    let (socket, listener) = super::sockets::both_of_one_port().await;
    let theirs = socket.local_addr().unwrap();
    hickory.register_socket(socket);
    hickory.register_listener(listener, TIMEOUT, 16);

    let (no_error, refused) = (ResponseCode::NoError.to_string(), ResponseCode::Refused.to_string());
    let web = "web.default.svc.cluster.local. 30 IN A 127.96.0.80";
    let alias = "search.default.svc.cluster.local. 30 IN CNAME search.example.com.";
    let lost = "lost.default.svc.cluster.local. 30 IN CNAME lost.example.com.";
    let search = "search.example.com. 77 IN A 192.0.2.7";
    let table: [(&str, &String, bool, bool, &[&str]); 5] = [
        ("web.default.svc.cluster.local.", &no_error, true, false, &[web]),
        ("search.example.com.", &no_error, false, true, &[search]),
        ("else.example.com.", &refused, false, true, &[]),
        ("search.default.svc.cluster.local.", &no_error, true, false, &[alias, search]),
        ("lost.default.svc.cluster.local.", &no_error, true, false, &[lost]),
    ];
    for (id, (name, rcode, authoritative, recursion, answers)) in (1..).zip(table) {
        let query = query(id, name);
        let reply = over_udp(ours, &query).await;
        let answers = answers.iter().map(ToString::to_string).collect();
        assert_eq!(gist(&reply), (rcode.clone(), authoritative, recursion, answers), "{name}");
        for other in
            [over_tcp(ours, &query).await, over_udp(theirs, &query).await, over_tcp(theirs, &query).await]
        {
            assert_eq!(Message::from_vec(&other).unwrap(), Message::from_vec(&reply).unwrap(), "{name}");
        }
    }
}
