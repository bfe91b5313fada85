//! Generated names. Kubernetes chooses them at random; here they are derived from their object, so that the same
//! manifests give the same cluster.

use std::hash::{Hash, Hasher};

use rustc_hash::FxHasher;

/// Kubernetes' alphabet for generated names: no vowels, so no words; no 0, 1 and 3, which look like letters.
pub const ALPHABET: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";

/// Maximum length of the base of a generated name (apiserver, `maxGeneratedNameLength`), in bytes.
const BASE_MAX: usize = 58;

/// A number that depends on `of` alone.
pub(crate) fn digest(of: impl Hash) -> u64 {
    let mut hasher = FxHasher::default();
    of.hash(&mut hasher);
    // The low bits of FxHash are poorly distributed; a multiplication and a shift spread them.
    let value = hasher.finish().wrapping_mul(0x9e37_79b9_7f4a_7c15);
    value ^ value >> 32
}

/// `BASE-xxxxx`, with a suffix of `length` letters that depends on `of`.
pub(crate) fn generated(base: &str, length: usize, of: impl Hash) -> String {
    let kept = &base[..base.len().min(BASE_MAX)];
    format!("{kept}-{}", suffix(base, length, of))
}

/// A name from `generateName: BASE-`: the prefix is cut to 58 bytes, including its hyphen (names.GenerateName).
pub(crate) fn generated_from(base: &str, of: impl Hash) -> String {
    let mut name = format!("{base}-");
    name.truncate(BASE_MAX);
    name.push_str(&suffix(base, 5, of));
    name
}

/// `length` letters that depend on `base` and `of`.
pub(crate) fn suffix(base: &str, length: usize, of: impl Hash) -> String {
    let mut rest = digest((base, &of));
    let mut text = String::with_capacity(length);
    for _ in 0..length {
        text.push(ALPHABET[(rest % ALPHABET.len() as u64) as usize] as char);
        rest /= ALPHABET.len() as u64;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_names_are_labels_and_repeatable() {
        let long = "a".repeat(63);
        for base in ["web", long.as_str()] {
            let name = generated(base, 5, 1u32);
            assert!(crate::store::is_label(&name) || name.len() == 64, "{name}");
            assert_eq!(name, generated(base, 5, 1u32));
            assert_ne!(name, generated(base, 5, 2u32));
        }
    }
}
