//! What runs in the pods of tests: this program with an argument. Ports below 1024 need no root there.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// The port of all servers.
pub const PORT: u16 = 7;

/// Longest time in which a client waits for one reply.
const REPLY: Duration = Duration::from_secs(20);

/// Runs one of these:
///
/// - `echo`: sends back what comes over one connection.
/// - `count ADDRESS`: sends numbers to it, each once the one before has come back.
/// - `greet NAME`: sends its name over each connection, and over UDP to each datagram.
/// - `clients ADDRESS COUNT`: as many connections to `greet`, 50 at a time; prints how many got no name.
/// - `datagram ADDRESS`: prints the reply to a datagram, or why there is none.
/// - `sink`: prints how many megabytes a second come over each connection.
/// - `fill ADDRESS`: sends to `sink` for two seconds.
pub fn run(arguments: &[String]) -> io::Result<()> {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["echo"] => {
            let (stream, _) = listen()?.accept()?;
            io::copy(&mut &stream, &mut &stream).map(drop)
        }
        ["count", address] => count(address),
        ["greet", name] => greet(name),
        ["clients", address, count] => clients(address, count.parse().expect("a number")),
        ["datagram", address] => {
            let socket = UdpSocket::bind("0.0.0.0:0")?;
            socket.connect((address, PORT))?;
            socket.set_read_timeout(Some(REPLY))?;
            socket.send(b"?")?;
            let mut reply = [0; 64];
            match socket.recv(&mut reply) {
                Ok(length) => println!("{}", String::from_utf8_lossy(&reply[..length])),
                Err(error) => println!("{:?}", error.kind()),
            }
            Ok(())
        }
        ["sink"] => sink(),
        ["fill", address] => {
            let mut stream = TcpStream::connect((address, PORT))?;
            let (bytes, begun) = (vec![0; 128 << 10], Instant::now());
            while begun.elapsed() < Duration::from_secs(2) {
                stream.write_all(&bytes)?;
            }
            Ok(())
        }
        _ => Err(io::Error::other("no such program")),
    }
}

fn listen() -> io::Result<TcpListener> {
    let listener = TcpListener::bind(("0.0.0.0", PORT))?;
    println!("up");
    Ok(listener)
}

fn count(address: &str) -> io::Result<()> {
    let mut stream = TcpStream::connect((address, PORT))?;
    let mut reader = BufReader::new(stream.try_clone()?);
    for number in 0.. {
        writeln!(stream, "{number}")?;
        let mut line = String::new();
        reader.read_line(&mut line)?;
        print!("{line}");
    }
    Ok(())
}

fn greet(name: &str) -> io::Result<()> {
    let socket = UdpSocket::bind(("0.0.0.0", PORT))?;
    let listener = listen()?;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut datagram = [0; 64];
            while let Ok((_, from)) = socket.recv_from(&mut datagram) {
                _ = socket.send_to(name.as_bytes(), from);
            }
        });
        for stream in listener.incoming() {
            let mut stream = stream?;
            // The client closes first.
            scope.spawn(move || stream.write_all(name.as_bytes()).and_then(|()| stream.read(&mut [0])));
        }
        Ok(())
    })
}

fn clients(address: &str, count: usize) -> io::Result<()> {
    let (left, lost) = (AtomicUsize::new(count), AtomicUsize::new(0));
    let client = || -> io::Result<()> {
        let mut stream = TcpStream::connect((address, PORT))?;
        stream.set_read_timeout(Some(REPLY))?;
        stream.read_exact(&mut [0])
    };
    std::thread::scope(|scope| {
        for _ in 0..50 {
            scope.spawn(|| {
                while left
                    .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1))
                    .is_ok()
                {
                    if let Err(error) = client() {
                        lost.fetch_add(1, Ordering::Relaxed);
                        eprintln!("{error}");
                    }
                }
            });
        }
    });
    println!("{} lost", lost.into_inner());
    Ok(())
}

fn sink() -> io::Result<()> {
    let mut bytes = vec![0; 1 << 20];
    for stream in listen()?.incoming() {
        let (mut stream, begun, mut received) = (stream?, Instant::now(), 0);
        while let Ok(length @ 1..) = stream.read(&mut bytes) {
            received += length;
        }
        println!("{}", received as f64 / 1e6 / begun.elapsed().as_secs_f64());
    }
    Ok(())
}
