//! The minimal work of a DNS server over UDP: receive, set QR, send back. The rest of a server's cost is its own; an echo
//! with the same reply sizes shows the share of those.

use std::array;
use std::fs;
use std::io::{IoSlice, IoSliceMut};
use std::net::{Ipv4Addr, UdpSocket};
use std::os::fd::AsRawFd;
use std::path::Path;

use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrIn, recvmmsg, sendmmsg};

use super::Result;

/// Maximum number of datagrams in one system call.
const BATCH_SIZE: usize = 64;

/// The largest reply, in bytes.
const LARGEST: usize = 4096;

/// Echoes on `port` until it is killed, or its parent ends. With `sizes` the reply to id N has the length in the Nth two
/// bytes of that file (big-endian).
pub fn serve(port: u16, sizes: Option<&Path>) -> Result<()> {
    set_pdeathsig(Signal::SIGKILL)?;
    let sizes = sizes.map(fs::read).transpose()?;
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, port))?;
    let descriptor = socket.as_raw_fd();
    let mut buffers = vec![[0; LARGEST]; BATCH_SIZE];
    let mut incoming = MultiHeaders::<SockaddrIn>::preallocate(BATCH_SIZE, None);
    let mut outgoing = MultiHeaders::<SockaddrIn>::preallocate(BATCH_SIZE, None);
    let (mut lengths, mut from) = (Vec::with_capacity(BATCH_SIZE), Vec::with_capacity(BATCH_SIZE));
    loop {
        lengths.clear();
        from.clear();
        let mut rest = buffers.iter_mut();
        let mut parts: [[IoSliceMut<'_>; 1]; BATCH_SIZE] =
            array::from_fn(|_| [IoSliceMut::new(rest.next().map_or(&mut [], |buffer| buffer))]);
        let flags = MsgFlags::MSG_WAITFORONE;
        for message in recvmmsg(descriptor, &mut incoming, parts.iter_mut(), flags, None)? {
            lengths.push(message.bytes);
            from.push(message.address);
        }
        for (buffer, length) in buffers.iter_mut().zip(&mut lengths) {
            buffer[2] |= 0x80;
            if let Some(sizes) = &sizes {
                let at = 2 * usize::from(u16::from_be_bytes([buffer[0], buffer[1]]));
                let size = sizes.get(at..at + 2).map_or(0, |size| u16::from_be_bytes([size[0], size[1]]));
                *length = usize::from(size).max(*length).min(LARGEST);
            }
        }
        let parts: [[IoSlice<'_>; 1]; BATCH_SIZE] =
            array::from_fn(|at| [IoSlice::new(&buffers[at][..lengths.get(at).copied().unwrap_or(0)])]);
        let mut sent = 0;
        while sent < lengths.len() {
            let parts = parts[sent..lengths.len()].iter();
            let flags = MsgFlags::empty();
            sent += sendmmsg(descriptor, &mut outgoing, parts, &from[sent..], [], flags)?.count();
        }
    }
}
