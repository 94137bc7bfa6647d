//! What is answered: a status, a type and a body that is there already or comes bit by bit.

use hyper::body::{Body, Bytes, Frame, SizeHint};
use serde_json::Value;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Interval, Sleep};

/// Seconds between the bookmarks of a watch.
const BOOKMARK_SECONDS: u64 = 10;

/// The answer to a request.
#[derive(Debug)]
pub(super) struct Answer {
    /// The status of HTTP.
    pub(super) status: u16,
    /// What the body is.
    pub(super) content_type: &'static str,
    /// The body.
    pub(super) content: Content,
}

/// What an answer holds.
#[derive(Debug)]
pub(super) enum Content {
    /// All of it.
    Whole(Vec<u8>),
    /// A watch that stays open.
    Watch(Watch),
}

/// What a watch sends.
#[derive(Debug)]
pub(super) struct Watch {
    /// Lines that are there at once.
    pub(super) first: Vec<Vec<u8>>,
    /// The line that comes now and then, if it was asked for.
    pub(super) bookmark: Option<Vec<u8>>,
    /// How long it stays open.
    pub(super) seconds: u64,
}

impl Answer {
    /// A document of JSON.
    pub(super) fn json(status: u16, value: &Value) -> Self {
        Self::bytes(status, "application/json", value.to_string().into_bytes())
    }

    /// Plain text.
    pub(super) fn text(status: u16, text: impl Into<String>) -> Self {
        Self::bytes(status, "text/plain; charset=utf-8", text.into().into_bytes())
    }

    /// Bytes of some type.
    pub(super) fn bytes(status: u16, content_type: &'static str, bytes: Vec<u8>) -> Self {
        Self { status, content_type, content: Content::Whole(bytes) }
    }
}

/// A body on its way. Made inside of the runtime: a watch needs its timers.
pub(super) struct Sending {
    ready: VecDeque<Bytes>,
    open: Option<Open>,
}

/// The rest of a watch.
struct Open {
    bookmark: Option<Bytes>,
    tick: Interval,
    end: Pin<Box<Sleep>>,
}

impl From<Content> for Sending {
    fn from(content: Content) -> Self {
        match content {
            Content::Whole(bytes) if bytes.is_empty() => {
                Self { ready: VecDeque::new(), open: None }
            }
            Content::Whole(bytes) => Self { ready: VecDeque::from([bytes.into()]), open: None },
            Content::Watch(watch) => {
                let period = Duration::from_secs(BOOKMARK_SECONDS);
                let tick = tokio::time::interval_at(tokio::time::Instant::now() + period, period);
                let end = Box::pin(tokio::time::sleep(Duration::from_secs(watch.seconds)));
                let open = Some(Open { bookmark: watch.bookmark.map(Bytes::from), tick, end });
                Self { ready: watch.first.into_iter().map(Bytes::from).collect(), open }
            }
        }
    }
}

impl Body for Sending {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Some(bytes) = self.ready.pop_front() {
            return Poll::Ready(Some(Ok(Frame::data(bytes))));
        }
        let Some(open) = &mut self.open else { return Poll::Ready(None) };
        if open.end.as_mut().poll(context).is_ready() {
            self.open = None;
            return Poll::Ready(None);
        }
        while open.tick.poll_tick(context).is_ready() {
            if let Some(bookmark) = &open.bookmark {
                return Poll::Ready(Some(Ok(Frame::data(bookmark.clone()))));
            }
        }
        Poll::Pending
    }

    fn is_end_stream(&self) -> bool {
        self.ready.is_empty() && self.open.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        match self.open {
            Some(_) => SizeHint::default(),
            None => SizeHint::with_exact(self.ready.iter().map(|it| it.len() as u64).sum()),
        }
    }
}
