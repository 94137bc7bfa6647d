//! Who answers what: paths to the parts of the lab, the token, and the counting.

use super::Options;
use super::answer::Answer;
use super::kubernetes::Kubernetes;
use super::loki::Loki;
use super::prepare::Scene;
use super::prometheus::Prometheus;
use super::replay::Replay;
use super::request::Request;
use super::time::millis;
use std::sync::{Arc, Mutex};

/// How often what was asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Requests {
    /// Of Kubernetes, all together.
    pub kubernetes: u64,
    /// Of its logs of pods.
    pub logs: u64,
    /// Watches of Kubernetes.
    pub watches: u64,
    /// For Secrets, which are always refused.
    pub secrets: u64,
    /// Anything of Kubernetes but reading, which is always refused.
    pub writes: u64,
    /// Of Prometheus.
    pub prometheus: u64,
    /// Of Loki.
    pub loki: u64,
    /// Scrapes of `/metrics`.
    pub scrapes: u64,
    /// Without the token, where there is one.
    pub unauthorized: u64,
    /// Answered with any status from 400 on, those above among them.
    pub refused: u64,
}

/// Everything that is served.
#[derive(Debug)]
pub(super) struct Site {
    kubernetes: Kubernetes,
    prometheus: Prometheus,
    loki: Arc<Loki>,
    replay: Replay,
    token: Option<String>,
    requests: Mutex<Requests>,
}

impl Site {
    /// Of a prepared incident.
    pub(super) fn new(scene: &Scene, options: &Options) -> Self {
        let loki = Arc::new(Loki::new(scene));
        Self {
            kubernetes: Kubernetes::new(scene, Arc::clone(&loki)),
            prometheus: Prometheus::new(scene),
            loki,
            replay: Replay::new(millis(scene.first), options.speed),
            token: options.token.clone(),
            requests: Mutex::default(),
        }
    }

    /// How often what was asked for.
    pub(super) fn requests(&self) -> Requests {
        self.requests.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).clone()
    }

    /// Answers any request.
    pub(super) fn answer(&self, request: &Request) -> Answer {
        let mut counts = Requests::default();
        let answer = self.routed(request, &mut counts);
        counts.refused = u64::from(answer.status >= 400);
        let mut all = self.requests.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        all.add(&counts);
        answer
    }

    fn routed(&self, request: &Request, counts: &mut Requests) -> Answer {
        let segments = request.segments();
        let path: Vec<&str> = segments.iter().map(String::as_str).collect();
        if let ["ready"] | ["-", "ready" | "healthy"] = path[..] {
            return Answer::text(200, "ready\n");
        }
        let health = matches!(path[..], ["healthz" | "readyz" | "livez", ..]);
        if !health && !self.is_allowed(request) {
            counts.unauthorized = 1;
            return super::kubernetes::unauthorized();
        }
        // Queries may come as forms; that is reading as well.
        let reads = request.is_get() || request.method == "POST";
        match &path[..] {
            ["metrics"] if request.is_get() => {
                counts.scrapes = 1;
                return self.replay.answer(self.prometheus.store(), request);
            }
            ["loki", "api", "v1", rest @ ..] if reads => {
                counts.loki = 1;
                let answer = self.loki.answer(rest, request);
                return answer.unwrap_or_else(|| Answer::text(404, "404 page not found\n"));
            }
            ["api", "v1", rest @ ..] if reads => {
                if let Some(answer) = self.prometheus.answer(rest, request) {
                    counts.prometheus = 1;
                    return answer;
                }
            }
            _ => {}
        }
        counts.kubernetes = 1;
        self.kubernetes.answer(&path, request, counts)
    }

    fn is_allowed(&self, request: &Request) -> bool {
        let Some(token) = &self.token else { return true };
        let given = request.authorization.as_deref().unwrap_or_default();
        given.strip_prefix("Bearer ").is_some_and(|it| it == token)
    }
}

impl Requests {
    fn add(&mut self, more: &Requests) {
        self.kubernetes += more.kubernetes;
        self.logs += more.logs;
        self.watches += more.watches;
        self.secrets += more.secrets;
        self.writes += more.writes;
        self.prometheus += more.prometheus;
        self.loki += more.loki;
        self.scrapes += more.scrapes;
        self.unauthorized += more.unauthorized;
        self.refused += more.refused;
    }
}
