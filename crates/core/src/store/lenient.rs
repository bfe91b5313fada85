//! How values are read that the API server takes and that mean less here: numbers without a bound, and words that are empty.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{self, Deserialize, Deserializer, IntoDeserializer, Visitor};

/// Reads one of a few words. The empty text is none, as for the API server, which sets the default then.
pub(super) fn optional_word<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    d: D,
) -> Result<Option<T>, D::Error> {
    struct Word<T>(PhantomData<T>);
    impl<'de, T: Deserialize<'de>> Visitor<'de> for Word<T> {
        type Value = Option<T>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a word")
        }
        fn visit_none<E>(self) -> Result<Option<T>, E> {
            Ok(None)
        }
        fn visit_unit<E>(self) -> Result<Option<T>, E> {
            Ok(None)
        }
        fn visit_some<D: Deserializer<'de>>(self, d: D) -> Result<Option<T>, D::Error> {
            d.deserialize_str(self)
        }
        fn visit_str<E: de::Error>(self, text: &str) -> Result<Option<T>, E> {
            if text.is_empty() { Ok(None) } else { T::deserialize(text.into_deserializer()).map(Some) }
        }
    }
    d.deserialize_option(Word(PhantomData))
}

/// As [`optional_word`], where none is the type's default.
pub(super) fn word<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(d: D) -> Result<T, D::Error> {
    optional_word(d).map(Option::unwrap_or_default)
}

/// Reads a whole number that the API server does not bound, in 64 bits: what does not fit counts as the nearest that does. Seconds
/// below 0 are no time at all, as for its controllers.
pub(super) fn nearest<'de, D: Deserializer<'de>>(d: D) -> Result<Option<u32>, D::Error> {
    let number = Option::<i64>::deserialize(d)?;
    Ok(number.map(|number| u32::try_from(number.max(0)).unwrap_or(u32::MAX)))
}

/// As [`nearest`], where absent means 0.
pub(super) fn nearest_or_zero<'de, D: Deserializer<'de>>(d: D) -> Result<u32, D::Error> {
    nearest(d).map(Option::unwrap_or_default)
}

/// The port of a slice, which the API server does not bound. To CoreDNS -1 is none, and of others the low 16 bits count
/// (`plugin/kubernetes/object/endpoint.go`, `msg.Service.NewSRV`).
pub(super) fn slice_port<'de, D: Deserializer<'de>>(d: D) -> Result<Option<u16>, D::Error> {
    let number = Option::<i32>::deserialize(d)?;
    Ok(number.filter(|number| *number != -1).map(|number| number as u16))
}
