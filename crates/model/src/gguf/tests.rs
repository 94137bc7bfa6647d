use super::*;
use crate::save::Bytes;
use files::Map;
use quant::ggml::Format;
use std::path::Path;

fn keys() -> Vec<(String, Key)> {
    let key = |name: &str, value| (name.to_owned(), value);
    vec![
        key("general.type", Key::Text("adapter".into())),
        key("adapter.lora.alpha", Key::F32(16.0)),
        key("general.file_type", Key::U32(0)),
        key("yes", Key::Bool(true)),
        key("texts", Key::Texts(vec!["a".into(), String::new(), "über".into()])),
        key("floats", Key::Floats(vec![0.5, -2.0])),
        key("integers", Key::Integers(vec![-1, 7])),
    ]
}

fn tensors() -> Vec<Written> {
    let tensor = |name: &str, shape: [usize; 2]| {
        let values: Vec<f32> = (0..shape[0] * shape[1]).map(|at| at as f32 - 2.5).collect();
        let bytes = Bytes::Owned(bytemuck::cast_slice(&values).to_vec());
        Written { name: name.into(), format: Format::F32, shape: shape.to_vec(), bytes }
    };
    vec![tensor("a", [3, 5]), tensor("b", [7, 3])]
}

fn read(path: &Path) -> crate::Result<()> {
    parse(&Map::open(path, 1 << 20)?).map(|_| ())
}

#[test]
fn what_is_written_is_read() {
    let room = tempfile::tempdir().unwrap();
    let path = room.path().join("a.gguf");
    write(&keys(), &tensors(), &path).unwrap();
    let map = Map::open(&path, 1 << 20).unwrap();
    assert!(map.len().is_multiple_of(ALIGNMENT));
    let found = parse(&map).unwrap();
    assert_eq!(found.text("general.type").unwrap(), Some("adapter"));
    assert_eq!(found.float("adapter.lora.alpha").unwrap(), Some(16.0));
    assert_eq!(found.integer("general.file_type").unwrap(), Some(0));
    assert_eq!(found.truth("yes").unwrap(), Some(true));
    assert_eq!(found.texts("texts").unwrap(), Some(vec!["a", "", "über"]));
    assert_eq!(found.floats("floats").unwrap(), Some(vec![0.5, -2.0]));
    assert_eq!(found.integers("integers").unwrap(), Some(vec![-1, 7]));
    assert_eq!(found.text("absent").unwrap(), None);
    assert!(found.text("yes").unwrap_err().to_string().contains("key yes: is not a text"));
    for tensor in tensors() {
        let info = &found.tensors[tensor.name.as_str()];
        assert_eq!((info.format, &info.shape), (Format::F32, &tensor.shape));
        let Bytes::Owned(bytes) = tensor.bytes else { panic!("written from memory") };
        assert_eq!(found.bytes(info), bytes);
    }
}

/// Every shorter file, and every file with one byte changed, is read or refused, and never more.
#[test]
fn damaged_files_are_refused_with_a_place() {
    let room = tempfile::tempdir().unwrap();
    let path = room.path().join("a.gguf");
    write(&keys(), &tensors(), &path).unwrap();
    let whole = std::fs::read(&path).unwrap();
    let data = whole.len() - (64 + 96);
    for end in 1..whole.len() - 20 {
        std::fs::write(&path, &whole[..end]).unwrap();
        let error = read(&path).unwrap_err().to_string();
        assert!(error.contains("at byte "), "{end}: {error}");
    }
    for at in 0..data {
        for value in [0, 0x7f, 0xff] {
            let mut bytes = whole.clone();
            bytes[at] = value;
            std::fs::write(&path, &bytes).unwrap();
            if let Err(error) = read(&path) {
                assert!(error.to_string().contains("at byte "), "{at}: {error}");
            }
        }
    }
}
