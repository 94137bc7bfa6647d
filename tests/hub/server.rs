//! A hub on the loopback: one server that lists and redirects, and one for the storage that it
//! redirects to, as another host would be.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Bytes from which on a file is in the storage.
const LARGE: usize = 4096;

/// What was asked.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// Whether it was asked of the storage.
    pub(crate) storage: bool,
    /// The path with what stands behind a question mark.
    pub(crate) path: String,
    /// The value of `Authorization`.
    pub(crate) token: Option<String>,
    /// The first byte of the range that was asked for.
    pub(crate) from: Option<usize>,
}

/// What is answered.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reply {
    /// The status.
    pub(crate) status: u16,
    /// Header lines.
    pub(crate) headers: Vec<String>,
    /// The content.
    pub(crate) body: Vec<u8>,
    /// After so many bytes of it the connection is closed.
    pub(crate) cut: Option<usize>,
    /// So much time passes between two pieces of it.
    pub(crate) pause: Duration,
}

/// Changes answers: by what was asked, how often that was, and the usual answer.
type Change = dyn Fn(&Asked, usize, Reply) -> Reply + Send + Sync;

/// A running hub.
pub(crate) struct Hub {
    /// For `HF_ENDPOINT`.
    pub(crate) endpoint: String,
    state: Arc<State>,
}

struct State {
    storage: Mutex<String>,
    repository: Mutex<Repository>,
    asked: Mutex<Vec<Asked>>,
    change: Box<Change>,
}

/// The one repository, `org/tiny`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Repository {
    /// What `main` is.
    pub(crate) commit: String,
    /// Files by name, of every commit.
    pub(crate) files: BTreeMap<String, Vec<u8>>,
}

impl Repository {
    /// With the files of a directory, and more.
    pub(crate) fn of(directory: &std::path::Path, more: &[(&str, &[u8])]) -> Repository {
        let mut files = BTreeMap::new();
        for entry in std::fs::read_dir(directory).expect("a model") {
            let path = entry.expect("entry").path();
            let name = path.file_name().expect("name").to_string_lossy().into_owned();
            files.insert(name, std::fs::read(&path).expect("file"));
        }
        files.extend(more.iter().map(|(name, content)| ((*name).to_owned(), content.to_vec())));
        Repository { commit: "a".repeat(40), files }
    }

    fn listing(&self) -> String {
        let sibling = |(name, content): (&String, &Vec<u8>)| {
            let (size, hash) = (content.len(), files::sha256(content));
            let lfs = (size >= LARGE)
                .then(|| serde_json::json!({ "sha256": hash, "size": size, "pointerSize": 130 }));
            serde_json::json!({ "rfilename": name, "size": size, "blobId": &hash[..40], "lfs": lfs })
        };
        let siblings: Vec<_> = self.files.iter().map(sibling).collect();
        serde_json::json!({ "id": "org/tiny", "sha": self.commit, "siblings": siblings })
            .to_string()
    }
}

impl Hub {
    /// Serves a repository as the hub does.
    pub(crate) fn new(repository: Repository) -> Hub {
        Hub::changed(repository, |_, _, reply| reply)
    }

    /// Serves a repository with answers that are changed.
    pub(crate) fn changed(
        repository: Repository,
        change: impl Fn(&Asked, usize, Reply) -> Reply + Send + Sync + 'static,
    ) -> Hub {
        let state = Arc::new(State {
            storage: Mutex::default(),
            repository: Mutex::new(repository),
            asked: Mutex::default(),
            change: Box::new(change),
        });
        let storage = listen(&state, true);
        *state.storage.lock().expect("state") = storage;
        Hub { endpoint: listen(&state, false), state }
    }

    /// All that was asked so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.state.asked.lock().expect("state").clone()
    }

    /// What was asked for a file's content, of the storage or, where it is small, of the hub.
    pub(crate) fn asked_of(&self, file: &str) -> Vec<Asked> {
        let content = self.state.repository.lock().expect("state").files[file].clone();
        let end = format!("/{}?signature=x", files::sha256(&content));
        self.asked().into_iter().filter(|it| it.storage && it.path.ends_with(&end)).collect()
    }

    /// Changes the repository.
    pub(crate) fn commit(&self, change: impl FnOnce(&mut Repository)) {
        change(&mut self.state.repository.lock().expect("state"));
    }
}

