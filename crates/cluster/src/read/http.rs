//! Asks Prometheus and Loki: GET only, within a deadline, bounded, and without following anybody.

use super::{Error, HttpSource, Result, Run};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use ureq::http::header::{CONTENT_TYPE, LOCATION, RETRY_AFTER};
use ureq::http::{Response, StatusCode, Uri};
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::{Agent, Body};

/// Longest time until a connection stands.
const CONNECT: Duration = Duration::from_secs(10);
/// How often what may pass is tried again.
const RETRIES: u32 = 3;
/// Most bytes of an error's text that are looked at, and most characters that are shown.
const ERROR_BYTES: u64 = 64 << 10;
const ERROR_SHOWN: usize = 160;
/// Most different warnings that are told.
const MOST_WARNINGS: usize = 5;
/// The largest list of certificates.
const CERTIFICATES: u64 = 4 << 20;

/// A server that is asked.
pub(super) struct Remote {
    agent: Agent,
    source: HttpSource,
    deadline: Instant,
    answer_bytes: u64,
    answer_time: Duration,
    first_wait: Duration,
    /// Why it is not asked any more.
    down: Mutex<Option<String>>,
    /// How often in a row it did not answer in time, and whether it ever did.
    timeouts: AtomicU32,
    is_alive: AtomicBool,
    /// What it said of answers that it gave all the same.
    warnings: Mutex<BTreeSet<String>>,
}

/// Why there is no answer, in one line.
#[derive(Clone, Debug)]
pub(super) struct Trouble {
    /// The line.
    pub(super) why: String,
    /// Whether the server may answer if it is asked for less.
    pub(super) is_refusal: bool,
    /// Whether it would be the same for every request.
    lasts: bool,
    /// Whether it may pass, and after how long the server says so.
    passes: Option<Option<Duration>>,
}

impl Trouble {
    pub(super) fn new(why: impl Into<String>) -> Self {
        Self { why: why.into(), is_refusal: false, lasts: false, passes: None }
    }

    fn passing(why: impl Into<String>, after: Option<Duration>) -> Self {
        Self { passes: Some(after), ..Self::new(why) }
    }
}

impl Remote {
    /// A server. Nothing is sent yet.
    ///
    /// # Errors
    /// Credentials that would be sent for everybody to read, or certificates that cannot be read.
    pub(super) fn new(source: &HttpSource, run: &Run<'_>) -> Result<Self> {
        if source.address.is_open() && source.credentials.is_secret() {
            return Err(Error::Ask(format!(
                "{}: credentials would travel in the open\nhint: use https, or a tunnel to localhost \
                 such as `kubectl port-forward`",
                source.address
            )));
        }
        let config = Agent::config_builder()
            .user_agent("srek")
            .http_status_as_error(false)
            // Followed nowhere: who we are is for this server only.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_connect(Some(CONNECT))
            .tls_config(trusted()?);
        // A proxy would reach its own loopback, and read on the way what is meant for this machine.
        let config =
            if source.address.is_loopback() { config.proxy(None).build() } else { config.build() };
        let limits = &run.ask.limits;
        Ok(Self {
            agent: Agent::new_with_config(config),
            source: source.clone(),
            deadline: run.deadline,
            answer_bytes: limits.answer_bytes,
            answer_time: limits.answer_time,
            first_wait: limits.first_wait,
            down: Mutex::new(None),
            timeouts: AtomicU32::new(0),
            is_alive: AtomicBool::new(false),
            warnings: Mutex::default(),
        })
    }

    /// Whether there is no point in asking on.
    pub(super) fn is_down(&self) -> bool {
        self.why_down().is_some()
    }

    /// Notes what the server said of an answer that it gave all the same.
    pub(super) fn warned(&self, warnings: &[String]) {
        let mut known = self.warnings.lock().unwrap_or_else(PoisonError::into_inner);
        for warning in warnings.iter().take(MOST_WARNINGS.saturating_sub(known.len())) {
            let warning = sre::incident::plain(warning, ERROR_SHOWN);
            known.insert(self.trouble(&format!("it warns: {warning}")).why);
        }
    }

