//! Names, ids and addresses that look as a cluster's do and depend on nothing but what they are of.

use jiff::Timestamp;

/// Letters of the endings that Kubernetes makes up: none that could spell words.
const LETTERS: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";

/// A number that depends on the texts: FNV-1a, mixed at the end.
pub(super) fn hash(parts: &[&str]) -> u64 {
    let mut state: u64 = 0xcbf2_9ce4_8422_2325;
    for part in parts {
        for byte in part.bytes().chain([0xff]) {
            state = (state ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    state ^= state >> 33;
    state = state.wrapping_mul(0xff51_afd7_ed55_8ccd);
    state ^ (state >> 33)
}

/// So many letters.
pub(super) fn letters(parts: &[&str], count: usize) -> String {
    let mut rest = hash(parts);
    let mut out = String::new();
    for _ in 0..count {
        out.push(char::from(LETTERS[(rest % 27) as usize]));
        rest /= 27;
    }
    out
}

/// An id of an object.
pub(super) fn uid(kind: &str, namespace: &str, name: &str) -> String {
    let (a, b) = (hash(&[kind, namespace, name]), hash(&[name, namespace, kind, "second"]));
    let (one, two, three) = (a >> 32, (a >> 16) & 0xffff, a & 0xfff);
    let (four, five) = (0x8000 | ((b >> 48) & 0x3fff), b & 0xffff_ffff_ffff);
    format!("{one:08x}-{two:04x}-4{three:03x}-{four:04x}-{five:012x}")
}

/// A name with an ending, not longer than names may be.
pub(super) fn ended(name: &str, ending: &str) -> String {
    const MOST: usize = 63;
    let kept = name.len().min(MOST.saturating_sub(ending.len() + 1));
    format!("{}-{ending}", name[..kept].trim_end_matches('-'))
}

/// The number of an object among those of its kind, in an address: `10.96.0.7`.
pub(super) fn address(network: &str, number: usize) -> String {
    let number = number + 1;
    format!("{network}.{}.{}", (number >> 8) & 0xff, number & 0xff)
}

/// A time as Kubernetes writes it: in whole seconds.
pub(super) fn seconds(time: Timestamp) -> String {
    Timestamp::from_second(time.as_second()).unwrap_or(time).to_string()
}
