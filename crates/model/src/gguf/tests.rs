use super::*;

fn small() -> Gguf {
    let mut gguf = Gguf::default();
    gguf.keys.insert("general.type".into(), Value::Text("adapter".into()));
    gguf.keys.insert("adapter.lora.alpha".into(), Value::F32(16.0));
    gguf.keys.insert("general.file_type".into(), Value::U32(0));
    let tensor = |shape: [usize; 2]| Tensor {
        shape,
        values: (0..shape[0] * shape[1]).map(|at| at as f32 - 2.5).collect(),
    };
    gguf.tensors.insert("a".into(), tensor([3, 5]));
    gguf.tensors.insert("b".into(), tensor([7, 3]));
    gguf
}

#[test]
fn what_is_written_is_read() {
    let room = tempfile::tempdir().unwrap();
    let path = room.path().join("a.gguf");
    write(&small(), &path).unwrap();
    assert_eq!(read(&path).unwrap(), small());
    let bytes = std::fs::read(&path).unwrap();
    assert!(bytes.len().is_multiple_of(ALIGNMENT));
}

/// Every shorter file, and every file with one byte changed, is read or refused, and never more.
#[test]
fn damaged_files_are_refused_with_a_place() {
    let room = tempfile::tempdir().unwrap();
    let path = room.path().join("a.gguf");
    write(&small(), &path).unwrap();
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