    /// What was noted.
    pub(super) fn warnings(&self) -> BTreeSet<String> {
        self.warnings.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The answer to a query, as JSON.
    pub(super) fn json<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, &str)],
    ) -> std::result::Result<T, Trouble> {
        if let Some(why) = self.why_down() {
            return Err(Trouble::new(why));
        }
        let answer = self.patiently(path, query);
        if let Err(trouble) = &answer
            && trouble.lasts
        {
            *self.down.lock().unwrap_or_else(PoisonError::into_inner) = Some(trouble.why.clone());
        }
        let text = answer?;
        serde_json::from_str(&text).map_err(|error| self.trouble(&misread(&text, &error)))
    }

    fn why_down(&self) -> Option<String> {
        self.down.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn patiently(
        &self,
        path: &str,
        query: &[(&str, &str)],
    ) -> std::result::Result<String, Trouble> {
        let mut wait = self.first_wait;
        for again in 0.. {
            let trouble = match self.once(path, query) {
                Ok(text) => {
                    self.timeouts.store(0, Ordering::Relaxed);
                    self.is_alive.store(true, Ordering::Relaxed);
                    return Ok(text);
                }
                Err(trouble) => trouble,
            };
            let Some(after) = trouble.passes else { return Err(trouble) };
            let pause = after.unwrap_or(wait);
            if again >= RETRIES || pause >= self.deadline.saturating_duration_since(Instant::now())
            {
                return Err(trouble);
            }
            std::thread::sleep(pause);
            wait *= 2;
        }
        Err(self.late())
    }

    fn once(&self, path: &str, query: &[(&str, &str)]) -> std::result::Result<String, Trouble> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(self.late());
        }
        let mut request = self
            .agent
            .get(self.source.address.join(path))
            .config()
            .timeout_global(Some(left.min(self.answer_time)))
            .build();
        for (name, value) in query {
            request = request.query(*name, *value);
        }
        for (name, value) in self.source.credentials.headers() {
            request = request.header(name, value);
        }
        let mut answer = request.call().map_err(|error| self.failed(&error))?;
        if !answer.status().is_success() {
            return Err(self.refused(&mut answer));
        }
        let is_page = |text: &str| text.trim_start().starts_with('<');
        let bytes = answer.body_mut().with_config().limit(self.answer_bytes).read_to_vec();
        let bytes = bytes.map_err(|error| self.failed(&error))?;
        // A byte that is no text spoils its own place, not the rest.
        let text = match String::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
        };
        if is_html(&answer) || is_page(&text) {
            let trouble =
                self.trouble("it answers with a web page instead of JSON: a page to log in?");
            return Err(Trouble { lasts: true, ..trouble });
        }
        Ok(text)
    }

    /// What a status means.
    fn refused(&self, answer: &mut Response<Body>) -> Trouble {
        let status = answer.status();
        let after = answer.headers().get(RETRY_AFTER).and_then(|it| it.to_str().ok());
        let after = after.and_then(|it| it.trim().parse().ok()).map(Duration::from_secs);
        let told = match is_html(answer) {
            true => String::new(),
            false => self.told(answer),
        };
        let told = if told.is_empty() { told } else { format!(": {told}") };
        let said = format!("it answers {}{told}", status.as_u16());
        match status.as_u16() {
            300..=399 => {
                let target = answer.headers().get(LOCATION).and_then(|it| it.to_str().ok());
                let host = target.and_then(|it| it.parse::<Uri>().ok());
                let host = host.and_then(|uri| Some(uri.host()?.to_owned()));
                let host = host.map(|host| format!(" ({host})")).unwrap_or_default();
                let why = format!("it sends us elsewhere{host}, which is not followed");
                Trouble { lasts: true, ..self.trouble(&why) }
            }
            401 | 403 => {
                let hint = match self.source.credentials.is_secret() {
                    true => "the credentials do not do",
                    false => "it wants credentials",
                };
                Trouble { lasts: true, ..self.trouble(&format!("{said} ({hint})")) }
            }
            429 | 500 | 502..=504 => Trouble::passing(self.trouble(&said).why, after),
            400..=499 => Trouble { is_refusal: true, ..self.trouble(&said) },
            _ => self.trouble(&said),
        }
    }

    /// What a server says about an error.
    fn told(&self, answer: &mut Response<Body>) -> String {
        #[derive(Deserialize)]
        struct Told {
            error: Option<String>,
            message: Option<String>,
        }
        let body = answer.body_mut().with_config().limit(ERROR_BYTES).read_to_vec();
        let text = String::from_utf8_lossy(&body.unwrap_or_default()).into_owned();
        let told = match serde_json::from_str::<Told>(&text) {
            Ok(told) => told.error.or(told.message).unwrap_or_default(),
            Err(_) if text.trim_start().starts_with(['<', '{']) => String::new(),
            Err(_) => text,
        };
        sre::incident::plain(&told, ERROR_SHOWN)
    }

    /// What a connection failed of.
    fn failed(&self, error: &ureq::Error) -> Trouble {
        use ureq::Error::{BodyExceedsLimit, HostNotFound, Timeout};
        let lasting = |why: &str| Trouble { lasts: true, ..self.trouble(why) };
        match error {
            Timeout(_) if Instant::now() >= self.deadline => self.late(),
            // Asking again would take as long again.
            Timeout(_) => {
                let timeouts = self.timeouts.fetch_add(1, Ordering::Relaxed) + 1;
                // One query may be too much for a server that answers others.
                let most = if self.is_alive.load(Ordering::Relaxed) { 4 } else { 2 };
                let trouble = self.trouble("it did not answer in time");
                Trouble { lasts: timeouts >= most, ..trouble }
            }
            BodyExceedsLimit(most) => {
                let trouble = self.trouble(&format!("the answer has more than {most} bytes"));
                Trouble { is_refusal: true, ..trouble }
            }
            HostNotFound => lasting("there is no such host"),
            ureq::Error::Io(io) if io.kind() == std::io::ErrorKind::ConnectionRefused => {
                let trouble = lasting("nobody listens there");
                Trouble { passes: Some(None), ..trouble }
            }
            _ => {
                let text = self.source.credentials.scrub(&error.to_string());
                let lasts = text.contains("certificate");
                let hint = if lasts { " (SSL_CERT_FILE names authorities to trust)" } else { "" };
                let trouble = self.trouble(&format!("{text}{hint}"));
                Trouble { lasts, passes: (!lasts).then_some(None), ..trouble }
            }
        }
    }

    fn late(&self) -> Trouble {
        Trouble { lasts: true, ..self.trouble("no time was left to ask") }
    }

    /// A reason that names this server.
    pub(super) fn trouble(&self, why: &str) -> Trouble {
        let why = self.source.credentials.scrub(why);
        Trouble::new(format!("{}: {why}", self.source.address.authority()))
    }
}

