//! Requests to the hub, and what its answers mean.

use super::listing::Listing;
use super::name::Name;
use super::settings::{Settings, Token};
use crate::exit::usage;
use anyhow::{Result, anyhow};
use std::io::Read;
use std::time::Duration;
use ureq::http::header::{ACCEPT_ENCODING, AUTHORIZATION, CONTENT_RANGE, LOCATION, RANGE};
use ureq::http::{HeaderMap, Response, StatusCode, Uri};
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::{Agent, Body};

/// Longest time until a connection stands, and between two pieces of an answer.
const CONNECT: Duration = Duration::from_secs(30);
const SILENCE: Duration = Duration::from_secs(60);
/// Most redirections of a request: from the hub to its storage is one.
const REDIRECTIONS: usize = 5;
/// The largest listing that is read.
const LISTING_BYTES: u64 = 16 << 20;
/// What can be done where nobody answers.
const AWAY: &str = "check the network, HTTPS_PROXY and HF_ENDPOINT, and try again; a directory that was copied here \
                    needs no hub";
/// Waits before what failed is tried again.
const WAITS: [Duration; 3] =
    [Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(4)];

/// The hub.
pub(super) struct Remote {
    agent: Agent,
    endpoint: String,
    token: Option<Token>,
}

/// Why there is no answer.
pub(super) enum Trouble {
    /// It may pass: nobody answered, the connection broke, the server is at its limits.
    Passing(String),
    /// It will be the same the next time.
    Lasting(anyhow::Error),
}

impl From<files::Error> for Trouble {
    fn from(error: files::Error) -> Trouble {
        Trouble::Lasting(error.into())
    }
}

/// The hub cannot be reached.
#[derive(Debug)]
pub(super) struct Unreachable(String);

impl std::fmt::Display for Unreachable {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(&self.0)
    }
}

impl std::error::Error for Unreachable {}

/// How often something failed without getting on in between.
#[derive(Default)]
pub(super) struct Patience(usize);

impl Patience {
    /// Waits before another try.
    ///
    /// # Errors
    /// What does not pass, or has not passed for too long.
    pub(super) fn after(&mut self, trouble: Trouble, got_on: bool) -> Result<()> {
        let message = match trouble {
            Trouble::Lasting(error) => return Err(error),
            Trouble::Passing(message) => message,
        };
        self.0 = if got_on { 0 } else { self.0 };
        let Some(&wait) = WAITS.get(self.0) else {
            let told = message.contains("\nhint: ");
            let message = if told { message } else { format!("{message}\nhint: {AWAY}") };
            return Err(Unreachable(message).into());
        };
        self.0 += 1;
        std::thread::sleep(wait);
        Ok(())
    }
}

impl Remote {
    /// The hub of the settings. Nothing is sent yet.
    ///
    /// # Errors
    /// A token or certificates that cannot be read.
    pub(super) fn new(settings: &Settings) -> Result<Remote> {
        let config = Agent::config_builder()
            .user_agent("srek")
            .http_status_as_error(false)
            // Followed here, where it is known who may see the token.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_connect(Some(CONNECT))
            .timeout_recv_response(Some(SILENCE))
            .timeout_per_read(Some(SILENCE))
            .tls_config(trusted()?)
            .build();
        let (endpoint, token) = (settings.endpoint.clone(), settings.token()?);
        Ok(Remote { agent: config.into(), endpoint, token })
    }

    /// What a repository has at a revision.
    ///
    /// # Errors
    /// A repository or a revision that does not exist or is not for everybody, or no answer.
    pub(super) fn listing(&self, name: &Name, revision: &str) -> Result<Listing> {
        let (endpoint, repository) = (&self.endpoint, &name.repository);
        let revision = revision.replace('/', "%2F");
        let url = format!("{endpoint}/api/models/{repository}/revision/{revision}?blobs=true");
        let mut patience = Patience::default();
        loop {
            match self.get(name, &url, 0).and_then(|answer| self.text(answer)) {
                Ok(text) => return Listing::parse(name, &text),
                Err(trouble) => patience.after(trouble, false)?,
            }
        }
    }

