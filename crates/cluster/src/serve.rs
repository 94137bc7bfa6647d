//! One simulated incident served as a cluster would show it: the read API of Kubernetes, the HTTP APIs of
//! Prometheus and Loki, and metrics for a real Prometheus to scrape; on loopback only, and nothing else
//! than reading.
//!
//! How it works inside: `prepare` moves the incident in time; `kubernetes`, `prometheus` and `loki` each
//! make their objects, series and streams of it once and answer requests from those; `replay` shows the
//! series to a scraper; `http` listens on a thread of its own. An answer is a function of the incident, the
//! options and the request: the clock of the served cluster stands at the incident's end. Only `replay`
//! looks at a real clock.

use jiff::Timestamp;
use sre::incident::Incident;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use tokio::sync::oneshot;

mod aggregate;
mod answer;
mod http;
mod kubeconfig;
mod kubernetes;
mod loki;
mod matcher;
mod prepare;
mod prometheus;
mod replay;
mod request;
mod scan;
mod site;
#[cfg(test)]
mod tests;
mod time;

pub use replay::scrape_config;
pub use site::Requests;

/// How an incident is served.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where to listen: an address of loopback; port 0 is any that is free.
    pub address: SocketAddr,
    /// The namespace that the services run in.
    pub namespace: String,
    /// The moment that the incident's end is moved to, and where the cluster's clock stands.
    pub end: Timestamp,
    /// How many times faster than the clock the incident goes by at `/metrics`.
    pub speed: f64,
    /// The bearer token without which requests are refused; none asks for none.
    pub token: Option<String>,
}

/// Why an incident cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An address that others could reach.
    #[error("{0} is no address of loopback: the lab serves this machine only")]
    NotLoopback(SocketAddr),
    /// The address is taken, or not ours.
    #[error("cannot listen on {address}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// No thread, or no runtime on it.
    #[error("cannot start the server")]
    Start(#[source] std::io::Error),
    /// A namespace that Kubernetes would not take.
    #[error("namespace {0:?} is no name of small letters, digits and hyphens, at most 63")]
    Namespace(String),
    /// A speed that is none.
    #[error("speed {0} is not a number above 0")]
    Speed(f64),
    /// The incident does not fit before its new end.
    #[error("the incident cannot be moved so that it ends at {0}")]
    Time(Timestamp),
}

/// An incident that is being served, until this is dropped.
#[derive(Debug)]
pub struct Served {
    address: SocketAddr,
    kubeconfig: String,
    site: Arc<site::Site>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Served {
    /// Starts to serve.
    ///
    /// # Errors
    /// For options that make no sense, and when the system gives no port or thread.
    pub fn start(incident: &Incident, options: Options) -> Result<Self, Error> {
        let wanted = options.address;
        if !wanted.ip().is_loopback() {
            return Err(Error::NotLoopback(wanted));
        }
        if !(options.speed.is_finite() && options.speed > 0.0) {
            return Err(Error::Speed(options.speed));
        }
        let scene = prepare::prepare(incident, &options)?;
        let failed = |source| Error::Listen { address: wanted, source };
        let listener = TcpListener::bind(wanted).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let kubeconfig = kubeconfig::text(address, &options);
        let site = Arc::new(site::Site::new(&scene, &options));
        let (stop, stopped) = oneshot::channel();
        let serving = http::Server::new(listener, Arc::clone(&site)).map_err(Error::Start)?;
        let thread = std::thread::Builder::new().name("lab".into());
        let thread = thread.spawn(move || serving.run(stopped)).map_err(Error::Start)?;
        Ok(Self { address, kubeconfig, site, stop: Some(stop), thread: Some(thread) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The text of a kubeconfig that names this server.
    pub fn kubeconfig(&self) -> String {
        self.kubeconfig.clone()
    }

    /// How often what was asked for.
    pub fn requests(&self) -> Requests {
        self.site.requests()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            // It may have ended by itself.
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
