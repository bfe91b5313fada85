//! The words that compressed headers refer to (SPDY protocol draft 3.1, section 2.6.10.1). Must not depend on frames.

/// Words, each of which follows its length.
const WORDS: &str = "options, head, post, put, delete, trace, accept, accept-charset, accept-encoding, accept-language, \
     accept-ranges, age, allow, authorization, cache-control, connection, content-base, content-encoding, \
     content-language, content-length, content-location, content-md5, content-range, content-type, date, \
     etag, expect, expires, from, host, if-match, if-modified-since, if-none-match, if-range, \
     if-unmodified-since, last-modified, location, max-forwards, pragma, proxy-authenticate, \
     proxy-authorization, range, referer, retry-after, server, te, trailer, transfer-encoding, upgrade, \
     user-agent, vary, via, warning, www-authenticate, method, get, status, 200 OK, version, HTTP/1.1, \
     url, public, set-cookie, keep-alive, origin";

/// Text without lengths.
const TEXT: &str = "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505\
     203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request\
     401 Unauthorized403 Forbidden404 Not Found500 Internal Server Error\
     501 Not Implemented503 Service Unavailable\
     Jan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec \
     00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMT\
     chunked,text/html,image/png,image/jpg,image/gif,\
     application/xml,application/xhtml+xml,text/plain,text/javascript,\
     publicprivatemax-age=gzip,deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0.";

/// The dictionary: 1423 bytes.
pub(super) fn dictionary() -> Vec<u8> {
    let mut bytes = Vec::new();
    for word in WORDS.split(", ") {
        bytes.extend(u32::try_from(word.len()).unwrap_or_default().to_be_bytes());
        bytes.extend(word.bytes());
    }
    bytes.extend(TEXT.bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The checksum that streams name the dictionary by (RFC 1950 section 2.3, DICTID).
    #[test]
    fn the_dictionary_is_that_of_spdy_3() {
        let (mut a, mut b) = (1_u32, 0_u32);
        for byte in dictionary() {
            a = (a + u32::from(byte)) % 65521;
            b = (b + a) % 65521;
        }
        assert_eq!((dictionary().len(), b << 16 | a), (1423, 0xe3c6_a7c2));
    }
}
