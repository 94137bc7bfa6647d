//! Who we are to a server. From the environment and from files, never from arguments; shown nowhere.

use super::{Error, Result};
use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

/// The largest file of a token or a password.
const MOST_BYTES: u64 = 64 << 10;

/// What is sent along with every request. Its `Debug` shows nothing.
#[derive(Clone, Default)]
pub struct Credentials {
    who: Option<Who>,
    tenant: Option<String>,
}

#[derive(Clone)]
enum Who {
    Bearer(String),
    Basic { user: String, password: String },
}

impl fmt::Debug for Credentials {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Credentials")
    }
}

impl Credentials {
    /// What the environment has for `PROMETHEUS` or `LOKI`: `…_TOKEN`, `…_TOKEN_FILE`, or `…_USERNAME`
    /// with `…_PASSWORD` or `…_PASSWORD_FILE`; and `…_ORG_ID`, the tenant.
    ///
    /// # Errors
    /// Two that exclude each other, half of one, a file that cannot be read, or characters that no
    /// header may have.
    pub fn of_environment(prefix: &str) -> Result<Self> {
        Self::of(prefix, &|name| std::env::var_os(name))
    }

    fn of(prefix: &str, variable: &dyn Fn(&str) -> Option<OsString>) -> Result<Self> {
        let name = |what: &str| format!("{prefix}_{what}");
        let set = |what: &str| variable(&name(what)).filter(|value| !value.is_empty());
        let text = |what: &str| -> Result<Option<String>> {
            let Some(value) = set(what) else { return Ok(None) };
            let value = value.into_string().map_err(|_| unsent(&name(what)))?;
            Ok(Some(sendable(&name(what), &value)?))
        };
        let secret = |what: &str| -> Result<Option<String>> {
            let file = format!("{what}_FILE");
            match (text(what)?, set(&file).map(PathBuf::from)) {
                (Some(_), Some(_)) => Err(both(&name(what), &name(&file))),
                (None, Some(path)) => {
                    let content = files::read_to_string(&path, MOST_BYTES)?;
                    Ok(Some(sendable(&name(&file), &content)?))
                }
                (value, None) => Ok(value),
            }
        };
        let who = match (secret("TOKEN")?, text("USERNAME")?, secret("PASSWORD")?) {
            (Some(_), Some(_), _) => return Err(both(&name("TOKEN"), &name("USERNAME"))),
            (Some(token), None, _) => Some(Who::Bearer(token)),
            (None, Some(user), Some(password)) => Some(Who::Basic { user, password }),
            (None, Some(_), None) => return Err(half(&name("USERNAME"), &name("PASSWORD"))),
            (None, None, Some(_)) => return Err(half(&name("PASSWORD"), &name("USERNAME"))),
            (None, None, None) => None,
        };
        Ok(Self { who, tenant: text("ORG_ID")? })
    }

    /// A user and a password, as a test needs them.
    #[cfg(test)]
    pub(super) fn basic_for_tests(user: &str, password: &str) -> Self {
        let who = Who::Basic { user: user.to_owned(), password: password.to_owned() };
        Self { who: Some(who), tenant: None }
    }

    /// Whether there is anything that must not be read by others.
    pub(super) fn is_secret(&self) -> bool {
        self.who.is_some()
    }

    /// The headers to send.
    pub(super) fn headers(&self) -> Vec<(&'static str, String)> {
        let mut headers = Vec::new();
        match &self.who {
            Some(Who::Bearer(token)) => headers.push(("authorization", format!("Bearer {token}"))),
            Some(Who::Basic { user, password }) => {
                let pair = base64(format!("{user}:{password}").as_bytes());
                headers.push(("authorization", format!("Basic {pair}")));
            }
            None => {}
        }
        if let Some(tenant) = &self.tenant {
            headers.push(("x-scope-orgid", tenant.clone()));
        }
        headers
    }

