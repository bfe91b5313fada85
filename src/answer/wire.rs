//! Numbers of the protocol: record types, response codes, and where things are in a message.

/// Record types (IANA, "DNS Parameters").
pub(crate) mod rtype {
    pub const A: u16 = 1;
    pub const NS: u16 = 2;
    pub const CNAME: u16 = 5;
    pub const SOA: u16 = 6;
    pub const PTR: u16 = 12;
    pub const MX: u16 = 15;
    pub const TXT: u16 = 16;
    pub const AAAA: u16 = 28;
    pub const SRV: u16 = 33;
    pub const OPT: u16 = 41;
    pub const IXFR: u16 = 251;
    pub const AXFR: u16 = 252;
}

/// Response codes (RFC 1035, 4.1.1; RFC 6891, 9).
pub(crate) mod rcode {
    pub const NOERROR: u8 = 0;
    pub const FORMERR: u8 = 1;
    pub const SERVFAIL: u8 = 2;
    pub const NXDOMAIN: u8 = 3;
    pub const NOTIMP: u8 = 4;
    pub const REFUSED: u8 = 5;
    /// Its upper bits stand in the OPT record.
    pub const BADVERS: u8 = 16;
}

pub(crate) mod opcode {
    pub const QUERY: u8 = 0;
}

/// Class IN.
pub(crate) const IN: u16 = 1;

/// EDNS options that CoreDNS gives back as they came: NSID, EXPIRE, COOKIE, TCP-KEEPALIVE, PADDING (`edns.go`).
pub(crate) const ECHOED_OPTIONS: [u16; 5] = [3, 9, 10, 11, 12];
