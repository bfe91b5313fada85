//! The wire format of protobuf: numbered fields, each a number or bytes. It must not know which fields mean what.

use super::ProtobufError;

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Payload<'a> {
    Varint(u64),
    /// Text, bytes, a message, packed numbers.
    Bytes(&'a [u8]),
    /// Eight bytes: a floating-point number.
    Fixed64([u8; 8]),
    /// Four bytes, which no field here is.
    Fixed32,
}

/// The fields of a message, in the order of the bytes. Ends after the first error.
pub(super) fn fields(bytes: &[u8]) -> impl Iterator<Item = Result<(u32, Payload<'_>), ProtobufError>> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let field = field(&mut rest);
        if field.is_err() {
            rest = &[];
        }
        Some(field)
    })
}

fn field<'a>(rest: &mut &'a [u8]) -> Result<(u32, Payload<'a>), ProtobufError> {
    let tag = varint(rest)?;
    let number = u32::try_from(tag >> 3).ok().filter(|number| *number > 0).ok_or(ProtobufError::Malformed)?;
    let payload = match tag & 7 {
        0 => Payload::Varint(varint(rest)?),
        1 => {
            let bytes = take(rest, 8)?.try_into().map_err(|_| ProtobufError::Malformed)?;
            Payload::Fixed64(bytes)
        }
        2 => {
            let length = usize::try_from(varint(rest)?).map_err(|_| ProtobufError::Malformed)?;
            Payload::Bytes(take(rest, length)?)
        }
        5 => take(rest, 4).map(|_| Payload::Fixed32)?,
        // Groups are long gone.
        _ => return Err(ProtobufError::Malformed),
    };
    Ok((number, payload))
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Result<&'a [u8], ProtobufError> {
    let (taken, after) = rest.split_at_checked(length).ok_or(ProtobufError::Malformed)?;
    *rest = after;
    Ok(taken)
}

/// A number of seven bits a byte, the lowest first.
pub(super) fn varint(rest: &mut &[u8]) -> Result<u64, ProtobufError> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let byte = take(rest, 1)?[0];
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(number);
        }
    }
    Err(ProtobufError::Malformed)
}

/// Writes a field of bytes: text, or a message.
pub(crate) fn put(out: &mut Vec<u8>, number: u32, bytes: &[u8]) {
    put_varint(out, u64::from(number) << 3 | 2);
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn put_varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_to_the_first_error() {
        let ok = |bytes: &'static [u8]| fields(bytes).collect::<Result<Vec<_>, _>>();
        assert_eq!(ok(&[]), Ok(vec![]));
        assert_eq!(ok(&[0x08, 0x96, 0x01]), Ok(vec![(1, Payload::Varint(150))]));
        assert_eq!(ok(b"\x12\x02hi\x18\x00"), Ok(vec![(2, Payload::Bytes(b"hi")), (3, Payload::Varint(0))]));
        assert_eq!(
            ok(b"\x0d1234\x1112345678"),
            Ok(vec![(1, Payload::Fixed32), (2, Payload::Fixed64(*b"12345678"))])
        );
        for bad in [
            &[0x08][..],
            &[0x00, 1],
            &[0x12, 5, 1],
            &[0x0b],
            &[0xff; 11],
            &[0x12, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
        ] {
            assert!(fields(bad).any(|field| field.is_err()), "{bad:?}");
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let long = [7; 300];
        let mut out = Vec::new();
        put(&mut out, 1, b"hi");
        put(&mut out, 100, &long);
        let read = fields(&out).collect::<Result<Vec<_>, _>>();
        assert_eq!(read, Ok(vec![(1, Payload::Bytes(b"hi")), (100, Payload::Bytes(&long))]));
    }
}