    /// The text without what is secret here, for what a server says of a request.
    pub(super) fn scrub(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (name, value) in self.headers() {
            let value = value.rsplit(' ').next().unwrap_or_default();
            if name == "authorization" && !value.is_empty() {
                text = text.replace(value, "…");
            }
        }
        match &self.who {
            Some(Who::Basic { password, .. }) => text.replace(password.as_str(), "…"),
            _ => text,
        }
    }
}

/// The value without blanks around it, if a header can carry it.
fn sendable(name: &str, value: &str) -> Result<String> {
    let value = value.trim();
    if value.is_empty() || value.chars().any(char::is_control) {
        return Err(unsent(name));
    }
    Ok(value.to_owned())
}

fn unsent(name: &str) -> Error {
    Error::Ask(format!("{name}: it is empty or has characters that cannot be sent"))
}

fn both(one: &str, other: &str) -> Error {
    Error::Ask(format!("{one} and {other} are both set\nhint: unset one of them"))
}

fn half(one: &str, other: &str) -> Error {
    Error::Ask(format!("{one} is set without {other}\nhint: set both, or a token"))
}

/// The bytes in base 64, as the header of a user and a password has them.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let word = (0..3).fold(0, |word, at| word << 8 | u32::from(*three.get(at).unwrap_or(&0)));
        for place in 0..4 {
            let digit = DIGITS[(word >> (18 - 6 * place) & 63) as usize];
            text.push(if place <= three.len() { char::from(digit) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(variables: &[(&str, &str)]) -> Result<Credentials> {
        Credentials::of("LOKI", &|name| {
            let found = variables.iter().find(|(it, _)| *it == name);
            found.map(|(_, value)| OsString::from(value))
        })
    }

    #[test]
    fn the_environment_says_who_we_are() {
        let token = of(&[("LOKI_TOKEN", " abc\n"), ("LOKI_ORG_ID", "team")]).unwrap();
        let expected =
            vec![("authorization", "Bearer abc".to_owned()), ("x-scope-orgid", "team".to_owned())];
        assert_eq!(token.headers(), expected);
        let basic = of(&[("LOKI_USERNAME", "Aladdin"), ("LOKI_PASSWORD", "open sesame")]).unwrap();
        // The example of RFC 7617.
        assert_eq!(basic.headers()[0].1, "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        assert!(of(&[]).unwrap().headers().is_empty());
        assert_eq!(base64(b""), "");
        assert_eq!(base64(b"fooba"), "Zm9vYmE=");
        assert_eq!(base64(b"foobar"), "Zm9vYmFy");
    }

    #[test]
    fn a_token_may_stand_in_a_file() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("token");
        files::write_atomic(&file, |out| out.write_all(b"abc\n")).unwrap();
        let path = file.to_str().unwrap();
        let credentials = of(&[("LOKI_TOKEN_FILE", path)]).unwrap();
        assert_eq!(credentials.headers()[0].1, "Bearer abc");
        assert!(of(&[("LOKI_TOKEN_FILE", "/no/such/file")]).is_err());
    }

    #[test]
    fn what_contradicts_itself_is_refused_without_its_value() {
        for variables in [
            &[("LOKI_TOKEN", "sesame"), ("LOKI_TOKEN_FILE", "x")][..],
            &[("LOKI_TOKEN", "sesame"), ("LOKI_USERNAME", "x")],
            &[("LOKI_USERNAME", "sesame")],
            &[("LOKI_PASSWORD", "sesame")],
            &[("LOKI_TOKEN", "sesame\r\nx: y")],
        ] {
            let error = of(variables).unwrap_err().to_string();
            assert!(error.contains("LOKI_") && !error.contains("sesame"), "{error}");
        }
    }

    #[test]
    fn nothing_shows_a_secret() {
        let basic = of(&[("LOKI_USERNAME", "u"), ("LOKI_PASSWORD", "sesame")]).unwrap();
        assert_eq!(format!("{basic:?}"), "Credentials");
        let said = format!("bad sesame in Basic {}", base64(b"u:sesame"));
        assert_eq!(basic.scrub(&said), "bad … in Basic …");
    }
}
