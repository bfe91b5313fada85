//! Requests for links, addresses and routes, rtnetlink(7). Of the kernel's answers it decodes errors and the number of a link:
//! decoding every kind of link, filter and action would make the program 2 % larger. Must not depend on what the links are for.

use std::io;

use futures_util::StreamExt;
use rtnetlink::packet_core::{
    DecodeError, Emitable, NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE, NLM_F_REQUEST,
    NetlinkDeserializable, NetlinkHeader, NetlinkMessage, NetlinkPayload, NetlinkSerializable,
};
use rtnetlink::packet_route::address::AddressMessage;
use rtnetlink::packet_route::link::{LinkAttribute, LinkMessage};
use rtnetlink::packet_route::neighbour::NeighbourMessage;
use rtnetlink::packet_route::route::RouteMessage;
use rtnetlink::proto::ConnectionHandle;
use rtnetlink::sys::SocketAddr;
use rtnetlink::sys::protocols::NETLINK_ROUTE;

/// Message types of linux/rtnetlink.h.
const RTM_NEWLINK: u16 = 16;
const RTM_GETLINK: u16 = 18;
const RTM_SETLINK: u16 = 19;
const RTM_NEWADDR: u16 = 20;
const RTM_NEWROUTE: u16 = 24;
const RTM_NEWNEIGH: u16 = 28;
const RTM_DELNEIGH: u16 = 29;

/// Flags of requests that create an object which must not exist.
const CREATE: u16 = NLM_F_REQUEST | NLM_F_ACK | NLM_F_EXCL | NLM_F_CREATE;

/// The network configuration of one network namespace.
pub(crate) struct Netlink(ConnectionHandle<Message>);

/// A request, or what is decoded of an answer.
#[derive(Debug)]
enum Message {
    AddLink(LinkMessage),
    SetLink(LinkMessage),
    GetLink(LinkMessage),
    AddAddress(AddressMessage),
    AddRoute(RouteMessage),
    SetNeighbour(NeighbourMessage),
    DeleteNeighbour(NeighbourMessage),
    /// The number of a link, from `ifinfomsg`.
    Link(u32),
}

impl Message {
    fn request(&self) -> Option<(u16, u16, &dyn Emitable)> {
        Some(match self {
            Message::AddLink(link) => (RTM_NEWLINK, CREATE, link),
            Message::SetLink(link) => (RTM_SETLINK, NLM_F_REQUEST | NLM_F_ACK, link),
            Message::GetLink(link) => (RTM_GETLINK, NLM_F_REQUEST, link),
            Message::AddAddress(address) => (RTM_NEWADDR, CREATE, address),
            Message::AddRoute(route) => (RTM_NEWROUTE, CREATE, route),
            Message::SetNeighbour(neighbour) => {
                (RTM_NEWNEIGH, NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE, neighbour)
            }
            Message::DeleteNeighbour(neighbour) => (RTM_DELNEIGH, NLM_F_REQUEST | NLM_F_ACK, neighbour),
            Message::Link(_) => return None,
        })
    }
}

impl NetlinkSerializable for Message {
    fn message_type(&self) -> u16 {
        self.request().map_or(0, |(message_type, ..)| message_type)
    }

    fn buffer_len(&self) -> usize {
        self.request().map_or(0, |(.., body)| body.buffer_len())
    }

    fn serialize(&self, buffer: &mut [u8]) {
        if let Some((.., body)) = self.request() {
            body.emit(buffer);
        }
    }
}

impl NetlinkDeserializable for Message {
    type Error = DecodeError;

    fn deserialize(header: &NetlinkHeader, payload: &[u8]) -> Result<Self, DecodeError> {
        match payload.get(4..8).and_then(|number| number.try_into().ok()) {
            Some(number) if header.message_type == RTM_NEWLINK => {
                Ok(Message::Link(u32::from_ne_bytes(number)))
            }
            _ => Err(format!("unexpected message of type {}", header.message_type).into()),
        }
    }
}

impl Netlink {
    /// Of the network namespace that the calling thread is in. Takes a runtime.
    pub(crate) fn open() -> io::Result<Self> {
        let (connection, handle, _) = rtnetlink::proto::new_connection(NETLINK_ROUTE)?;
        tokio::spawn(connection);
        Ok(Netlink(handle))
    }

    /// Creates a link.
    pub(crate) async fn add_link(&self, link: LinkMessage) -> io::Result<()> {
        self.request(Message::AddLink(link)).await.map(drop)
    }

    /// Changes the link with the number in `link`.
    pub(crate) async fn set_link(&self, link: LinkMessage) -> io::Result<()> {
        self.request(Message::SetLink(link)).await.map(drop)
    }

    /// Adds an address to a link.
    pub(crate) async fn add_address(&self, address: AddressMessage) -> io::Result<()> {
        self.request(Message::AddAddress(address)).await.map(drop)
    }

    /// Adds a route.
    pub(crate) async fn add_route(&self, route: RouteMessage) -> io::Result<()> {
        self.request(Message::AddRoute(route)).await.map(drop)
    }

    /// Creates or replaces the entry of a neighbour.
    pub(crate) async fn set_neighbour(&self, neighbour: NeighbourMessage) -> io::Result<()> {
        self.request(Message::SetNeighbour(neighbour)).await.map(drop)
    }

    /// Deletes the entry of a neighbour.
    pub(crate) async fn delete_neighbour(&self, neighbour: NeighbourMessage) -> io::Result<()> {
        self.request(Message::DeleteNeighbour(neighbour)).await.map(drop)
    }

    /// The number of the link with this name.
    pub(crate) async fn index(&self, name: &str) -> io::Result<u32> {
        let mut link = LinkMessage::default();
        link.attributes.push(LinkAttribute::IfName(name.to_owned()));
        match self.request(Message::GetLink(link)).await? {
            Some(Message::Link(index)) => Ok(index),
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }

    /// Sends a request, and waits for its acknowledgement or the first answer.
    async fn request(&self, message: Message) -> io::Result<Option<Message>> {
        let mut header = NetlinkHeader::default();
        header.flags = message.request().map_or(0, |(_, flags, _)| flags);
        let mut request = NetlinkMessage::new(header, NetlinkPayload::InnerMessage(message));
        request.finalize();
        let mut answers = self.0.request(request, SocketAddr::new(0, 0)).map_err(io::Error::other)?;
        match answers.next().await.map(|answer| answer.payload) {
            Some(NetlinkPayload::InnerMessage(answer)) => Ok(Some(answer)),
            Some(NetlinkPayload::Error(error)) if error.code.is_some() => Err(error.to_io()),
            _ => Ok(None),
        }
    }
}
