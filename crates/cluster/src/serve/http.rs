//! The listener: one thread, HTTP/1, and a limit on everything that a client decides.

use super::answer::{Answer, Sending};
use super::request::{Params, Request};
use super::site::Site;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::header::{ACCEPT, AUTHORIZATION, CONNECTION, CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

/// Connections at a time; others wait.
const MOST_CONNECTIONS: usize = 128;
/// Requests of a connection before it is closed.
const MOST_REQUESTS: u32 = 10_000;
/// Bytes of a request's line and headers, and of its body.
const MOST_HEAD: usize = 64 << 10;
const MOST_BODY: usize = 1 << 20;
const MOST_HEADERS: usize = 64;
/// How long a client may take for the next request, and for its body.
const IDLE: Duration = Duration::from_secs(30);
/// How long a connection may live: longer than any watch.
const LONGEST: Duration = Duration::from_secs(2 * 3600);

/// A server that has its port and does not serve yet.
pub(super) struct Server {
    runtime: Runtime,
    listener: std::net::TcpListener,
    site: Arc<Site>,
}

impl Server {
    /// Of a listener that does not block.
    pub(super) fn new(listener: std::net::TcpListener, site: Arc<Site>) -> std::io::Result<Self> {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
        Ok(Self { runtime, listener, site })
    }

    /// Serves until it is told to stop, or whoever would tell it is gone.
    pub(super) fn run(self, mut stop: oneshot::Receiver<()>) {
        self.runtime.block_on(async {
            let Ok(listener) = TcpListener::from_std(self.listener) else { return };
            tokio::select! {
                _ = &mut stop => {}
                () = accept(listener, self.site) => {}
            }
        });
        // With the runtime go all connections.
    }
}

async fn accept(listener: TcpListener, site: Arc<Site>) {
    let slots = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    loop {
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                tokio::spawn(connection(stream, Arc::clone(&site), slot));
            }
            // Out of file handles, mostly: some will be closed.
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

async fn connection(stream: TcpStream, site: Arc<Site>, _slot: OwnedSemaphorePermit) {
    let count = Arc::new(AtomicU32::new(0));
    let service = service_fn(move |request| {
        let (site, count) = (Arc::clone(&site), Arc::clone(&count));
        async move {
            let last = count.fetch_add(1, Ordering::Relaxed) + 1 >= MOST_REQUESTS;
            Ok::<_, Infallible>(respond(&site, request, last).await)
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE)
        .max_buf_size(MOST_HEAD)
        .max_headers(MOST_HEADERS)
        .serve_connection(TokioIo::new(stream), service);
    // What went wrong there is the client's to know.
    let _ = tokio::time::timeout(LONGEST, connection).await;
}

async fn respond(site: &Site, request: hyper::Request<Incoming>, last: bool) -> Response<Sending> {
    let (answer, last) = match read(request).await {
        Ok(request) => (site.answer(&request), last),
        Err(answer) => (answer, true),
    };
    let mut response = Response::new(Sending::from(answer.content));
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or_default();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(answer.content_type));
    if last {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// The request with its form, or what to answer instead.
async fn read(request: hyper::Request<Incoming>) -> Result<Request, Answer> {
    let (head, body) = request.into_parts();
    let text = |name: HeaderName| {
        let values = head.headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        values.collect::<Vec<_>>().join(",")
    };
    let mut params = Params::default();
    params.add(head.uri.query().unwrap_or_default());
    let collected = tokio::time::timeout(IDLE, Limited::new(body, MOST_BODY).collect());
    let Ok(Ok(body)) = collected.await else {
        let problem = format!("a body of more than {MOST_BYTES} or one that did not come");
        return Err(Answer::text(413, problem));
    };
    if text(CONTENT_TYPE).starts_with("application/x-www-form-urlencoded") {
        params.add(&String::from_utf8_lossy(&body.to_bytes()));
    }
    Ok(Request {
        method: head.method.as_str().to_owned(),
        path: head.uri.path().to_owned(),
        params,
        accept: text(ACCEPT),
        authorization: Some(text(AUTHORIZATION)).filter(|it| !it.is_empty()),
    })
}

/// [`MOST_BODY`] in words.
const MOST_BYTES: &str = "1 MiB";
