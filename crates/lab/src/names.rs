//! Names of services, nodes, versions and the like. Every pool has a half for each part.

use crate::dice::Dice;
use crate::settings::Part;
use crate::topology::Role;

/// What services are about.
const SUBJECTS: [&[&str]; 2] = [
    &[
        "cart",
        "checkout",
        "orders",
        "payments",
        "catalog",
        "search",
        "inventory",
        "shipping",
        "profile",
        "accounts",
        "pricing",
        "invoice",
        "rating",
        "review",
        "basket",
        "coupon",
        "loyalty",
        "returns",
        "warehouse",
        "supplier",
        "tracking",
        "address",
        "currency",
        "gift",
        "media",
        "photo",
        "thumbnail",
        "feed",
        "timeline",
        "chat",
        "comment",
        "follow",
        "notify",
        "mailer",
        "sms",
        "digest",
        "audit",
        "export",
        "report",
        "ledger",
        "billing",
        "tax",
        "fraud",
        "consent",
        "session",
        "identity",
        "login",
        "token",
        "geo",
        "route",
        "fleet",
        "driver",
        "booking",
        "seat",
        "fare",
        "menu",
        "kitchen",
        "courier",
        "claim",
        "policyholder",
    ],
    &[
        "berth",
        "cargo",
        "manifest",
        "customs",
        "tariff",
        "voyage",
        "crane",
        "yard",
        "ferry",
        "lesson",
        "course",
        "grade",
        "enrol",
        "tutor",
        "library",
        "ward",
        "triage",
        "clinic",
        "pharmacy",
        "dosage",
        "meter",
        "grid",
        "outlet",
        "tenant",
        "lease-desk",
        "survey",
        "parcel",
        "orchard",
        "harvest",
        "silo",
        "loom",
        "fabric",
        "pattern",
        "ticket",
        "venue",
        "matchday",
        "league",
        "score",
        "highlight",
        "podcast",
    ],
];

/// What follows the subject, by role.
const ENDINGS: [[&[&str]; 4]; 2] = [
    [
        &["-web", "-gateway", "-frontend"],
        &["", "-api", "-service"],
        &["-worker", "-consumer"],
        &["-db", "-store", "-cache"],
    ],
    [
        &["-edge", "-portal", "-bff"],
        &["-svc", "-core", "-handler"],
        &["-processor", "-sink"],
        &["-data", "-index", "-kv"],
    ],
];

const NODES: [&[&str]; 2] = [&["node-", "worker-", "ip-10-0-4-"], &["k8s-pool-", "metal-"]];

const HOSTS: [&[&str]; 2] = [
    &[
        "api.cardgate.example",
        "rates.bankhub.example",
        "maps.geoserve.example",
        "mail.relay.example",
    ],
    &["ais.portnet.example", "sso.campusid.example", "erx.healthlink.example"],
];

const SETTINGS: [&[&str]; 2] = [
    &["DB_HOST", "CACHE_URL", "BROKER_ADDR", "FEATURE_FLAGS", "UPSTREAM_BASE", "REGION"],
    &["STORAGE_DSN", "INDEX_ENDPOINT", "LOCALE_MAP", "PARTNER_URI"],
];

pub(crate) fn half(part: Part) -> usize {
    match part {
        Part::Train => 0,
        Part::Test => 1,
    }
}

/// The name of a service: a subject that is not in use yet, and an ending that fits its role.
pub(crate) fn service(dice: &mut Dice, part: Part, role: Role, used: &mut Vec<usize>) -> String {
    let subjects = SUBJECTS[half(part)];
    let free: Vec<usize> = (0..subjects.len()).filter(|index| !used.contains(index)).collect();
    let subject = *dice.one(&free);
    used.push(subject);
    let endings = ENDINGS[half(part)][role as usize];
    format!("{}{}", subjects[subject], dice.one(endings))
}

/// The names of so many nodes.
pub(crate) fn nodes(dice: &mut Dice, part: Part, count: usize) -> Vec<String> {
    let stem = *dice.one(NODES[half(part)]);
    let first = dice.below(60) + 1;
    (0..count).map(|number| format!("{stem}{}", first + number * 3)).collect()
}

/// A host outside the cluster.
pub(crate) fn host(dice: &mut Dice, part: Part) -> &'static str {
    dice.one::<&str>(HOSTS[half(part)])
}

/// The name of a setting.
pub(crate) fn setting(dice: &mut Dice, part: Part) -> &'static str {
    dice.one::<&str>(SETTINGS[half(part)])
}

/// A version and the one after it.
pub(crate) fn versions(dice: &mut Dice, part: Part) -> (String, String) {
    let (major, minor, patch) = (dice.below(4) + 1, dice.below(30), dice.below(9));
    let (old, new) =
        (format!("{major}.{minor}.{patch}"), format!("{major}.{}.{}", minor + 1, dice.below(3)));
    match part {
        Part::Train => (old, new),
        Part::Test => (format!("v{old}"), format!("v{new}")),
    }
}

const PATHS: [&[&str]; 2] = [
    &["/api/v1/items", "/orders/{id}", "/quote", "/v2/search", "/internal/sync", "/upload", "/me"],
    &["/rpc/Lookup", "/slots", "/batch/import", "/graph", "/records/next"],
];

const FILES: [&[&str]; 2] = [
    &["/var/lib/app/wal/000123", "/data/segment-17.log", "/tmp/upload-88"],
    &["/srv/state/journal.7", "/mnt/vol0/chunk-311"],
];

const HEALTH: [&[&str]; 2] =
    [&["/healthz", "/ready", "/status/ready"], &["/livez", "/actuator/up", "/ping"]];

const KEYS: [&[&str]; 2] = [
    &["customer_id", "stock_level", "price_list", "shipment", "locale", "discount", "user_profile"],
    &["berth_plan", "dose_unit", "meter_reading", "seat_map", "tariff_code"],
];

/// A path that requests ask for.
pub(crate) fn path(dice: &mut Dice, part: Part) -> &'static str {
    dice.one::<&str>(PATHS[half(part)])
}

/// A file on a volume.
pub(crate) fn file(dice: &mut Dice, part: Part) -> &'static str {
    dice.one::<&str>(FILES[half(part)])
}

/// A path that probes ask for.
pub(crate) fn health(dice: &mut Dice, part: Part) -> &'static str {
    dice.one::<&str>(HEALTH[half(part)])
}

/// The name of a field, a key, a table or a lock.
pub(crate) fn key(dice: &mut Dice, part: Part) -> &'static str {
    dice.one::<&str>(KEYS[half(part)])
}
