//! Who calls whom, as far as containers are told by name: hosts in their settings and arguments.

use super::super::directory::Directory;
use super::Objects;

/// What ends the name of a setting that holds hosts.
const HOSTS: [&str; 13] = [
    "ADDR",
    "ADDRS",
    "ADDRESS",
    "HOST",
    "HOSTS",
    "HOSTNAME",
    "URL",
    "URI",
    "ENDPOINT",
    "ENDPOINTS",
    "SERVER",
    "SERVERS",
    "UPSTREAM",
];

/// Enters the calls.
pub(super) fn enter(objects: &Objects, directory: &mut Directory) {
    let mut calls: Vec<(String, String)> = Vec::new();
    let workloads =
        objects.workloads.iter().map(|(_, it)| (&it.metadata.name, &it.spec.template.spec));
    let alone = objects.pods.iter().filter(|pod| pod.metadata.controller().is_none());
    let all = workloads.chain(alone.map(|pod| (&pod.metadata.name, &pod.spec)));
    for (from, pod) in all {
        for container in pod.all_containers() {
            let settings =
                container.env.iter().filter_map(|it| Some((&it.name, it.value.as_ref()?)));
            for (name, value) in settings {
                calls.extend(
                    hosts(value, names_hosts(name), directory).map(|to| (from.clone(), to)),
                );
            }
            for argument in container.command.iter().chain(&container.args) {
                let (name, value) = argument.split_once('=').unwrap_or(("", argument));
                calls.extend(
                    hosts(value, names_hosts(name), directory).map(|to| (from.clone(), to)),
                );
            }
        }
    }
    for (from, to) in calls {
        let mut behind = directory.hosts.get(&to).cloned().unwrap_or_default();
        if behind.is_empty() {
            // Without pods of its own: something outside, or selected by nothing that is seen.
            directory.service(&to);
            behind.insert(to);
        }
        behind.iter().for_each(|to| directory.call(&from, to));
    }
}

/// Whether a setting of this name holds hosts.
fn names_hosts(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    let last = name.rsplit(['_', '-', '.']).next().unwrap_or_default();
    HOSTS.contains(&last)
}

/// The Services that a text names as hosts.
fn hosts<'a>(
    text: &'a str,
    is_host: bool,
    directory: &'a Directory,
) -> impl Iterator<Item = String> + 'a {
    let is_part = |it: char| it.is_ascii_alphanumeric() || ['-', '.', '_'].contains(&it);
    let mut rest = text;
    let mut words = Vec::new();
    while let Some(at) = rest.find(is_part) {
        let word = &rest[at..];
        let end = word.find(|it| !is_part(it)).unwrap_or(word.len());
        let before = text.len() - word.len();
        words.push((before, &word[..end], &word[end..]));
        rest = &word[end..];
    }
    words.into_iter().filter_map(move |(before, word, after)| {
        let ahead = &text[..before];
        let has_port =
            after.strip_prefix(':').is_some_and(|it| it.starts_with(|c: char| c.is_ascii_digit()));
        // In a path or a query it is a word like any other.
        let follows = ahead.ends_with("//") || ahead.ends_with('@');
        let is_alone = ahead.is_empty() || ahead.ends_with([',', ' ', ';']);
        let is_place = follows || (has_port && !ahead.ends_with('/')) || (is_host && is_alone);
        service(word, is_place, directory)
    })
}

/// The Service that a host name stands for: `cart`, `cart.shop`, `cart.shop.svc…`, or one of its pods.
fn service(word: &str, is_place: bool, directory: &Directory) -> Option<String> {
    let word = word.trim_end_matches('.').to_ascii_lowercase();
    let parts: Vec<&str> = word.split('.').collect();
    let namespace = directory.namespace.as_str();
    let name = match parts.as_slice() {
        [name] if is_place => name,
        [name, space] if *space == namespace && is_place => name,
        [name, space, "svc", ..] if *space == namespace => name,
        [_, name, space, "svc", ..] if *space == namespace => name,
        [_, name] if is_place => name,
        _ => return None,
    };
    directory.hosts.contains_key(*name).then(|| (*name).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_whole_words_in_the_place_of_hosts() {
        let mut directory = Directory::new("shop");
        for name in ["cart", "payments", "db", "redis"] {
            directory.hosts.insert(name.to_owned(), Default::default());
        }
        for (name, value, expected) in [
            ("X", "http://payments:8080/cart", &["payments"][..]),
            ("X", "payments.shop.svc.cluster.local", &["payments"]),
            ("X", "https://payments.shop/v1?next=cart", &["payments"]),
            ("PAYMENTS_ADDR", "payments:8080", &["payments"]),
            ("X", "postgres://user:pw@db:5432/cart", &["db"]),
            ("BACKEND_HOSTS", "cart,payments", &["cart", "payments"]),
            ("X", "redis-0.redis:6379", &["redis"]),
            ("X", "cart.other.svc", &[]),
            ("X", "http://cart.other/", &["other"][..0]),
            ("MODE", "cart", &[]),
            ("X_HOST", "my-cart", &[]),
            ("X", "http://cart_v2:80", &[]),
            ("X", "http://shopping-cart:80/", &[]),
            ("X", "see cart: 80 items", &[]),
        ] {
            let found: Vec<_> = hosts(value, names_hosts(name), &directory).collect();
            assert_eq!(found, expected, "{name}={value}");
        }
    }
}
