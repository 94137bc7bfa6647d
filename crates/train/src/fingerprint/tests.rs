use super::*;
use std::path::Path;

fn of(directory: &Path) -> String {
    let names = ["a.safetensors".to_owned(), "b.safetensors".to_owned()];
    let weights = Checkpoint::open_files(directory, &names).unwrap();
    fingerprint(&weights, "config.json").unwrap()
}

/// A safetensors file of one f32 tensor of zeros.
fn zeros(name: &str, count: usize) -> Vec<u8> {
    let bytes = 4 * count;
    let header =
        format!(r#"{{"{name}":{{"dtype":"F32","shape":[{count}],"data_offsets":[0,{bytes}]}}}}"#);
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend(header.as_bytes());
    file.resize(file.len() + bytes, 0);
    file
}

#[test]
fn every_byte_of_every_file_counts_whatever_the_threads() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    std::fs::write(path("config.json"), "{}").unwrap();
    let large = zeros("x", PIECE_BYTES / 2);
    std::fs::write(path("a.safetensors"), &large).unwrap();
    std::fs::write(path("b.safetensors"), zeros("y", 3)).unwrap();
    let first = of(directory.path());
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    assert_eq!(pool.install(|| of(directory.path())), first);
    // What is not used does not count.
    std::fs::write(path("c.safetensors"), "other").unwrap();
    assert_eq!(of(directory.path()), first);
    for at in [large.len() - 1, large.len() / 2, PIECE_BYTES, 100_003, 1_234_567] {
        let mut changed = large.clone();
        changed[at] ^= 1;
        std::fs::write(path("a.safetensors"), &changed).unwrap();
        assert_ne!(of(directory.path()), first, "byte {at}");
    }
    std::fs::write(path("a.safetensors"), &large).unwrap();
    assert_eq!(of(directory.path()), first);
    std::fs::write(path("config.json"), "{ }").unwrap();
    assert_ne!(of(directory.path()), first);
}

#[test]
fn it_is_what_its_description_says() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    std::fs::write(path("config.json"), "{}").unwrap();
    let files = [("a.safetensors", zeros("x", 2)), ("b.safetensors", zeros("y", 3))];
    let mut text = files::sha256(b"{}").into_bytes();
    for (name, bytes) in &files {
        std::fs::write(path(name), bytes).unwrap();
        text.extend(name.as_bytes());
        text.push(0);
        text.extend((bytes.len() as u64).to_le_bytes());
        text.extend(files::sha256(bytes).as_bytes());
    }
    assert_eq!(of(directory.path()), files::sha256(&text));
}

/// How fast it is: `cargo test -p train --release -- --ignored --nocapture gigabytes`.
#[test]
#[ignore = "a measurement, of one gigabyte"]
fn gigabytes_per_second() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    std::fs::write(path("config.json"), "{}").unwrap();
    std::fs::write(path("a.safetensors"), zeros("x", 250_000_000)).unwrap();
    std::fs::write(path("b.safetensors"), zeros("y", 3)).unwrap();
    for _ in 0..3 {
        let started = std::time::Instant::now();
        of(directory.path());
        println!("{:.2} GB/s", 1.0 / started.elapsed().as_secs_f64());
    }
}
