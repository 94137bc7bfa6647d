//! Secrets that say by their form what they are.

use super::Finding;
use super::placeholder::is_placeholder;
use regex::Regex;
use std::collections::BTreeSet;
use std::sync::LazyLock;

/// Kinds and their forms, as their issuers document them. The group, where there is one, is the
/// secret.
const FORMS: [(&str, &str); 41] = [
    ("aws-access-key", "(?:^|[^A-Z0-9])((?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16})(?:[^A-Z0-9]|$)"),
    ("gcp-key", "AIza[A-Za-z0-9_-]{35}"),
    ("gcp-key", "GOCSPX-[A-Za-z0-9_-]{20,}"),
    ("gcp-key", r"ya29\.[A-Za-z0-9_-]{20,}"),
    ("gcp-key", r#"private_key_id[\\"']*\s*:\s*[\\"']*([0-9a-f]{40})"#),
    ("azure-key", "(?i:AccountKey|SharedAccessKey)=([A-Za-z0-9+/]{40,}={0,2})"),
    ("azure-key", "[?&]sig=([A-Za-z0-9%+/]{40,}=*)"),
    ("azure-key", r"[A-Za-z0-9_~.-]{3}[0-9]Q~[A-Za-z0-9_~.-]{31,34}"),
    ("github-token", "gh[pousr]_[A-Za-z0-9]{36,255}"),
    ("github-token", "github_pat_[A-Za-z0-9_]{40,255}"),
    ("gitlab-token", "gl(?:pat|dt|rt|ptt|cbt|ft|soat|agent|imt|oas)-[A-Za-z0-9_.-]{20,}"),
    ("slack-token", "xox[abeoprs]-[A-Za-z0-9-]{10,}"),
    ("slack-token", "xapp-[0-9]-[A-Za-z0-9-]{10,}"),
    ("slack-webhook", r"hooks\.slack\.com/(?:services|workflows|triggers)/([A-Za-z0-9/_-]{20,})"),
    ("teams-webhook", r"webhook\.office\.com/webhookb2/([A-Za-z0-9@/_-]{36,})"),
    ("discord-webhook", r"discord(?:app)?\.com/api/webhooks/([0-9]{15,}/[A-Za-z0-9_-]{30,})"),
    ("stripe-key", "[sr]k_live_[A-Za-z0-9]{16,}"),
    ("stripe-key", "whsec_[A-Za-z0-9+/]{24,}"),
    ("jwt", r"eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}"),
    ("npm-token", "npm_[A-Za-z0-9]{36}"),
    ("pypi-token", "pypi-[A-Za-z0-9_-]{40,}"),
    ("docker-token", "dckr_(?:pat|oat)_[A-Za-z0-9_-]{20,}"),
    ("vault-token", r"hv[sbr]\.[A-Za-z0-9_-]{24,}"),
    ("grafana-token", "gl(?:sa|c)_[A-Za-z0-9+/=_-]{32,}"),
    ("huggingface-token", "hf_[A-Za-z0-9]{30,}"),
    ("digitalocean-token", "do[opr]_v1_[0-9a-f]{64}"),
    ("sendgrid-key", r"SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{30,}"),
    ("openai-key", "(?:^|[^A-Za-z0-9])(sk-(?:proj-|svcacct-|ant-)?[A-Za-z0-9_-]{32,})"),
    ("newrelic-key", "NR(?:AK|JS|II|AA)-[A-Za-z0-9]{20,}"),
    ("terraform-token", r"[A-Za-z0-9]{14}\.atlasv1\.[A-Za-z0-9_=-]{60,}"),
    ("age-key", "AGE-SECRET-KEY-1[A-Z0-9]{50,}"),
    ("telegram-token", "(?:^|[^0-9A-Za-z])([0-9]{8,10}:AA[A-Za-z0-9_-]{33})"),
    ("twilio-key", "(?:^|[^A-Za-z0-9])(SK[0-9a-f]{32})(?:[^A-Za-z0-9]|$)"),
    ("mailgun-key", "(?:^|[^A-Za-z0-9])(key-[0-9a-f]{32})(?:[^A-Za-z0-9]|$)"),
    ("shopify-token", "shp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}"),
    ("databricks-token", "(?:^|[^A-Za-z0-9])(dapi[0-9a-f]{32})(?:[^A-Za-z0-9]|$)"),
    ("linear-key", "lin_api_[A-Za-z0-9]{30,}"),
    (
        "password-hash",
        concat!(
            r"\$(?:[1567y]|apr1)\$(?:(?:rounds=[0-9]+|j[A-Za-z0-9./]{1,8})\$)?",
            r"[A-Za-z0-9./]{1,24}\$[A-Za-z0-9./]{22,}"
        ),
    ),
    ("password-hash", r"\$2[abxy]\$[0-9]{2}\$[A-Za-z0-9./]{53}"),
    ("password-hash", r"\$argon2(?:id?|d)\$[A-Za-z0-9+/=,$]{22,}"),
    ("sentry-token", "sntry[su]_[A-Za-z0-9+/=_-]{40,}"),
];

static PATTERNS: LazyLock<Vec<(&str, Regex)>> = LazyLock::new(|| {
    let compiled = |&(kind, form): &(&'static str, &str)| {
        (kind, Regex::new(form).expect("the pattern is fixed"))
    };
    FORMS.iter().map(compiled).collect()
});

pub(super) fn find(text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (kind, pattern) in PATTERNS.iter() {
        for captures in pattern.captures_iter(text) {
            let found = captures.get(1).or(captures.get(0)).expect("a match is there");
            if !is_illustration(found.as_str()) {
                findings.push(Finding::new(found.range(), kind));
            }
        }
    }
    findings
}

/// A token of few different characters, or with a word that says so.
fn is_illustration(token: &str) -> bool {
    const FEWEST: usize = 8;
    let different: BTreeSet<u8> = token.bytes().collect();
    is_placeholder(token) || different.len() < FEWEST
}
