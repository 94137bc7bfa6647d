//! What is named as a model and is none.

use crate::command::Room;

#[test]
fn what_is_no_model() {
    let room = Room::new();
    let hint = "hint: name a directory with config.json and model.safetensors, a .gguf file, or a model of the hub \
                as ORG/NAME\n";
    for (named, what) in [
        ("nosuch", "directory"),
        ("./nosuch", "directory"),
        ("no/such/thing", "directory"),
        ("nosuch.gguf", "file"),
    ] {
        let error = format!("error: {named}: there is no such {what}\n{hint}");
        room.srek(&format!("generate --prompt a --model {named}")).fails(2, &error);
    }
    room.write("file", "");
    let error = format!("error: file: is no directory\n{hint}");
    room.srek("generate --prompt a --model file").fails(2, &error);
    room.write("theirs/pytorch_model.bin", "");
    room.srek("generate --prompt a --model theirs").fails(
        2,
        r"
error: theirs/model.safetensors: there is no such file
hint: pytorch_model.bin is not read: save the model as safetensors
",
    );
    room.srek("quantize --random nosuch --out out").fails(
        2,
        r#"
error: --random is "nosuch", expected one of llama3-8b, llama3.1-8b, llama3.1-70b, llama3.2-1b, llama3.2-3b, llama2-7b, tinyllama-1.1b
hint: take the shape of the model that will come; any other one is stored with --model
"#,
    );
    let ran = room.srek("quantize --out out");
    assert!(
        ran.code == Some(2) && ran.stderr.contains("<--model <MODEL>|--random <SHAPE>>"),
        "{ran:?}"
    );
}
