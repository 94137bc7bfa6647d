//! Faults between services: names, certificates, policies, repetitions, dependencies, sidecars.

use super::Wording;
use crate::prose::template::Pool;
use sre::cause::Cause;

pub(super) const WORDINGS: [Wording; 6] = [
    Wording {
        cause: Cause::CertificateExpired,
        symptom: Pool {
            train: &[
                "Calls to {service} failed [before a request was sent|while the connection was set up].",
                "New connections to {service} were refused, old ones went on.",
                "The time that the certificate of {service} has left went {certificate}.",
            ],
            test: &[
                "Whoever had to greet {service} anew was turned away.",
                "Encrypted sessions with {service} could no longer be opened.",
            ],
        },
        why: Pool {
            train: &[
                "The certificate is past its end date, so no client trusts it any more.",
                "[The handshake fails|Handshakes fail] because the certificate of {service} has ended; nothing was changed.",
                "A certificate ends at a fixed minute, and that minute has come without a new one.",
            ],
            test: &[
                "Nobody had renewed the credential of {service}, and its last day went by.",
                "Trust ran out on schedule: the certificate was valid until now and no longer.",
            ],
        },
        fix: Pool {
            train: &[
                "A new certificate ends it: {action}.",
                "[Issue|Obtain] the certificate anew and let {service} load it.",
                "Renew the certificate; clients need no change.",
            ],
            test: &[
                "Replace the lapsed credential: {action}.",
                "Have a fresh certificate signed and serve it.",
            ],
        },
        prevention: Pool {
            train: &[
                "Alert 21 days before a certificate ends.",
                "Renew certificates by machine.",
                "Check what is served from outside, not what is stored.",
            ],
            test: &[
                "List every certificate with its last day on one page.",
                "Rehearse the renewal once a quarter.",
            ],
        },
    },
    Wording {
        cause: Cause::DnsFailure,
        symptom: Pool {
            train: &[
                "{service} could not [find|reach] others by name.",
                "Name lookups of {service} went {dns}.",
                "Calls of {service} failed before a connection was tried, though the callees were healthy.",
            ],
            test: &[
                "{service} asked for addresses and got no answer.",
                "Resolution at {service} moved {dns}.",
            ],
        },
        why: Pool {
            train: &[
                "Names do not resolve, so even a healthy service cannot be called.",
                "The name servers [answer late or not at all|do not answer]; everything that needs a name waits for them.",
                "The failing step comes before the connection: the address is not known.",
            ],
            test: &[
                "Without a working resolver the map from names to addresses is gone.",
                "The directory of the cluster was out of order, not those listed in it.",
            ],
        },
        fix: Pool {
            train: &[
                "Fresh name servers answer again: {action}.",
                "[Restart|Renew] the cluster's name servers and look at their load.",
                "Get name resolution back first; the rest recovers by itself.",
            ],
            test: &[
                "Cycle the resolvers: {action}.",
                "Bring the name service up again and leave its clients alone.",
            ],
        },
        prevention: Pool {
            train: &[
                "Alert on time and failures of name lookups.",
                "Run a name cache on every node.",
                "Use full names with a dot at the end where many lookups are made.",
            ],
            test: &[
                "Probe the resolvers from each node every minute.",
                "Give the name service more replicas than it needs.",
            ],
        },
    },
    Wording {
        cause: Cause::RetryStorm,
        symptom: Pool {
            train: &[
                "Repeated requests towards {service} went {retries}.",
                "{service} got [many times its usual load|far more requests than users sent].",
                "Requests at {service} went {requests}, and most of them were the same ones again.",
            ],
            test: &[
                "{service} drowned in second and third attempts.",
                "The traffic at {service} ({requests}) had no counterpart at the edge.",
            ],
        },
        why: Pool {
            train: &[
                "Callers repeat what failed [without pause|at once], and the repetitions are now the load that makes it fail.",
                "A short trouble was turned into a long one: every failure brings more requests.",
                "{service} cannot recover, because its callers send each failed request again and again.",
            ],
            test: &[
                "The clients' eagerness feeds the outage that they are trying to get through.",
                "Each layer tries anew, and the attempts multiply on their way down.",
            ],
        },
        fix: Pool {
            train: &[
                "Fewer repetitions let it recover: {action}.",
                "[Limit|Cap] the repetitions at the callers, with pauses that grow.",
                "Shed load at {service} until the repetitions end.",
            ],
            test: &[
                "Tame the callers: {action}.",
                "Drop second attempts at the door until the first ones succeed.",
            ],
        },
        prevention: Pool {
            train: &[
                "Give every caller a budget for repetitions, with growing pauses and some chance.",
                "Repeat at one layer only.",
                "Alert when more than a tenth of requests are repetitions.",
            ],
            test: &[
                "Mark second attempts in a header, and serve them last.",
                "Break one dependency on purpose and watch who hammers it.",
            ],
        },
    },
    Wording {
        cause: Cause::SlowDependency,
        symptom: Pool {
            train: &[
                "Calls of {service} to the outside went {outside}.",
                "{service} spent its time waiting for [somebody else|an answer from outside].",
                "{service} became slow ({latency}) with little work of its own.",
            ],
            test: &[
                "{service} idled on the line to a third party.",
                "What {service} asks of others beyond the cluster took ever longer.",
            ],
        },
        why: Pool {
            train: &[
                "A dependency outside the cluster answers slowly, and {service} waits for it.",
                "The time is lost [outside|beyond the cluster], where nothing of ours runs.",
                "Requests that need the dependency hold threads that all the others need as well.",
            ],
            test: &[
                "A partner's interface lags, and its lag is passed on.",
                "The bottleneck belongs to a supplier; here one only sees the queue for it.",
            ],
        },
        fix: Pool {
            train: &[
                "Stop waiting for it: {action}.",
                "[Open|Trip] the circuit breaker and answer without the dependency.",
                "Fail such calls at once until the dependency is as fast as usual.",
            ],
            test: &[
                "Cut the line for now: {action}.",
                "Serve without the supplier and ask them about it.",
            ],
        },
        prevention: Pool {
            train: &[
                "Set time limits below those of the callers.",
                "Let the circuit breaker open by itself.",
                "Keep a last known answer for when the dependency is slow.",
            ],
            test: &[
                "Agree with the supplier on numbers, and measure them here.",
                "Isolate outside calls in a pool of threads of their own.",
            ],
        },
    },
    Wording {
        cause: Cause::NetworkPolicyBlocking,
        symptom: Pool {
            train: &[
                "Connections to {service} [timed out|got no answer], though it was healthy.",
                "Dropped connections at {service} went {dropped}.",
                "{service} had fewer requests than usual, while its callers waited in vain.",
            ],
            test: &[
                "Packets for {service} disappeared without a word.",
                "{service} was well and unreachable.",
            ],
        },
        why: Pool {
            train: &[
                "A network policy drops traffic that is needed; a dropped packet gets no reply, so callers wait until they time out.",
                "The policy [does not name|leaves out] those callers, and what it does not name is dropped.",
                "The way between the services is closed by a rule, not by a fault of either.",
            ],
            test: &[
                "A rule on the wire discards what {service} should have received.",
                "The allow list of the namespace misses a caller that has every right to be on it.",
            ],
        },
        fix: Pool {
            train: &[
                "A rule that allows the traffic opens the way: {action}.",
                "[Allow|Admit] the callers in the policy, or restore the one of before.",
                "Change the policy; restarts help nobody here.",
            ],
            test: &[
                "Let the packets pass: {action}.",
                "Add the missing peer to the policy's list.",
            ],
        },
        prevention: Pool {
            train: &[
                "Compare what can reach what before and after a change of policy.",
                "Log dropped connections.",
                "Try policies in a namespace for tests with the real call graph.",
            ],
            test: &[
                "Derive policies from observed calls and review the difference.",
                "Keep a probe running along every required path.",
            ],
        },
    },
    Wording {
        cause: Cause::BadSidecarInjection,
        symptom: Pool {
            train: &[
                "Pods of {service} came up [with a container too many|with an extra container], and did not serve.",
                "New pods of {service} failed, old ones without the extra container went on.",
                "Traffic reached the pods of {service} and went no further.",
            ],
            test: &[
                "{service} was fine until a second container joined it in its pods.",
                "Something between the network and {service} swallowed requests.",
            ],
        },
        why: Pool {
            train: &[
                "The injected sidecar [does not start|does not pass on what it takes], and the pod is only as good as it.",
                "The program is as before; the sidecar that was put beside it breaks the pod.",
                "Injection added a proxy that takes the traffic and loses it.",
            ],
            test: &[
                "The companion container, not the program, is what fails.",
                "A mutating webhook put something into the pods that they cannot live with.",
            ],
        },
        fix: Pool {
            train: &[
                "Pods without the sidecar work: {action}.",
                "[Switch off|Disable] injection for {service} and start its pods anew.",
                "Take the sidecar out until its version is repaired.",
            ],
            test: &[
                "Remove the companion: {action}.",
                "Opt the workload out of injection and recreate its pods.",
            ],
        },
        prevention: Pool {
            train: &[
                "Try a new injector in one namespace first.",
                "Alert on sidecars that are not ready.",
                "Pin the version of the sidecar for each service.",
            ],
            test: &[
                "Include the mesh in the tests of a release.",
                "Let the webhook fail open for services that cannot bear it.",
            ],
        },
    },
];
