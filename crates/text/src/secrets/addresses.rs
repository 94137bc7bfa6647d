//! IP addresses, other than those that every machine has.

use super::Finding;
use regex::Regex;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::LazyLock;

static RUN: LazyLock<Regex> =
    LazyLock::new(|| Regex::new("[0-9A-Za-z_.:]{3,}").expect("the pattern is fixed"));

pub(super) fn find(text: &str) -> Vec<Finding> {
    RUN.find_iter(text)
        .filter_map(|run| {
            let (address, end) = address(run.as_str())?;
            let says_nothing = address.is_loopback() || address.is_unspecified();
            (!says_nothing).then(|| Finding::new(run.start()..run.start() + end, "ip-address"))
        })
        .collect()
}

/// The address that a run of characters is, with its length, without a port or the full stop of a
/// sentence behind it.
fn address(run: &str) -> Option<(IpAddr, usize)> {
    let run = run.trim_end_matches(['.', ':']);
    let host = run.split(':').next().unwrap_or(run);
    if let Ok(address) = run.parse::<Ipv6Addr>() {
        return Some((address.into(), run.len()));
    }
    Some((host.parse::<Ipv4Addr>().ok()?.into(), host.len()))
}