/// Answers on a port of its own, for as long as the tests run.
fn listen(state: &Arc<State>, storage: bool) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("address");
    let state = Arc::clone(state);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let state = Arc::clone(&state);
            // Whoever hangs up has seen enough.
            std::thread::spawn(move || answer(&state, storage, &stream).unwrap_or_default());
        }
    });
    format!("http://{address}")
}

fn answer(state: &State, storage: bool, stream: &TcpStream) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream).lines();
    let first = lines.next().transpose()?.unwrap_or_default();
    let mut asked = Asked { storage, path: String::new(), token: None, from: None };
    asked.path = first.split(' ').nth(1).unwrap_or_default().to_owned();
    for line in lines {
        let line = line?;
        let Some((name, value)) = line.split_once(':') else { break };
        match name.to_ascii_lowercase().as_str() {
            "authorization" => asked.token = Some(value.trim().to_owned()),
            "range" => {
                asked.from =
                    value.trim().trim_start_matches("bytes=").trim_end_matches('-').parse().ok();
            }
            _ => {}
        }
    }
    let before = {
        let mut all = state.asked.lock().expect("state");
        all.push(asked.clone());
        all.iter().filter(|it| it.path == asked.path).count() - 1
    };
    send(stream, &(state.change)(&asked, before, usual(state, &asked)))
}

/// What the hub answers.
fn usual(state: &State, asked: &Asked) -> Reply {
    let repository = state.repository.lock().expect("state");
    let (path, storage) = (asked.path.as_str(), state.storage.lock().expect("state").clone());
    if asked.storage {
        let hash = path.trim_start_matches("/blobs/").split('?').next().unwrap_or_default();
        let content = repository.files.values().find(|it| files::sha256(it) == hash);
        return content.map_or_else(|| status(404, ""), |content| part(content, asked.from));
    }
    if path.starts_with("/api/models/org/tiny/revision/") {
        let revision =
            path.rsplit('/').next().and_then(|it| it.split('?').next()).unwrap_or_default();
        let known =
            revision == "main" || revision == repository.commit || revision == "refs%2Fpr%2F1";
        return match known {
            true => Reply { status: 200, body: repository.listing().into(), ..Reply::default() },
            false => status(404, "RevisionNotFound"),
        };
    }
    let prefix = format!("/org/tiny/resolve/{}/", repository.commit);
    match path.strip_prefix(&prefix).and_then(|name| repository.files.get(name)) {
        Some(content) if content.len() >= LARGE => Reply {
            status: 302,
            headers: vec![format!(
                "Location: {storage}/blobs/{}?signature=x",
                files::sha256(content)
            )],
            ..Reply::default()
        },
        Some(content) => part(content, asked.from),
        None if path.starts_with(&prefix) => status(404, "EntryNotFound"),
        None => status(401, "RepoNotFound"),
    }
}

/// An error, with the code that the hub gives it.
pub(crate) fn status(status: u16, code: &str) -> Reply {
    Reply { status, headers: vec![format!("X-Error-Code: {code}")], ..Reply::default() }
}

fn part(content: &[u8], from: Option<usize>) -> Reply {
    match from {
        None => Reply { status: 200, body: content.to_vec(), ..Reply::default() },
        Some(from) if from < content.len() => Reply {
            status: 206,
            headers: vec![format!(
                "Content-Range: bytes {from}-{}/{}",
                content.len() - 1,
                content.len()
            )],
            body: content[from..].to_vec(),
            ..Reply::default()
        },
        Some(_) => status(416, ""),
    }
}

fn send(mut stream: &TcpStream, reply: &Reply) -> std::io::Result<()> {
    let length = reply.body.len();
    write!(
        stream,
        "HTTP/1.1 {} X\r\nContent-Length: {length}\r\nConnection: close\r\n",
        reply.status
    )?;
    for header in &reply.headers {
        write!(stream, "{header}\r\n")?;
    }
    stream.write_all(b"\r\n")?;
    for piece in reply.body[..reply.cut.unwrap_or(length).min(length)].chunks(16 << 10) {
        stream.write_all(piece)?;
        std::thread::sleep(reply.pause);
    }
    stream.flush()
}