fn is_html(answer: &Response<Body>) -> bool {
    let kind = answer.headers().get(CONTENT_TYPE).and_then(|it| it.to_str().ok());
    kind.is_some_and(|kind| kind.to_ascii_lowercase().contains("html"))
}

/// What is wrong with an answer; what it says is not repeated.
fn misread(text: &str, error: &serde_json::Error) -> String {
    if error.is_eof() {
        return format!("the answer breaks off after {} bytes", text.len());
    }
    let (line, column) = (error.line(), error.column());
    format!("the answer has another form than expected, at line {line}, column {column}")
}

/// The certificates that are trusted: Mozilla's, or those that the environment names.
fn trusted() -> Result<TlsConfig> {
    let builder = TlsConfig::builder();
    let named = std::env::var_os("SSL_CERT_FILE").filter(|file| !file.is_empty());
    let Some(file) = named.map(PathBuf::from) else { return Ok(builder.build()) };
    let content = files::read(&file, CERTIFICATES)?;
    let mut certificates: Vec<Certificate<'static>> = Vec::new();
    for item in parse_pem(&content) {
        let item = item.map_err(|error| Error::Ask(format!("{}: {error}", file.display())))?;
        if let PemItem::Certificate(certificate) = item {
            certificates.push(certificate);
        }
    }
    Ok(builder.root_certs(RootCerts::new_with_certs(&certificates)).build())
}

/// Whether a status of Kubernetes may pass.
pub(super) fn passes(status: StatusCode) -> bool {
    matches!(status.as_u16(), 429 | 500 | 502..=504)
}