    /// The content of a file, from a byte on; and where it begins: at the byte, or at the start where
    /// a server knows no parts.
    pub(super) fn content(
        &self,
        (name, commit, file): (&Name, &str, &str),
        from: u64,
    ) -> Result<(u64, impl Read + use<>), Trouble> {
        let url = format!("{}/{}/resolve/{commit}/{file}", self.endpoint, name.repository);
        let answer = self.get(name, &url, from)?;
        let start = match answer.status() {
            StatusCode::PARTIAL_CONTENT => range_start(answer.headers()),
            _ => Some(0),
        };
        match start {
            Some(start) if start == 0 || start == from => {
                Ok((start, answer.into_body().into_reader()))
            }
            _ => Err(Trouble::Lasting(anyhow!(
                "{name}: {file}: another part came than was asked for"
            ))),
        }
    }

    fn text(&self, mut answer: Response<Body>) -> Result<String, Trouble> {
        let body = answer.body_mut().with_config().limit(LISTING_BYTES);
        body.read_to_string().map_err(|error| self.passing(&error))
    }

    /// Asks, and follows where the answer points to.
    fn get(&self, name: &Name, url: &str, from: u64) -> Result<Response<Body>, Trouble> {
        let home = origin(&self.endpoint);
        let mut url = url.to_owned();
        for _ in 0..=REDIRECTIONS {
            let mut request = self.agent.get(&url).header(ACCEPT_ENCODING, "identity");
            if from > 0 {
                request = request.header(RANGE, format!("bytes={from}-"));
            }
            if let Some(token) = self.token.as_ref().filter(|_| origin(&url) == home) {
                request = request.header(AUTHORIZATION, format!("Bearer {}", token.secret));
            }
            let answer = request.call().map_err(|error| self.passing(&error))?;
            if answer.status().is_success() {
                return Ok(answer);
            }
            if !answer.status().is_redirection() {
                return Err(self.refusal(name, answer.status(), answer.headers()));
            }
            url = next(&url, answer.headers())
                .ok_or_else(|| Trouble::Lasting(anyhow!("{name}: the hub points to no address")))?;
        }
        Err(Trouble::Lasting(anyhow!("{name}: the hub points from address to address")))
    }

    /// What a connection failed of. It names the hub also where its storage failed: addresses there
    /// hold signatures.
    fn passing(&self, error: &ureq::Error) -> Trouble {
        let message = format!("{}: {error}", self.endpoint);
        if !message.contains("certificate") {
            return Trouble::Passing(message);
        }
        let hint = "SSL_CERT_FILE names a file of the authorities to trust, such as your company's";
        Trouble::Lasting(Unreachable(format!("{message}\nhint: {hint}")).into())
    }

    /// What a status means.
    fn refusal(&self, name: &Name, status: StatusCode, headers: &HeaderMap) -> Trouble {
        let code = headers.get("x-error-code").and_then(|it| it.to_str().ok()).unwrap_or_default();
        let (endpoint, repository) = (&self.endpoint, &name.repository);
        let page = format!("{endpoint}/{repository}");
        let message = match (status.as_u16(), code, &self.token) {
            (404, "RevisionNotFound", _) => {
                format!("{name}: the repository has no revision {:?}", name.revision())
            }
            (401 | 404, "RepoNotFound", _) => format!(
                "{name}: there is no such repository, or it is private ({endpoint}, {status})\nhint: \
                 check the name; a private one needs a token in HF_TOKEN"
            ),
            (404, ..) => format!(
                "{name}: there is no such repository, revision or file ({endpoint}, {status})\nhint: \
                 check the name"
            ),
            (401 | 403, _, None) => format!(
                "{name}: the repository is gated or private, and there is no token ({status})\nhint: \
                 accept its licence on {page}, then set HF_TOKEN to a token of {endpoint}/settings/tokens"
            ),
            (401, "", Some(token)) => format!(
                "{name}: the hub does not know the token of {} ({status})\nhint: set HF_TOKEN to a token \
                 of {endpoint}/settings/tokens",
                token.source
            ),
            (401 | 403, _, Some(token)) => format!(
                "{name}: the repository is gated or private, and the token of {} gives no access to it \
                 ({status})\nhint: accept its licence on {page}; the token must be allowed to read it",
                token.source
            ),
            (408 | 429 | 500.., ..) => {
                return Trouble::Passing(format!("{endpoint}: it answers {status}"));
            }
            _ => format!("{name}: {endpoint} answers {status}"),
        };
        Trouble::Lasting(usage(message))
    }
}

