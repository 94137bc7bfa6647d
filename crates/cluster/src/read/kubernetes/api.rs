//! GET requests to the API of Kubernetes, bounded in time and bytes, and lists in pages.

use super::super::address::is_loopback;
use super::super::http::passes;
use super::super::{KubernetesSource, Run};
use http_body_util::{BodyExt, Limited};
use kube::client::Body;
use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError as Wrong};
use kube::{Client, Config};
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use std::cell::Cell;
use std::fmt::Write as _;
use std::io::ErrorKind;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;
use ureq::http::header::{ACCEPT, RETRY_AFTER};
use ureq::http::{Request, StatusCode};

/// Where there is no configuration.
const NOTHING: &str =
    "there is neither a kubeconfig (KUBECONFIG, ~/.kube/config) nor the account of a pod";
/// Objects of a page.
const PAGE: usize = 500;
/// How often what may pass is tried again.
const RETRIES: u32 = 3;
/// What asks for names and times without contents.
const PARTIAL: &str = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";

/// The API.
pub(super) struct Api {
    runtime: Runtime,
    client: Client,
    host: String,
    deadline: Instant,
    answer_time: Duration,
    answer_bytes: usize,
    first_wait: Duration,
    /// How much speaks for it that asking on is in vain; two is enough.
    failures: Cell<u32>,
}

/// A whole list.
pub(super) struct Listed<T> {
    pub(super) items: Vec<T>,
    /// Objects that could not be understood.
    pub(super) unreadable: usize,
    /// Whether there are more.
    pub(super) is_cut: bool,
}

/// A page as it comes.
#[derive(Deserialize)]
struct Page {
    #[serde(default)]
    metadata: PageMeta,
    #[serde(default)]
    items: Option<Vec<Box<RawValue>>>,
}

#[derive(Default, Deserialize)]
struct PageMeta {
    #[serde(default, rename = "continue")]
    next: Option<String>,
}

/// Why a request gave nothing.
pub(super) struct Refusal {
    status: Option<StatusCode>,
    why: String,
    passes: Option<Option<Duration>>,
}

impl Api {
    /// The API that the configuration names. Nothing is sent yet.
    ///
    /// # Errors
    /// Why there is none, in a line.
    pub(super) fn new(source: &KubernetesSource, run: &Run<'_>) -> Result<Self, String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| error.to_string())?;
        let (client, host) = runtime.block_on(async {
            let config = config(source).await?;
            // Not the authority: it may have a user and a password before the host.
            let name = config.cluster_url.host().unwrap_or_default();
            let port = config.cluster_url.port_u16().map(|port| format!(":{port}"));
            let host = format!("{name}{}", port.unwrap_or_default());
            // Reading the credentials may fail with what a program printed, which may be a token.
            let client = Client::try_from(config).map_err(|error| match error {
                kube::Error::Auth(_) => {
                    format!("{host}: the credentials of the kubeconfig cannot be had")
                }
                other => format!("{host}: {}", root(&other)),
            })?;
            Ok::<_, String>((client, host))
        })?;
        let limits = &run.ask.limits;
        Ok(Self {
            runtime,
            client,
            host,
            deadline: run.deadline,
            answer_time: limits.answer_time,
            answer_bytes: usize::try_from(limits.answer_bytes).unwrap_or(usize::MAX),
            first_wait: limits.first_wait,
            failures: Cell::new(0),
        })
    }

    fn failed_by(&self, count: u32) {
        self.failures.set(self.failures.get().saturating_add(count));
    }

    /// Gives it time up to here.
    pub(super) fn until(&mut self, deadline: Instant) {
        self.deadline = deadline;
    }

    /// Whether nobody answers, or nobody who knows us.
    pub(super) fn is_down(&self) -> bool {
        self.failures.get() >= 2
    }

    /// All objects of a path, at most `most`.
    ///
    /// # Errors
    /// Why not, in a line.
    pub(super) fn list<T: DeserializeOwned>(
        &self,
        path: &str,
        is_partial: bool,
        most: usize,
    ) -> Result<Listed<T>, String> {
        let pages = match self.pages(path, is_partial, most) {
            // The list changed under its token: from the beginning, once.
            Err(refusal) if refusal.status == Some(StatusCode::GONE) => {
                self.pages(path, is_partial, most)
            }
            other => other,
        };
        let (raw, is_cut) = pages.map_err(|refusal| refusal.why)?;
        let mut listed = Listed { items: Vec::new(), unreadable: 0, is_cut };
        for item in raw {
            match serde_json::from_str(item.get()) {
                Ok(item) => listed.items.push(item),
                Err(_) => listed.unreadable += 1,
            }
        }
        Ok(listed)
    }

