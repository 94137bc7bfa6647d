//! The address of a server, checked: nothing secret in it, and nothing that is not an address.

use super::{Error, Result};
use std::fmt;
use std::str::FromStr;
use ureq::http::Uri;

/// `http://host:9090` or `https://host/prometheus`.
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    scheme: String,
    host: String,
    /// Host and port.
    authority: String,
    /// Without a slash at its end.
    path: String,
}

impl Address {
    /// The address of a path below this one.
    pub(super) fn join(&self, path: &str) -> String {
        format!("{self}{path}")
    }

    /// Host and port, for messages.
    pub(super) fn authority(&self) -> &str {
        &self.authority
    }

    /// Whether it is this machine.
    pub(super) fn is_loopback(&self) -> bool {
        is_loopback(&self.host)
    }

    /// Whether what is sent there can be read on the way.
    pub(super) fn is_open(&self) -> bool {
        self.scheme == "http" && !is_loopback(&self.host)
    }
}

/// Whether the host is this machine.
pub(super) fn is_loopback(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

impl FromStr for Address {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = |problem: &str| {
            // The text itself is not repeated: it may hold a password.
            Error::Ask(format!(
                "an address {problem}\nhint: expected one such as http://host:9090/path"
            ))
        };
        let uri: Uri = text.trim().parse().map_err(|_| wrong("cannot be read"))?;
        let scheme = uri.scheme_str().unwrap_or_default().to_ascii_lowercase();
        if !["http", "https"].contains(&scheme.as_str()) {
            return Err(wrong("begins with neither http:// nor https://"));
        }
        let authority = uri.authority().ok_or_else(|| wrong("has no host"))?.as_str();
        if authority.contains('@') {
            return Err(Error::Ask(
                "an address has a user or a password in it\nhint: addresses are shown and logged; set \
                 PROMETHEUS_USERNAME and PROMETHEUS_PASSWORD (or LOKI_…) instead"
                    .to_owned(),
            ));
        }
        let port = authority.rsplit_once(':').filter(|(_, port)| !port.ends_with(']'));
        if port.is_some_and(|(_, port)| port.parse::<u16>().is_err()) {
            return Err(wrong("has a port that is none, 1 to 65535"));
        }
        let host =
            uri.host().filter(|host| !host.is_empty()).ok_or_else(|| wrong("has no host"))?;
        if uri.query().is_some() || text.contains('#') {
            return Err(wrong("has a ? or a # in it"));
        }
        Ok(Self {
            scheme,
            host: host.to_owned(),
            authority: authority.to_owned(),
            path: uri.path().trim_end_matches('/').to_owned(),
        })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}://{}{}", self.scheme, self.authority, self.path)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_may_have_a_path_but_nothing_secret() {
        let address: Address = "https://mon.example.org/prometheus/".parse().unwrap();
        let url = "https://mon.example.org/prometheus/api/v1/alerts";
        assert_eq!(address.join("/api/v1/alerts"), url);
        for (text, expected) in [
            ("https://u:sesame@host/", "a user or a password"),
            ("https://u@host/", "a user or a password"),
            ("ftp://host", "neither http"),
            ("host:9090", "neither http"),
            ("http://", "cannot be read"),
            ("http://127.0.0.1:99999", "a port"),
            ("http://host/?a=b", "has a ?"),
            ("http://host/#a", "has a ?"),
        ] {
            let error = text.parse::<Address>().unwrap_err().to_string();
            assert!(error.contains(expected) && !error.contains("sesame"), "{text}: {error}");
        }
    }

    #[test]
    fn only_this_machine_hears_itself() {
        for (text, open) in [
            ("http://localhost:1", false),
            ("http://127.0.0.2:1", false),
            ("http://[::1]:1", false),
            ("https://host", false),
            ("http://host", true),
            ("http://127.0.0.1.example.org", true),
        ] {
            assert_eq!(text.parse::<Address>().unwrap().is_open(), open, "{text}");
        }
    }
}
