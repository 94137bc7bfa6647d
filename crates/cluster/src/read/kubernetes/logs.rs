//! Logs from Kubernetes itself, where there is no Loki: the ends of the logs of a few pods, the most
//! suspicious first.

use super::super::directory::Directory;
use super::super::lines::Lines;
use super::super::{Run, Source};
use super::api::encoded;
use super::events::suspicion;
use super::{Cluster, Pod};
use jiff::Timestamp;

/// Most lines, and most bytes, of a container.
const TAIL: usize = 500;
const BYTES: usize = 1 << 20;
/// Failures after which it is not tried with other pods.
const PATIENCE: usize = 5;

impl Cluster {
    /// The lines of the pods' logs; `None` where none can be had.
    pub(in super::super) fn logs(
        &mut self,
        run: &mut Run<'_>,
        directory: &Directory,
    ) -> Option<Lines> {
        self.api.until(run.deadline);
        let mut pods: Vec<&Pod> = self.objects.pods.iter().collect();
        pods.sort_by_key(|pod| (u64::MAX - suspicion(pod), pod.metadata.name.as_str()));
        let most = run.ask.limits.log_pods;
        if pods.len() > most {
            run.cut.push(format!("logs of {most} of {} pods were read", pods.len()));
            pods.truncate(most);
        }
        let mut lines = Lines::new(run.ask.limits.log_texts);
        let (mut failures, mut full, mut read) = (0, 0, 0);
        let count = pods.len();
        for (done, pod) in pods.into_iter().enumerate() {
            run.step(Source::Kubernetes, "logs of pods", (done, count));
            let Some(service) = directory.named(&pod.metadata.name) else { continue };
            for (container, is_previous) in containers(pod, run) {
                match self.log(run, pod, (&container, is_previous)) {
                    Ok(text) => {
                        read += 1;
                        full += usize::from(text.lines().count() >= TAIL);
                        add(&mut lines, service, &text, run);
                    }
                    Err(why) if is_previous => drop(why),
                    Err(why) => {
                        failures += 1;
                        let what = format!("the log of {}", pod.metadata.name);
                        run.missing(Source::Kubernetes, what, why);
                    }
                }
            }
            if failures >= PATIENCE {
                break;
            }
        }
        if full > 0 {
            run.cut.push(format!("of {full} logs of containers the last {TAIL} lines were read"));
        }
        (read > 0).then_some(lines)
    }

    fn log(
        &self,
        run: &Run<'_>,
        pod: &Pod,
        (container, is_previous): (&str, bool),
    ) -> Result<String, String> {
        // Counted from now, whenever the incident was.
        let seconds = (Timestamp::now().as_second() - run.window.from).max(1);
        let url = format!(
            "/api/v1/namespaces/{}/pods/{}/log?container={}&timestamps=true&tailLines={TAIL}\
             &limitBytes={BYTES}&sinceSeconds={seconds}{}",
            run.ask.namespace,
            encoded(&pod.metadata.name),
            encoded(container),
            if is_previous { "&previous=true" } else { "" },
        );
        self.api.get(&url, "*/*").map_err(super::api::Refusal::why)
    }
}

/// The containers of a pod to read the logs of, and whether those of the container before a restart.
fn containers(pod: &Pod, run: &Run<'_>) -> Vec<(String, bool)> {
    let mut containers = Vec::new();
    for it in pod.spec.containers.iter().take(4) {
        let status = pod.status.container_statuses.iter().find(|status| status.name == it.name);
        let ended = status.and_then(|it| it.last_state.terminated.as_ref()?.finished_at.0);
        if ended.is_some_and(|time| run.window.is_read(time)) {
            containers.push((it.name.clone(), true));
        }
        containers.push((it.name.clone(), false));
    }
    containers
}

/// Counts the lines of a log, each of which begins with its time.
fn add(lines: &mut Lines, service: &str, text: &str, run: &Run<'_>) {
    for line in text.lines() {
        let Some((time, line)) = line.split_once(' ') else { continue };
        if let Ok(time) = time.parse() {
            lines.add(service, time, line, (None, &run.window));
        }
    }
}
