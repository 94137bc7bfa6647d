//! Secrets made up from a seed, and the surroundings that they are planted into.

use crate::random::Numbers;

/// A secret that was made up, what must be masked of it, and how it is written.
pub(crate) struct Planted {
    /// What no shard may hold.
    pub(crate) secret: String,
    /// The document with it.
    pub(crate) text: String,
    /// Which maker made it.
    pub(crate) maker: &'static str,
}

const LETTERS: &str = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
const UPPER: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const HEX: &str = "0123456789abcdef";
const BASE64: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const PASSWORD: &str = "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789!#%^*+~?";

fn draw(numbers: &mut Numbers, alphabet: &str, length: usize) -> String {
    let letters = alphabet.as_bytes();
    (0..length).map(|_| char::from(letters[numbers.below(letters.len())])).collect()
}

fn drawn(prefix: &str, numbers: &mut Numbers, alphabet: &str, length: usize) -> String {
    format!("{prefix}{}", draw(numbers, alphabet, length))
}

/// A password with a digit in it, as the rules of most organisations want one.
fn password(numbers: &mut Numbers) -> String {
    let length = 10 + numbers.below(10);
    format!("{}7{}", draw(numbers, &PASSWORD[..56], 1), draw(numbers, PASSWORD, length))
}

fn pem(numbers: &mut Numbers) -> String {
    let kind = ["RSA ", "EC ", "OPENSSH ", "", "ENCRYPTED "][numbers.below(5)];
    let lines: Vec<String> = (0..6).map(|_| draw(numbers, BASE64, 64)).collect();
    let body = lines.join("\n");
    format!("-----BEGIN {kind}PRIVATE KEY-----\n{body}\n-----END {kind}PRIVATE KEY-----")
}

fn jwt(numbers: &mut Numbers) -> String {
    let [head, body, signature] = [20, 80, 43].map(|length| draw(numbers, LETTERS, length));
    format!("eyJ{head}.eyJ{body}.{signature}")
}

/// A secret, and the text that belongs around it wherever it stands (`@` is the secret).
type Maker = (&'static str, &'static str, fn(&mut Numbers) -> String);

const MAKERS: [Maker; 25] = [
    ("private-key", "@", pem),
    ("aws-access-key", "@", |it| drawn("AKIA", it, UPPER, 16)),
    ("aws-secret-key", "aws_secret_access_key = @", |it| draw(it, BASE64, 40)),
    ("gcp-key", "@", |it| drawn("AIza", it, LETTERS, 35)),
    ("azure-key", "DefaultEndpointsProtocol=https;AccountName=logs;AccountKey=@", |it| {
        draw(it, BASE64, 86) + "=="
    }),
    ("github-token", "@", |it| drawn("ghp_", it, LETTERS, 36)),
    ("github-token", "@", |it| drawn("ghs_", it, LETTERS, 36)),
    ("github-pat", "@", |it| {
        format!("github_pat_{}_{}", draw(it, LETTERS, 22), draw(it, LETTERS, 59))
    }),
    ("gitlab-token", "@", |it| drawn("glpat-", it, LETTERS, 20)),
    ("slack-token", "@", |it| {
        format!("xoxb-{}-{}", draw(it, &HEX[..10], 12), draw(it, LETTERS, 24))
    }),
    ("slack-webhook", "https://hooks.slack.com/services/@", |it| {
        format!("T{}/B{}/{}", draw(it, UPPER, 8), draw(it, UPPER, 8), draw(it, LETTERS, 24))
    }),
    ("stripe-key", "@", |it| drawn("sk_live_", it, LETTERS, 24)),
    ("jwt", "@", jwt),
    ("kubernetes-token", "token: @", jwt),
    ("kubernetes-client-key", "client-key-data: @", |it| {
        drawn("LS0tLS1CRUdJTiBSU0EgUFJJVkFURSBLRVkt", it, BASE64, 400)
    }),
    ("password", "password=@", password),
    ("password", "DB_PASSWORD: @", password),
    ("password", "\"passwd\": \"@\"", password),
    ("url-password", "postgres://app:@@db-1.internal:5432/orders", |it| {
        format!("{}9{}", draw(it, LETTERS, 6), draw(it, LETTERS, 8))
    }),
    ("secret", "api_key: @", |it| draw(it, HEX, 32)),
    ("secret", "CLIENT_SECRET=@", |it| draw(it, LETTERS, 40)),
    ("authorization", "Authorization: Bearer @", |it| draw(it, LETTERS, 40)),
    ("authorization", "Authorization: Basic @", |it| draw(it, BASE64, 31) + "="),
    ("npm-token", "//registry/:_authToken=@", |it| drawn("npm_", it, LETTERS, 36)),
    ("pypi-token", "@", |it| drawn("pypi-AgEIcHlwaS5vcmc", it, LETTERS, 80)),
];

/// Surroundings: prose, code blocks, YAML, JSON, URLs, logs (`@` is what is planted).
const SURROUNDINGS: [&str; 10] = [
    "# Disk full\n\nAt 09:12 somebody pasted @ into the channel and nobody saw it.\n",
    "## Steps\n\n```sh\n$ kubectl get pods\nexport @\n```\n\nThen restart.\n",
    "apiVersion: v1\ndata:\n  @\nkind: Pod\n",
    "{\"level\": \"error\", \"message\": \"gave up on @ after 3 tries\"}\n",
    "2024-05-17T08:30:00Z WARN [api-7d9f] cannot connect (@), code 500\n",
    "curl -s 'https://api.internal/v1/items?limit=10' -H '@'\n",
    "| time | event |\n| --- | --- |\n| 09:12 | found `@` in the log |\n",
    "> - **finding**: @\n> - next: rotate it\n",
    "mémoire épuisée 🔥 — @ — voilà\n",
    "line one\r\n\t@\r\nline three\r\n",
];

/// This many documents, each with one secret of its own.
pub(crate) fn planted(count: usize, seed: u64) -> Vec<Planted> {
    let plant = |number: usize| {
        let numbers = &mut Numbers::named(&[seed, number as u64]);
        let (maker, around, make) = MAKERS[number % MAKERS.len()];
        let mut secret = make(numbers);
        let surrounding = SURROUNDINGS[numbers.below(SURROUNDINGS.len())];
        if surrounding.starts_with('{') {
            // Within a string of JSON.
            let escaped = around.replace('"', "\\\"");
            secret = secret.replace('\n', "\\n");
            let text = surrounding.replacen('@', &escaped.replacen('@', &secret, 1), 1);
            return Planted { secret, text, maker };
        }
        let text = surrounding.replacen('@', &around.replacen('@', &secret, 1), 1);
        Planted { secret, text, maker }
    };
    (0..count).map(plant).collect()
}

/// What remains of the secret in a text: its longest part, in bytes.
pub(crate) fn longest_part(secret: &str, text: &str) -> usize {
    let mut longest = 0;
    for start in 0..secret.len() {
        while start + longest < secret.len() && text.contains(&secret[start..=start + longest]) {
            longest += 1;
        }
    }
    longest
}

/// The text without the masks, whose kinds have parts in common with what they mask.
pub(crate) fn without_masks(text: &str) -> String {
    let kind_and_rest =
        |part: &str| part.split_once(']').map_or(String::new(), |it| it.1.to_owned());
    let mut parts = text.split("[REDACTED:");
    let first = parts.next().unwrap_or_default().to_owned();
    first + &parts.map(kind_and_rest).collect::<Vec<_>>().join("\0")
}