/// Scheme, host and port of an address of the web.
pub(super) fn origin(url: &str) -> Option<(String, String, u16)> {
    let uri: Uri = url.parse().ok()?;
    let scheme = uri.scheme_str()?.to_ascii_lowercase();
    let usual = match scheme.as_str() {
        "https" => 443,
        "http" => 80,
        _ => return None,
    };
    let host = uri.host().filter(|host| !host.is_empty())?.to_ascii_lowercase();
    Some((scheme, host, uri.port_u16().unwrap_or(usual)))
}

/// Where an answer points to: an address, or a path of the same server. What was asked for in secret
/// goes on in secret.
fn next(url: &str, headers: &HeaderMap) -> Option<String> {
    let location = headers.get(LOCATION)?.to_str().ok()?;
    let (scheme, ..) = origin(url)?;
    if location.starts_with('/') && !location.starts_with("//") {
        let uri: Uri = url.parse().ok()?;
        return Some(format!("{scheme}://{}{location}", uri.authority()?));
    }
    let (to, ..) = origin(location)?;
    (to == scheme || to == "https").then(|| location.to_owned())
}

/// The first byte of `bytes 5-9/10`.
fn range_start(headers: &HeaderMap) -> Option<u64> {
    let range = headers.get(CONTENT_RANGE)?.to_str().ok()?;
    range.strip_prefix("bytes ")?.split_once('-')?.0.parse().ok()
}

/// The certificates that are trusted: Mozilla's, or those that the environment names.
fn trusted() -> Result<TlsConfig> {
    let builder = TlsConfig::builder();
    let Some((file, content)) = Settings::certificates()? else { return Ok(builder.build()) };
    let mut certificates: Vec<Certificate<'static>> = Vec::new();
    for item in parse_pem(&content) {
        let item = item.map_err(|error| usage(format!("{}: {error}", file.display())))?;
        if let PemItem::Certificate(certificate) = item {
            certificates.push(certificate);
        }
    }
    Ok(builder.root_certs(RootCerts::new_with_certs(&certificates)).build())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_is_for_one_server() {
        let home = origin("https://huggingface.co");
        assert_eq!(origin("https://HuggingFace.co:443/a?b"), home);
        for other in [
            "http://huggingface.co",
            "https://huggingface.co:8443",
            "https://huggingface.co.evil.org/",
            "https://huggingface.co@evil.org/",
            "https://cdn-lfs.huggingface.co/x",
        ] {
            assert_ne!(origin(other), home, "{other}");
        }
        for none in ["", "huggingface.co", "file:///etc/passwd", "https://", "ftp://a/b"] {
            assert_eq!(origin(none), None, "{none}");
        }
    }

    #[test]
    fn redirections_stay_secret() {
        let to = |from: &str, location: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(LOCATION, location.parse().expect("a header"));
            next(from, &headers)
        };
        let from = "https://hub.org:444/a/b?c";
        assert_eq!(to(from, "/x?y").as_deref(), Some("https://hub.org:444/x?y"));
        assert_eq!(to(from, "https://s.org/x").as_deref(), Some("https://s.org/x"));
        for refused in ["http://hub.org/x", "//evil.org/x", "x", "file:///x"] {
            assert_eq!(to(from, refused), None, "{refused}");
        }
        assert_eq!(to("http://a/b", "http://c/d").as_deref(), Some("http://c/d"));
    }
}