    fn pages(
        &self,
        path: &str,
        is_partial: bool,
        most: usize,
    ) -> Result<(Vec<Box<RawValue>>, bool), Refusal> {
        let accept = if is_partial { PARTIAL } else { "application/json" };
        let (mut all, mut next) = (Vec::new(), String::new());
        loop {
            let mut url = format!("{path}?limit={}", PAGE.min(most.max(1)));
            if !next.is_empty() {
                let _ = write!(url, "&continue={}", encoded(&next));
            }
            let text = self.get(&url, accept)?;
            let page: Page = serde_json::from_str(&text).map_err(|error| {
                let problem = if error.is_eof() { "breaks off" } else { "is no list" };
                self.refusal(None, &format!("the answer {problem}"))
            })?;
            let items = page.items.unwrap_or_default();
            let (came, seen) = (items.len(), next);
            all.extend(items);
            next = page.metadata.next.unwrap_or_default();
            let is_over = all.len() > most;
            all.truncate(most);
            // A server that gives the same token twice, or a token and nothing, would never end.
            if next.is_empty() || is_over || all.len() >= most || next == seen || came == 0 {
                let is_cut = is_over || (!next.is_empty() && all.len() >= most);
                return Ok((all, is_cut));
            }
        }
    }

    /// The text of an answer.
    pub(super) fn get(&self, url: &str, accept: &str) -> Result<String, Refusal> {
        let mut wait = self.first_wait;
        for again in 0.. {
            let refusal = match self.once(url, accept) {
                Ok(text) => return Ok(text),
                Err(refusal) => refusal,
            };
            let Some(after) = refusal.passes else {
                if refusal.status == Some(StatusCode::UNAUTHORIZED) {
                    self.failed_by(2);
                }
                return Err(refusal);
            };
            let pause = after.unwrap_or(wait);
            if again >= RETRIES || pause >= self.deadline.saturating_duration_since(Instant::now())
            {
                self.failed_by(if refusal.status.is_none() { 2 } else { 0 });
                return Err(refusal);
            }
            std::thread::sleep(pause);
            wait *= 2;
        }
        Err(self.refusal(None, "no time was left to ask"))
    }

    fn once(&self, url: &str, accept: &str) -> Result<String, Refusal> {
        let left = self.deadline.saturating_duration_since(Instant::now()).min(self.answer_time);
        if left.is_zero() {
            return Err(self.refusal(None, "no time was left to ask"));
        }
        let request = Request::get(url).header(ACCEPT, accept).body(Body::empty());
        let request = request.map_err(|error| self.refusal(None, &error.to_string()))?;
        let exchange = async {
            let answer = self.client.send(request).await.map_err(|error| self.failed(&error))?;
            let (status, headers) = (answer.status(), answer.headers().clone());
            let body = Limited::new(answer.into_body(), self.answer_bytes).collect().await;
            let bytes = body.map_err(|_| {
                let most = self.answer_bytes;
                let why = format!("the answer breaks off, or has more than {most} bytes");
                self.refusal(None, &why)
            })?;
            let text = String::from_utf8_lossy(&bytes.to_bytes()).into_owned();
            if status.is_success() {
                return Ok(text);
            }
            let after = headers.get(RETRY_AFTER).and_then(|it| it.to_str().ok()?.parse().ok());
            Err(self.refused(status, &text, after.map(Duration::from_secs)))
        };
        self.runtime.block_on(async {
            match tokio::time::timeout(left, exchange).await {
                Ok(answer) => answer,
                Err(_) => {
                    // One list may be too long for its time.
                    self.failed_by(1);
                    Err(self.refusal(None, "it did not answer in time"))
                }
            }
        })
    }

