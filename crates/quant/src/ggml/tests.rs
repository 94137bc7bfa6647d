//! Decoding against gguf-py, which llama.cpp's authors keep; the order of rows against its formula.

use super::*;
use crate::golden::Golden;

#[test]
fn blocks_decode_to_the_bits_of_gguf_py() {
    let golden = Golden::read("ggml.safetensors");
    for format in Format::ALL {
        let name = format.name();
        let bytes = golden.u8(&format!("{name}.bytes"));
        let expected = golden.f32(&format!("{name}.values"));
        let mut found = vec![0.0; expected.len()];
        format.decode(&bytes, 0, &mut found);
        let differing = expected.iter().zip(&found).position(|(a, b)| a.to_bits() != b.to_bits());
        assert_eq!(differing, None, "{name}");
        // From the middle on, group by group, and weight by weight.
        let blocks = Blocks { bytes: &bytes, format, rows: Rows::Plain, inner: expected.len() / 2 };
        let mut part = vec![0.0; 77];
        blocks.decode_any(1, 45, &mut part);
        assert_eq!(part, expected[blocks.inner + 45..][..77], "{name}");
        for k in [0, 31, 32, 200, 255] {
            assert_eq!(blocks.get(1, k), expected[blocks.inner + k], "{name} {k}");
        }
    }
}

#[test]
fn q8_0_is_encoded_to_the_bytes_of_gguf_py() {
    let golden = Golden::read("ggml.safetensors");
    let values = golden.f32("encoded.values");
    let expected = golden.u8("encoded.bytes");
    let mut found = vec![0; expected.len()];
    encode(Format::Q8_0, &values, &mut found).unwrap();
    assert_eq!(found, expected);
}

#[test]
fn halves_of_heads_are_interleaved() {
    let stored: Vec<usize> = (0..8).map(|row| Rows::Interleaved(4).stored(row)).collect();
    assert_eq!(stored, [0, 2, 1, 3, 4, 6, 5, 7]);
}

#[test]
fn sizes_are_those_of_whole_blocks() {
    assert_eq!(Format::Q4K.bytes([3, 512]), Some(3 * 2 * 144));
    assert_eq!(Format::Q4K.bytes([3, 128]), None);
    assert_eq!(Format::F16.bytes([3, 5]), Some(30));
    assert_eq!(Format::F32.bytes([usize::MAX, 4]), None);
    assert_eq!(Format::from_id(11), Err("Q3_K".into()));
    assert_eq!(Format::from_id(99), Err("type 99".into()));
    for format in Format::ALL {
        assert_eq!(Format::from_id(format.id()), Ok(format));
    }
}
