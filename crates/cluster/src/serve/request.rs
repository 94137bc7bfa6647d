//! A request as the parts of the lab read it: its path in decoded segments, its parameters from query and
//! form together.

/// What a client asks.
#[derive(Clone, Debug, Default)]
pub(super) struct Request {
    /// `GET`, `POST`, …
    pub(super) method: String,
    /// The path as it came.
    pub(super) path: String,
    /// Parameters of query and form.
    pub(super) params: Params,
    /// The header `Accept`.
    pub(super) accept: String,
    /// The header `Authorization`.
    pub(super) authorization: Option<String>,
}

impl Request {
    /// The parts of the path, decoded, without empty ones.
    pub(super) fn segments(&self) -> Vec<String> {
        self.path.split('/').filter(|it| !it.is_empty()).map(|it| decoded(it, false)).collect()
    }

    /// Whether it only reads, by its method.
    pub(super) fn is_get(&self) -> bool {
        self.method == "GET" || self.method == "HEAD"
    }
}

/// Names with values, in the order they came.
#[derive(Clone, Debug, Default)]
pub(super) struct Params(Vec<(String, String)>);

impl Params {
    /// Adds what an encoded text holds: `a=1&b=x%20y`.
    pub(super) fn add(&mut self, text: &str) {
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            self.0.push((decoded(name, true), decoded(value, true)));
        }
    }

    /// The first value of a name that is not empty.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let own = self.0.iter().find(|(key, value)| key == name && !value.is_empty());
        own.map(|(_, value)| value.as_str())
    }

    /// All values of a name.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Whether a flag is on.
    pub(super) fn is_set(&self, name: &str) -> bool {
        matches!(self.get(name), Some("true" | "1"))
    }
}

/// The text with `%xx` decoded. What is not well-formed stays as it is; bytes that are no UTF-8 become
/// replacement characters, which no name of ours has.
fn decoded(text: &str, form: bool) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        rest = after;
        match first {
            b'%' => match after {
                [high, low, left @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                    bytes.push(hex(*high) << 4 | hex(*low));
                    rest = left;
                }
                _ => bytes.push(b'%'),
            },
            b'+' if form => bytes.push(b' '),
            _ => bytes.push(first),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn hex(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => (digit | 32) - b'a' + 10,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded() {
        let mut params = Params::default();
        params.add("query=a%7Bb%3D%22c+d%22%7D&match[]=x&match%5B%5D=y&flag=true&empty=&bad=%zz%4");
        assert_eq!(params.get("query"), Some("a{b=\"c d\"}"));
        assert_eq!(params.all("match[]").collect::<Vec<_>>(), ["x", "y"]);
        assert!(params.is_set("flag"));
        assert_eq!((params.get("empty"), params.get("bad")), (None, Some("%zz%4")));
        let request = Request { path: "//api/v1/%6Eodes/a+b/".into(), ..Request::default() };
        assert_eq!(request.segments(), ["api", "v1", "nodes", "a+b"]);
    }
}