    /// What a status means.
    fn refused(&self, status: StatusCode, text: &str, after: Option<Duration>) -> Refusal {
        #[derive(Deserialize)]
        struct Told {
            message: String,
        }
        let told = serde_json::from_str::<Told>(text).map(|it| it.message).unwrap_or_default();
        let told = sre::incident::plain(&told, 160);
        let code = status.as_u16();
        let why = match code {
            300..=399 => "it sends us elsewhere, which is not followed".to_owned(),
            401 => "it does not know us (401): the credentials of the kubeconfig have ended?"
                .to_owned(),
            403 => "not allowed (403): docs/diagnose.md has a Role that allows it".to_owned(),
            _ if told.is_empty() => format!("it answers {code}"),
            _ => format!("it answers {code}: {told}"),
        };
        let passing = passes(status).then_some(after);
        Refusal { passes: passing, ..self.refusal(Some(status), &why) }
    }

    fn failed(&self, error: &kube::Error) -> Refusal {
        match error {
            // What a program for credentials printed may hold a token.
            kube::Error::Auth(_) => {
                self.refusal(None, "the credentials of the kubeconfig cannot be had")
            }
            other => Refusal { passes: Some(None), ..self.refusal(None, &root(other)) },
        }
    }

    fn refusal(&self, status: Option<StatusCode>, why: &str) -> Refusal {
        Refusal { status, why: format!("{}: {why}", self.host), passes: None }
    }
}

impl Refusal {
    /// The reason, in a line.
    pub(super) fn why(self) -> String {
        self.why
    }
}

/// The configuration that `kubectl` would take, or that of a pod.
async fn config(source: &KubernetesSource) -> Result<Config, String> {
    let options = KubeConfigOptions { context: source.context.clone(), ..Default::default() };
    let config = match &source.kubeconfig {
        Some(file) => {
            let kubeconfig = Kubeconfig::read_from(file).map_err(|error| shown(&error))?;
            Config::from_custom_kubeconfig(kubeconfig, &options)
                .await
                .map_err(|error| shown(&error))
        }
        None if source.context.is_some() => {
            Config::from_kubeconfig(&options).await.map_err(|error| shown(&error))
        }
        None => match Config::from_kubeconfig(&options).await {
            Ok(config) => Ok(config),
            Err(error) => Config::incluster().map_err(|_| match error {
                Wrong::FindPath => NOTHING.to_owned(),
                Wrong::ReadConfig(error, _) if error.kind() == ErrorKind::NotFound => {
                    NOTHING.to_owned()
                }
                error => shown(&error),
            }),
        },
    };
    let mut config = config?;
    let auth = &config.auth_info;
    let is_secret = auth.token.is_some()
        || auth.token_file.is_some()
        || auth.password.is_some()
        || auth.exec.is_some()
        || auth.auth_provider.is_some();
    let host = config.cluster_url.host().unwrap_or_default();
    if is_secret && config.cluster_url.scheme_str() == Some("http") && !is_loopback(host) {
        return Err(format!("{host}: credentials would travel in the open; use https"));
    }
    if let Some(token) = &config.auth_info.token {
        // One that ends with a line break is a common slip; one with others is none.
        let token = token.expose_secret().trim();
        if token.bytes().any(|byte| !(0x21..=0x7e).contains(&byte)) {
            return Err("the token of the kubeconfig has characters that no token has".to_owned());
        }
        config.auth_info.token = Some(token.to_owned().into());
    }
    // Tried again here, where it is known how much time is left.
    config.default_retry = false;
    config.connect_timeout = Some(Duration::from_secs(10));
    Ok(config)
}

/// What is wrong with a kubeconfig. Its contents are not repeated: an error of the form may quote a
/// token.
fn shown(error: &Wrong) -> String {
    match error {
        Wrong::CurrentContextNotSet => "the kubeconfig has no current context".to_owned(),
        Wrong::LoadContext(name) => format!("the kubeconfig has no context {name:?}"),
        Wrong::LoadClusterOfContext(name) => format!("the kubeconfig has no cluster {name:?}"),
        Wrong::ReadConfig(error, path) => format!("{}: {error}", path.display()),
        _ => "the kubeconfig cannot be used".to_owned(),
    }
}

/// The innermost cause, which says most.
fn root(error: &kube::Error) -> String {
    if let kube::Error::ProxyProtocolUnsupported { .. }
    | kube::Error::ProxyProtocolDisabled { .. } = error
    {
        // The address of a proxy may hold a password.
        return "a proxy (of the kubeconfig, or HTTPS_PROXY) is not supported; NO_PROXY excepts hosts".to_owned();
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

/// A value for the query of an address.
pub(super) fn encoded(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}
