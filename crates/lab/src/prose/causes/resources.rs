//! Faults of memory, CPU, pools, disks, replicas and quotas.

use super::Wording;
use crate::prose::template::Pool;
use sre::cause::Cause;

pub(super) const WORDINGS: [Wording; 9] = [
    Wording {
        cause: Cause::MemoryLimitTooLow,
        symptom: Pool {
            train: &[
                "Memory of {service} went {memory}.",
                "The containers of {service} [kept dying|did not stay up] and were started again.",
                "{service} [climbed|grew] in memory ({memory}) and then its containers were started anew.",
            ],
            test: &[
                "With its memory moving {memory}, {service} lost one container after another.",
                "Instances of {service} vanished in the middle of requests and came back empty.",
            ],
        },
        why: Pool {
            train: &[
                "The container was killed because its limit [was below|is smaller than] what the heap needs.",
                "The process needs more memory than the {memory_limit} it may use, so the kernel ends it [each time it gets there|again and again].",
                "The limit of {memory_limit} is too small for the working set of {service}; the kernel enforces it by killing the process.",
                "What {service} keeps in memory no longer fits under its limit, and the kernel does not negotiate about that.",
            ],
            test: &[
                "{service} was sized for less data than it holds today: it outgrew the {memory_limit} granted to it and paid with its life.",
                "The ceiling on memory stands lower than the program's ordinary appetite, hence the kills.",
            ],
        },
        fix: Pool {
            train: &[
                "[Raising|A higher] memory limit stops the kills: {action}.",
                "Give the containers more room first ({action}), then look for what grew.",
                "The limit has to go up; a restart alone [only starts the clock again|buys a few minutes].",
            ],
            test: &[
                "More headroom is the remedy: {action}.",
                "Lift the ceiling on memory before anything else is tried.",
            ],
        },
        prevention: Pool {
            train: &[
                "Alert when memory [passes|stays above] 85% of the limit.",
                "Derive the heap size from the container's limit instead of [fixing|hard-wiring] it.",
                "Run the load test with the memory limits of production.",
            ],
            test: &[
                "Review memory ceilings each quarter against the measured peak.",
                "Keep a fifth of the limit free at peak and page when it is not.",
            ],
        },
    },
    Wording {
        cause: Cause::CpuThrottling,
        symptom: Pool {
            train: &[
                "{service} answered slowly ({latency}) though hardly anything failed.",
                "Time in which {service} was held back went {throttling}.",
                "{service} became [slow|sluggish] in [bursts|fits], with no errors of its own to show.",
            ],
            test: &[
                "Responses from {service} stretched out while its error counters stayed silent.",
                "The scheduler held {service} back: throttled time moved {throttling}.",
            ],
        },
        why: Pool {
            train: &[
                "{service} [uses up|spends] its share of CPU early in each period and must stand still for the rest of it.",
                "The CPU limit of {cpu_limit} is reached in every period, and the scheduler makes the container wait.",
                "The work is not slower, it is paused: the container has used what its CPU limit allows.",
            ],
            test: &[
                "A quota of {cpu_limit} does not carry the present load, so each request sits out part of its time.",
                "Requests are parked, not processed, because the allowance of CPU runs dry within each slice.",
            ],
        },
        fix: Pool {
            train: &[
                "A higher CPU limit lets it run: {action}.",
                "[Raise the CPU limit|Lift the CPU limit] and watch throttled time fall.",
                "{service} needs more CPU per container: {action}.",
            ],
            test: &[
                "Grant the containers more processor time: {action}.",
                "Widening the CPU allowance removes the pauses.",
            ],
        },
        prevention: Pool {
            train: &[
                "Alert on throttled periods instead of CPU use.",
                "Set the number of workers from the CPU limit.",
                "Add throttling to the service's dashboard, next to latency.",
            ],
            test: &[
                "Page on the fraction of slices that were cut short.",
                "Let capacity reviews look at paused time, not at averages.",
            ],
        },
    },
    Wording {
        cause: Cause::ConnectionPoolExhausted,
        symptom: Pool {
            train: &[
                "Connections in use at {service} went {connections}.",
                "Requests to {service} [queued|piled up] while its CPU had little to do.",
                "At {service} callers waited for a connection ({waiting}).",
            ],
            test: &[
                "{service} sat idle and yet its clients ran into their time limits.",
                "Handles to the database were all out ({connections}) at {service}.",
            ],
        },
        why: Pool {
            train: &[
                "Every connection of the pool is taken, and requests wait until one comes back or they time out.",
                "{service} has fewer connections than requests that need one at the same time.",
                "The pool is [too small for the load|empty]: work waits for a connection, not for the database.",
            ],
            test: &[
                "All handles were lent out, so the next request had to stand in line for one.",
                "The number of connections caps the throughput of {service}, and the cap was hit.",
            ],
        },
        fix: Pool {
            train: &[
                "A larger pool clears the queue: {action}.",
                "[Allow|Permit] more connections, after a look at what the database can bear.",
                "Raise the pool's size and look for code that keeps connections too long.",
            ],
            test: &[
                "Enlarge the pool: {action}.",
                "Hand out more connections, as far as the database has some to give.",
            ],
        },
        prevention: Pool {
            train: &[
                "Alert on the time that requests wait for a connection.",
                "Return connections on every path, also when a query fails.",
                "Set a time limit on queries below that of the callers.",
            ],
            test: &[
                "Trace who borrows a connection for longer than a second.",
                "Put the pool's free slots on the dashboard with a threshold.",
            ],
        },
    },
    Wording {
        cause: Cause::DiskFull,
        symptom: Pool {
            train: &[
                "Space in use on the volume of {service} went {disk}.",
                "{service} could still [read|answer reads], but its writes failed.",
                "Writes at {service} [failed one after another|began to fail], and what depends on them stopped.",
            ],
            test: &[
                "Nothing could be stored at {service} any more, though lookups worked.",
                "The file system below {service} filled up ({disk}).",
            ],
        },
        why: Pool {
            train: &[
                "The volume [has no space left|is full], so everything that must be written before an answer fails.",
                "{service} filled its volume to the last block, and a write needs at least one more.",
                "There is no room on the disk for new data; reads do not notice, writes do.",
            ],
            test: &[
                "The storage of {service} ran out of blocks, which turns each write into an error.",
                "With the file system exhausted, journals cannot grow and the service stalls on them.",
            ],
        },
        fix: Pool {
            train: &[
                "A larger volume brings writes back: {action}.",
                "[Expand|Grow] the volume, then remove what is not needed.",
                "Make room on the disk: {action}.",
            ],
            test: &[
                "Extend the storage: {action}.",
                "Free blocks at once by deleting old segments, and give the claim more space.",
            ],
        },
        prevention: Pool {
            train: &[
                "Alert on the day a volume will be full, computed from its growth.",
                "Delete or archive old files on a schedule.",
                "Cap the size of logs and temporary files on data volumes.",
            ],
            test: &[
                "Forecast free blocks weekly and order space before it is short.",
                "Keep rotated files off the volume that holds data.",
            ],
        },
    },
    Wording {
        cause: Cause::AutoscalerAtMaximum,
        symptom: Pool {
            train: &[
                "Wanted replicas of {service} went {wanted}.",
                "Load on {service} grew ({requests}), and latency with it.",
                "Each replica of {service} had more and more to do, and no new one came.",
            ],
            test: &[
                "{service} stopped growing although demand did not.",
                "The fleet of {service} was as large as it may be and still short of hands.",
            ],
        },
        why: Pool {
            train: &[
                "The autoscaler [wants|asks for] more replicas than its maximum of {max_replicas} allows.",
                "Demand grew past what {max_replicas} replicas can carry, and no further one may start.",
                "{service} has as many replicas as it is allowed to have, so the rest of the load turns into waiting.",
            ],
            test: &[
                "The ceiling of {max_replicas} instances was set for a quieter time than this.",
                "Scaling ended where its configured bound is, not where the load is.",
            ],
        },
        fix: Pool {
            train: &[
                "Let it grow further: {action}.",
                "[Raise|Increase] the autoscaler's maximum if the nodes have room.",
                "A higher maximum lets the replicas follow the load again.",
            ],
            test: &[
                "Move the bound up: {action}.",
                "Permit more instances, provided that the nodes can host them.",
            ],
        },
        prevention: Pool {
            train: &[
                "Alert when an autoscaler stays at its maximum for ten minutes.",
                "Review the maxima before every season with more load.",
                "Test how much load the service bears at its maximum.",
            ],
            test: &[
                "Compare bounds of scaling with the busiest hour of each month.",
                "Let the on-call see how far each service is from its bound.",
            ],
        },
    },
    Wording {
        cause: Cause::LockContention,
        symptom: Pool {
            train: &[
                "At {service} work waited ({waiting}) while its CPU was idle.",
                "{service} [stood still|hardly moved] without being busy.",
                "Throughput of {service} went flat, and its requests queued.",
            ],
            test: &[
                "{service} dozed: much to do, no processor used.",
                "Everything at {service} stood in one line ({waiting}).",
            ],
        },
        why: Pool {
            train: &[
                "[Threads|Transactions] wait for the same lock, and only the one that holds it makes progress.",
                "One lock serialises the work of {service}; more load only makes the line longer.",
                "Whoever holds the lock does too much under it, and all the others wait.",
            ],
            test: &[
                "A single mutex is the narrow gate through which each request must pass.",
                "The same row or mutex was wanted by everybody at once, so they took turns.",
            ],
        },
        fix: Pool {
            train: &[
                "A restart lets go of what is held: {action}.",
                "[End|Break] the transaction that holds the lock, or restart the pods one by one.",
                "Restart first, as it frees the lock; the code that holds it too long comes after.",
            ],
            test: &[
                "Release the mutex by cycling the pods: {action}.",
                "Kill the holder and let the line dissolve.",
            ],
        },
        prevention: Pool {
            train: &[
                "Alert on the time spent waiting for locks.",
                "Do not call other services while a lock is held.",
                "Split the lock, or shorten what is done under it.",
            ],
            test: &[
                "Record who holds a lock for longer than 100 ms.",
                "Replace the global mutex by one per key.",
            ],
        },
    },
    Wording {
        cause: Cause::FileHandleLeak,
        symptom: Pool {
            train: &[
                "Open files of {service} went {files}.",
                "{service} worked for a long time and then could open [nothing|no file and no socket] any more.",
                "The number of open handles at {service} [climbed|grew] without a pause.",
            ],
            test: &[
                "Descriptors at {service} only ever rose ({files}).",
                "After hours of health {service} refused every new socket.",
            ],
        },
        why: Pool {
            train: &[
                "Handles are opened and never closed, until the process may not open another one.",
                "{service} [leaks|loses] file handles: each request leaves one behind.",
                "Some path through the code does not close what it opens, and the limit was reached.",
            ],
            test: &[
                "Descriptors are taken and not given back, so the table of the process is full.",
                "An error path forgets to close its socket; enough such errors and none is left.",
            ],
        },
        fix: Pool {
            train: &[
                "A restart gives the handles back for now: {action}.",
                "Restart the pods one after another, and keep a list of open files of one of them.",
                "[Restarting|A restart] helps for as long as it took to get here; the leak itself is in the code.",
            ],
            test: &[
                "Cycle the pods to empty their tables: {action}.",
                "New processes start with none in use, which buys time to find the leak.",
            ],
        },
        prevention: Pool {
            train: &[
                "Alert when open files only grow for six hours.",
                "Close handles on every path, also after an error.",
                "Count open files at the end of the integration tests.",
            ],
            test: &[
                "Plot descriptors per process and page on a steady slope.",
                "Let a linter find sockets without an owner that closes them.",
            ],
        },
    },
    Wording {
        cause: Cause::MessageBacklog,
        symptom: Pool {
            train: &[
                "Messages waiting for {service} went {queue}.",
                "Nothing failed at {service}, but results came later and later.",
                "The queue in front of {service} [grew|became longer] by the minute.",
            ],
            test: &[
                "{service} fell behind: its inbox moved {queue}.",
                "Outcomes were right but stale, as {service} worked on old messages.",
            ],
        },
        why: Pool {
            train: &[
                "The consumers [do not keep up|are too few]: more messages arrive than they can handle.",
                "{service} takes messages out more slowly than others put them in.",
                "{replicas} consumers are not enough for what arrives, so the queue grows.",
            ],
            test: &[
                "Arrivals outpace departures, and the difference piles up in the queue.",
                "With {replicas} consumers the drain is narrower than the tap.",
            ],
        },
        fix: Pool {
            train: &[
                "More consumers work the queue off: {action}.",
                "[Add replicas|Scale out] until the queue becomes shorter, and watch what stands behind.",
                "Run more replicas of {service} until the delay is gone.",
            ],
            test: &[
                "Widen the drain: {action}.",
                "Put more consumers on the queue for as long as it is long.",
            ],
        },
        prevention: Pool {
            train: &[
                "Alert on the age of the oldest message.",
                "Scale consumers by the length of the queue.",
                "Measure how many messages a consumer handles per second, and plan with it.",
            ],
            test: &[
                "Let the autoscaler look at lag rather than at CPU.",
                "Agree on the greatest delay that is acceptable and page on it.",
            ],
        },
    },
    Wording {
        cause: Cause::QuotaExhausted,
        symptom: Pool {
            train: &[
                "Use of the quota went {quota}.",
                "Pods of {service} that ended [were not replaced|had no successor].",
                "{service} wanted more pods than it got, and those it had bore the load.",
            ],
            test: &[
                "New pods of {service} were turned away at creation.",
                "{service} shrank whenever a pod ended, as none could be made.",
            ],
        },
        why: Pool {
            train: &[
                "The quota of the namespace is used up, so no pod can be created or replaced.",
                "The cluster has room, the namespace has none: its quota is [spent|exhausted].",
                "Every request for another pod is refused, because it would exceed what the namespace may use.",
            ],
            test: &[
                "The budget of the namespace is gone, and admission refuses anything beyond it.",
                "Whatever asks for CPU or memory here is over the namespace's allowance.",
            ],
        },
        fix: Pool {
            train: &[
                "A higher quota lets pods start: {action}.",
                "[Raise the quota|Free some of the quota], then the missing pods come by themselves.",
                "Give the namespace more, or stop what it does not need.",
            ],
            test: &[
                "Extend the namespace's allowance: {action}.",
                "Remove idle workloads from the namespace or grant it more.",
            ],
        },
        prevention: Pool {
            train: &[
                "Alert at 85% of every quota.",
                "Keep enough quota free for one rollout of the largest service.",
                "Review requests that are far above use.",
            ],
            test: &[
                "Show each team how much of its allowance is left.",
                "Check the allowance in the pipeline before a rollout begins.",
            ],
        },
    },
];
