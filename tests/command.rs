//! Runs the built `srek` as a user would, and compares what it says with what it should say.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The binary under test.
pub(crate) const SREK: &str = env!("CARGO_BIN_EXE_srek");

/// The root of the workspace.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the workspace")
}

/// The reference values of a variant of the small Llama.
pub(crate) fn golden(variant: &str) -> PathBuf {
    root().join("tests/goldens/llama").join(variant)
}

/// A directory for one test, in which its commands run.
pub(crate) struct Room {
    directory: tempfile::TempDir,
}

/// What a command did.
#[derive(Debug)]
pub(crate) struct Ran {
    /// Its exit code; none where a signal ended it.
    pub(crate) code: Option<i32>,
    /// Standard output.
    pub(crate) stdout: String,
    /// Standard error, with the test's directory as `DIR` and the workspace as `ROOT`.
    pub(crate) stderr: String,
}

impl Room {
    /// An empty directory.
    pub(crate) fn new() -> Room {
        Room { directory: tempfile::tempdir().expect("a temporary directory") }
    }

    /// A path in it.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Writes a file into it.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("directory");
        std::fs::write(&path, content).expect("file");
        path
    }

    /// Copies the files of a directory into one in the room.
    pub(crate) fn copy(&self, from: &Path, name: &str) -> PathBuf {
        let to = self.path(name);
        std::fs::create_dir_all(&to).expect("directory");
        for entry in std::fs::read_dir(from).expect("golden directory") {
            let path = entry.expect("entry").path();
            if path.is_file() {
                std::fs::copy(&path, to.join(path.file_name().expect("name"))).expect("copy");
            }
        }
        to
    }

    /// A command that runs in the room, without what the environment might add.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.directory.path()).env_remove("SREK_TIER").env("NO_COLOR", "1");
        // The embedded model is unpacked here and not in the cache of whoever runs the tests.
        command.env("XDG_CACHE_HOME", self.path(".cache"));
        // Neither is a model looked for outside of the machine, or with a token of theirs.
        for name in ["HF_HOME", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_TOKEN", "HF_ENDPOINT"]
        {
            command.env_remove(name);
        }
        command.env("HF_HUB_OFFLINE", "1");
        command
    }

    /// Runs `srek` with these arguments, words separated by spaces.
    pub(crate) fn srek(&self, arguments: &str) -> Ran {
        self.run(self.command(SREK).args(arguments.split_whitespace()))
    }

    /// As [`Room::srek`], for commands that must succeed.
    pub(crate) fn must(&self, arguments: &str) -> Ran {
        let ran = self.srek(arguments);
        assert_eq!(ran.code, Some(0), "srek {arguments}\n{}{}", ran.stdout, ran.stderr);
        ran
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, command: &mut Command) -> Ran {
        let output = command.output().expect("the program starts");
        self.ran(&output)
    }

    fn ran(&self, output: &Output) -> Ran {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let directory = self.directory.path().canonicalize().expect("the room");
        let stderr = text(&output.stderr)
            .replace(&*directory.to_string_lossy(), "DIR")
            .replace(&*root().to_string_lossy(), "ROOT");
        let stderr = without_numbers(&stderr);
        Ran { code: output.status.code(), stdout: text(&output.stdout), stderr }
    }
}

/// The text with the names of temporary directories cut short: they hold the number of a process.
fn without_numbers(text: &str) -> String {
    let mut pieces = text.split(".new-");
    let mut masked = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let rest = piece.trim_start_matches(|c: char| c.is_ascii_digit() || c == '-');
        masked.push_str(".new");
        masked.push_str(rest);
    }
    masked
}

impl Ran {
    /// Checks exit code and error text.
    #[track_caller]
    pub(crate) fn fails(&self, code: i32, stderr: &str) {
        let expected = stderr.trim_start_matches('\n');
        assert!(
            self.stderr == expected && self.code == Some(code),
            "\n--- expected, code {code}\n{expected}\n--- got, code {:?}\n{}",
            self.code,
            self.stderr
        );
    }

    /// The last line of standard output as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        let line = self.stdout.lines().last().expect("a last line");
        serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
    }
}
