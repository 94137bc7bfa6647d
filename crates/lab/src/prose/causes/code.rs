//! Faults that a change or the program itself brings.

use super::Wording;
use crate::prose::template::Pool;
use sre::cause::Cause;

pub(super) const WORDINGS: [Wording; 6] = [
    Wording {
        cause: Cause::BadRollout,
        symptom: Pool {
            train: &[
                "Errors of {service} went {errors}.",
                "{service} [began to misbehave|went wrong] soon after it was changed ({change}).",
                "{service} returned failures that it had never returned before.",
            ],
            test: &[
                "Until its last deployment {service} had behaved; since then it had not.",
                "{service} went bad shortly after \"{change}\".",
            ],
        },
        why: Pool {
            train: &[
                "The new version has a defect: what the old one handled, it does not.",
                "Trouble began with the rollout [{change}|that came shortly before], and nothing else changed at {service}.",
                "The code that was rolled out fails on requests that the version before could answer.",
            ],
            test: &[
                "The freshly deployed build carries a bug that its predecessor did not have.",
                "What differs from yesterday is the program itself, and the program is what fails.",
            ],
        },
        fix: Pool {
            train: &[
                "Going back to the version before ends it: {action}.",
                "[Roll back first|Undo the rollout] and look for the defect afterwards.",
                "The old version is known to work; return to it.",
            ],
            test: &[
                "Put the former build back: {action}.",
                "Reinstate the release before this one; debugging can wait.",
            ],
        },
        prevention: Pool {
            train: &[
                "Roll out to a small share first and stop when errors grow.",
                "Add the request that failed to the tests of a release.",
                "Let a rollout undo itself when its error rate is above that of the old version.",
            ],
            test: &[
                "Compare canary and baseline by machine before going on.",
                "Replay recorded traffic against each build ahead of its release.",
            ],
        },
    },
    Wording {
        cause: Cause::BadConfig,
        symptom: Pool {
            train: &[
                "{service} failed [after its settings were touched|once its pods had read a new value] ({change}).",
                "Errors of {service} went {errors}, with the same image as before.",
                "{service} complained about what it was told to use.",
            ],
            test: &[
                "The same build of {service} that worked an hour before now failed.",
                "Right after \"{change}\" {service} could no longer do its work.",
            ],
        },
        why: Pool {
            train: &[
                "A changed setting is wrong: the program does what it is told, and what it is told does not exist.",
                "The code is the one that ran well before; the value that it reads is not.",
                "The setting that was changed points {service} at [the wrong place|something that is not there].",
            ],
            test: &[
                "An edited value sends the program astray, while the program itself is unchanged.",
                "Somebody's edit of a config map broke the agreement between {service} and its surroundings.",
            ],
        },
        fix: Pool {
            train: &[
                "The old value brings it back: {action}.",
                "[Restore|Put back] the settings of before and restart the pods.",
                "Revert the change of the setting; no new image is needed.",
            ],
            test: &[
                "Reapply the former values: {action}.",
                "Take the edit back and let the pods read the map afresh.",
            ],
        },
        prevention: Pool {
            train: &[
                "Check settings against a schema before they are applied.",
                "Roll out settings in steps, as versions are.",
                "Let a pod fail at its start where a setting makes no sense.",
            ],
            test: &[
                "Require a second pair of eyes on edits of config maps.",
                "Validate every value at start-up and refuse to serve with a wrong one.",
            ],
        },
    },
    Wording {
        cause: Cause::WrongReadinessProbe,
        symptom: Pool {
            train: &[
                "Ready replicas of {service} went {ready}.",
                "Pods of {service} ran, yet [were taken out of the service|did not become ready].",
                "{service} had too few ready pods, though its logs [looked healthy|showed it at work].",
            ],
            test: &[
                "Containers of {service} were up, and still no traffic was sent to them.",
                "The count of pods in rotation at {service} moved {ready}.",
            ],
        },
        why: Pool {
            train: &[
                "The readiness probe asks for something that the container does not serve, so healthy pods count as not ready.",
                "The container works; the probe that judges it [is wrong|looks in the wrong place].",
                "Kubernetes believes the probe and takes good pods out of the service.",
            ],
            test: &[
                "The check of readiness is mistaken about the program, not the other way round.",
                "A path or port in the probe no longer matches the container it examines.",
            ],
        },
        fix: Pool {
            train: &[
                "A probe that asks the right question brings the pods back: {action}.",
                "[Correct|Repair] the path and the port of the probe.",
                "Change the probe, not the program: {action}.",
            ],
            test: &[
                "Aim the check at an endpoint that exists: {action}.",
                "Restore the probe that was in use before.",
            ],
        },
        prevention: Pool {
            train: &[
                "Test probes together with the image that they are for.",
                "Use the name of the container's port in its probe.",
                "Stop a rollout whose first pod does not become ready.",
            ],
            test: &[
                "Generate probes from the routes that a program declares.",
                "Run the probe by hand against a new build before it ships.",
            ],
        },
    },
    Wording {
        cause: Cause::ImagePullFailure,
        symptom: Pool {
            train: &[
                "New pods of {service} [never started|hung before their start].",
                "{service} had fewer replicas that are ready ({ready}).",
                "{service} kept only its old pods; the new ones waited for their image.",
            ],
            test: &[
                "Replacements for pods of {service} stayed empty shells.",
                "The rollout of {service} got stuck before a single line of its code ran.",
            ],
        },
        why: Pool {
            train: &[
                "The image [cannot be pulled|is not to be had]: the tag does not exist, or the registry refuses.",
                "The node asks the registry for an image that it does not get, so the container cannot be created.",
                "Nothing is wrong with the code, as it never arrives on the node.",
            ],
            test: &[
                "The registry would not hand over the image, and without it there is no container.",
                "The reference to the image leads nowhere.",
            ],
        },
        fix: Pool {
            train: &[
                "The version before is already on the nodes: {action}.",
                "[Go back|Return] to a tag that exists, then publish the right one.",
                "Roll back, and check the registry's credentials meanwhile.",
            ],
            test: &[
                "Point the deployment at an image that can be had: {action}.",
                "Return to the former tag until the registry answers.",
            ],
        },
        prevention: Pool {
            train: &[
                "Check that an image exists before its tag is rolled out.",
                "Alert before registry credentials end.",
                "Refer to images by digest, which the build returns.",
            ],
            test: &[
                "Let the pipeline pull what it pushed before it deploys.",
                "Mirror images of the base in a registry of one's own.",
            ],
        },
    },
    Wording {
        cause: Cause::CacheStampede,
        symptom: Pool {
            train: &[
                "The share of requests that the cache of {service} answers went {hits}.",
                "What stands behind {service} was [flooded|hit by many equal requests] at once.",
                "{service} loaded the same things many times over, in the same second.",
            ],
            test: &[
                "Suddenly {service} fetched everything from the source.",
                "The cache of {service} stopped helping ({hits}), and all below it felt that.",
            ],
        },
        why: Pool {
            train: &[
                "Many requests [missed|went past] the cache at once and reached what it protects.",
                "The entries ended together, and every request then loaded its own copy.",
                "With the cache empty, the full load falls on a part that was sized for a tenth of it.",
            ],
            test: &[
                "A cold cache let the whole crowd through to the source.",
                "One lapsed entry set off as many reloads as there were requests for it.",
            ],
        },
        fix: Pool {
            train: &[
                "A full cache takes the load off again: {action}.",
                "[Fill|Warm] the cache in small steps, and let only one request per key through.",
                "Reload each key once and let the others wait for it.",
            ],
            test: &[
                "Refill it under control: {action}.",
                "Admit one loader for each key until the entries are back.",
            ],
        },
        prevention: Pool {
            train: &[
                "Let entries end at different times.",
                "Let one request per key load while the others wait.",
                "Do not empty a cache at a busy hour.",
            ],
            test: &[
                "Serve the stale entry while a fresh one is fetched.",
                "Spread expiry by chance over a tenth of its length.",
            ],
        },
    },
    Wording {
        cause: Cause::LeaderFlapping,
        symptom: Pool {
            train: &[
                "Changes of leadership at {service} went {leader}.",
                "Work that only the leader of {service} does [stopped and started|came in bursts].",
                "The replicas of {service} took turns in leading.",
            ],
            test: &[
                "{service} had a new leader every few moments.",
                "Nobody led {service} for long ({leader}).",
            ],
        },
        why: Pool {
            train: &[
                "Leadership [changes hands|is lost and won] again and again, and each change pauses the work.",
                "The lease ends before its holder has renewed it, so another replica takes over.",
                "Renewing takes longer than the lease lasts, and nobody leads for long.",
            ],
            test: &[
                "The mandate runs out faster than it can be extended.",
                "Too short a lease meets too slow a store, and the crown wanders.",
            ],
        },
        fix: Pool {
            train: &[
                "A longer lease keeps the leader: {action}.",
                "[Lengthen|Extend] the lease and its deadline for renewal.",
                "Let one replica lead until the store is fast again.",
            ],
            test: &[
                "Give the holder more time: {action}.",
                "Stretch the mandate well beyond the slowest renewal.",
            ],
        },
        prevention: Pool {
            train: &[
                "Alert on more than two changes of leadership in ten minutes.",
                "Choose lease times above the slowest write to the store.",
                "Keep the store of leases on fast disks.",
            ],
            test: &[
                "Chart renewals by how long they took.",
                "Test elections under load before a release.",
            ],
        },
    },
];
