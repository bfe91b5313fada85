//! Queries in wire format (RFC 1035 section 4.1). Must not depend on the answers.

/// A query of class IN for `name`, without a trailing dot. A `udp_size` above 0 adds an OPT record with that UDP size (RFC
/// 6891 section 6.1.2).
pub fn query(id: u16, name: &str, record_type: u16, udp_size: u16) -> Vec<u8> {
    let mut packet = id.to_be_bytes().to_vec();
    packet.extend([0, 0, 0, 1, 0, 0, 0, 0, 0, u8::from(udp_size > 0)]);
    packet.extend(wire(name));
    packet.push(0);
    packet.extend(record_type.to_be_bytes());
    packet.extend([0, 1]);
    if udp_size > 0 {
        packet.extend([0, 0, 41]);
        packet.extend(udp_size.to_be_bytes());
        packet.extend([0; 6]);
    }
    packet
}

/// The labels of `name`, each after its length, without the root.
pub fn wire(name: &str) -> Vec<u8> {
    name.split('.').flat_map(|label| [&[label.len() as u8], label.as_bytes()].concat()).collect()
}
