//! Files that are as they should be, as small as they can be: what stands beside the one that is read.

use super::Reader;
use serde_json::{Map, Value, json};

/// A Llama of one block.
pub(crate) const CONFIG: &str = r#"{"model_type": "llama", "hidden_size": 4, "intermediate_size": 4,
"num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 2,
"vocab_size": 8, "rms_norm_eps": 1e-5, "max_position_embeddings": 64, "tie_word_embeddings": true}"#;

/// Its projections and their shapes.
const PROJECTIONS: [(&str, [usize; 2]); 7] = [
    ("self_attn.q_proj", [4, 4]),
    ("self_attn.k_proj", [2, 4]),
    ("self_attn.v_proj", [2, 4]),
    ("self_attn.o_proj", [4, 4]),
    ("mlp.gate_proj", [4, 4]),
    ("mlp.up_proj", [4, 4]),
    ("mlp.down_proj", [4, 4]),
];

/// A tensor: name, type, shape and bytes.
type Part = (String, &'static str, Vec<usize>, Vec<u8>);

fn floats(name: String, shape: &[usize], value: f32) -> Part {
    let count = shape.iter().product();
    (name, "F32", shape.to_vec(), value.to_le_bytes().repeat(count))
}

fn module(name: &str) -> String {
    format!("model.layers.0.{name}.weight")
}

/// The bytes of a file with these tensors.
fn safetensors(parts: &[Part]) -> Vec<u8> {
    let (mut header, mut data) = (Map::new(), Vec::new());
    for (name, dtype, shape, bytes) in parts {
        let offsets = [data.len(), data.len() + bytes.len()];
        let info = json!({ "dtype": dtype, "shape": shape, "data_offsets": offsets });
        header.insert(name.clone(), info);
        data.extend_from_slice(bytes);
    }
    let mut header = Value::Object(header).to_string();
    while !header.len().is_multiple_of(8) {
        header.push(' ');
    }
    let length = (header.len() as u64).to_le_bytes();
    [&length[..], header.as_bytes(), &data].concat()
}

/// The projections alone: what [`model::fidelity`] reads.
pub(crate) fn weights() -> Vec<u8> {
    let part = |(name, shape): (&str, [usize; 2])| floats(module(name), &shape, 0.5);
    safetensors(&PROJECTIONS.map(part))
}

/// Factors of rank 1 for the queries.
pub(crate) fn adapter() -> Vec<u8> {
    let name =
        |factor| format!("base_model.model.model.layers.0.self_attn.q_proj.lora_{factor}.weight");
    safetensors(&[floats(name('A'), &[1, 4], 0.5), floats(name('B'), &[4, 1], 0.5)])
}

/// The same projections, the first in 4 bits with this state.
pub(crate) fn four_bits(double: bool, state: &[u8]) -> Vec<u8> {
    let name = module(PROJECTIONS[0].0);
    let levels: Vec<u8> = LEVELS.iter().flat_map(|it| it.to_le_bytes()).collect();
    let mut parts = vec![(name.clone(), "U8", vec![8, 1], vec![0x5a; 8])];
    parts.push((format!("{name}.quant_map"), "F32", vec![16], levels));
    if double {
        let ascending: Vec<u8> =
            (0..256).flat_map(|at| ((at as f32 - 128.0) / 128.0).to_le_bytes()).collect();
        parts.push((format!("{name}.absmax"), "U8", vec![1], vec![7]));
        parts.push((format!("{name}.nested_quant_map"), "F32", vec![256], ascending));
        parts.push(floats(format!("{name}.nested_absmax"), &[1], 0.5));
    } else {
        parts.push(floats(format!("{name}.absmax"), &[1], 0.5));
    }
    let others = PROJECTIONS[1..].iter();
    parts.extend(others.map(|(name, shape)| floats(module(name), shape, 0.5)));
    let state_name = format!("{name}.quant_state.bitsandbytes__nf4");
    parts.push((state_name, "U8", vec![state.len()], state.to_vec()));
    safetensors(&parts)
}

/// The levels of NF4.
const LEVELS: [f32; 16] = [
    -1.0,
    -0.696_192_8,
    -0.525_073_05,
    -0.394_917_5,
    -0.284_441_38,
    -0.184_773_43,
    -0.091_050_036,
    0.0,
    0.079_580_3,
    0.160_930_2,
    0.246_112_3,
    0.337_915_24,
    0.440_709_83,
    0.562_617,
    0.722_956_84,
    1.0,
];

/// Bytes of a checksum in hexadecimal.
const HASH_BYTES: usize = 64;

/// A shard with one document of three tokens.
pub(crate) fn shard() -> Vec<u8> {
    let mut bytes = b"srekdata".to_vec();
    let numbers = [2_u64, 8, 300, 1, 3, 2, 1, 192, 200, 208, 216, 224, 236, 248, 313];
    numbers.iter().for_each(|number| bytes.extend(number.to_le_bytes()));
    bytes.extend([0; HASH_BYTES]);
    // Ends, groups, times (none) and ends of the sources.
    [3, 7, 1 << 63, 1_u64].iter().for_each(|number| bytes.extend(number.to_le_bytes()));
    [1, 2, 299, -100, 2, 299_i32].iter().for_each(|number| bytes.extend(number.to_le_bytes()));
    bytes.push(b'a');
    bytes.extend([b'0'; HASH_BYTES]);
    sealed(&bytes)
}

/// The same bytes with their last ones replaced by the checksum of all before.
pub(crate) fn sealed(bytes: &[u8]) -> Vec<u8> {
    let content = &bytes[..bytes.len().saturating_sub(HASH_BYTES)];
    [content, files::sha256(content).as_bytes()].concat()
}

/// A description that says of a shard what the shard says of itself.
pub(crate) fn manifest(shard: &[u8]) -> Vec<u8> {
    let number = |at: usize| {
        let bytes = shard.get(at..).and_then(|rest| rest.first_chunk());
        bytes.map_or(0, |bytes| u64::from_le_bytes(*bytes))
    };
    let tokenizer = shard.get(128..192).filter(|hash| hash.iter().any(|byte| *byte != 0));
    let tokenizer = tokenizer.map(|hash| String::from_utf8_lossy(hash).into_owned());
    let (documents, tokens, trained) = (number(32), number(40), number(48));
    let mut value = json!({
        "version": 5, "context": number(16) as u32, "vocab_size": number(24) as u32,
        "tokenizer_sha256": tokenizer, "template_sha256": null, "documents": documents,
        "tokens": tokens, "trained_tokens": trained, "redacted": null, "unchecked_records": 0,
        "removed_duplicates": null, "joined_groups": [], "refused": null,
        "shards": [{
            "file": "data-00000.shard", "documents": documents, "tokens": tokens,
            "trained_tokens": trained, "sha256": files::sha256(shard),
        }],
        "sha256": "",
    });
    value["sha256"] = files::sha256(value.to_string().as_bytes()).into();
    value.to_string().into_bytes()
}

/// An input that a reader takes, and others that make it use all that it has. Those of GGUF files and
/// tokenizers are larger, and in their corpora.
pub(crate) fn samples(reader: Reader) -> Vec<Vec<u8>> {
    match reader {
        Reader::Safetensors => vec![weights()],
        Reader::QuantState => vec![[b"0", STATE.as_bytes()].concat()],
        Reader::AdapterConfig => vec![ADAPTER.as_bytes().to_vec()],
        // In an error about a key secrets are masked, by expressions that are compiled once.
        Reader::Jsonl => vec![b"{\"text\": \"a\"}\n".to_vec(), b"{\"key\": 1}\n".to_vec()],
        Reader::Shard => vec![[b"1", &shard()[..]].concat()],
        Reader::Gguf | Reader::Tokenizer => Vec::new(),
    }
}

const STATE: &str =
    r#"{"quant_type": "nf4", "blocksize": 64, "dtype": "float32", "shape": [4, 4]}"#;
const ADAPTER: &str =
    r#"{"peft_type": "LORA", "r": 1, "lora_alpha": 2, "target_modules": ["q_proj"]}"#;

#[cfg(test)]
mod tests {
    use super::super::Room;
    use super::*;

    #[test]
    fn what_is_whole_is_read() {
        let room = Room::new();
        for reader in [
            Reader::Safetensors,
            Reader::QuantState,
            Reader::AdapterConfig,
            Reader::Jsonl,
            Reader::Shard,
        ] {
            assert!(room.read(reader, &samples(reader)[0]), "{reader:?}");
        }
        let double = STATE.replace(
            '}',
            r#", "nested_blocksize": 256, "nested_dtype": "float32", "nested_offset": 0.25}"#,
        );
        assert!(room.read(Reader::QuantState, format!("1{double}").as_bytes()));
    }
}
