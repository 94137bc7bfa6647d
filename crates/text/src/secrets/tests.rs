use super::*;
use crate::record::{self, Limits, Sources};
use planted::{longest_part, planted, without_masks};
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::path::Path;

pub(crate) mod planted;

#[test]
fn every_planted_secret_is_found_and_masked() {
    let planted = planted(1000, 11);
    let kinds: BTreeSet<_> = planted.iter().map(|it| it.maker).collect();
    assert!(kinds.len() >= 12, "{kinds:?}");
    let mut problems = Vec::new();
    for plant in &planted {
        let found = find(&plant.text);
        let at = plant.text.find(&plant.secret).unwrap();
        let end = at + plant.secret.len();
        // What ends a sentence or a password may stand outside, never more.
        let covers = |it: &Finding| it.range.start <= at + 4 && it.range.end + 1 >= end;
        let masked = masked(&plant.text);
        let left = longest_part(&plant.secret, &without_masks(&masked));
        if !found.iter().any(covers) || left > 4 {
            problems.push(format!("{}: {:?}\n  {masked:?}", plant.maker, plant.text));
        }
    }
    assert!(problems.is_empty(), "{} missed:\n{}", problems.len(), problems.join("\n"));
}

#[test]
fn kinds_are_told_apart() {
    let table = [
        ("key AKIAIOSFODNN7ABCDEFG.", "key [REDACTED:aws-access-key]."),
        ("mail jane.doe@example.com now", "mail [REDACTED:email] now"),
        ("postgres://app:s3cr3tXy@db:5432/x", "postgres://app:[REDACTED:url-password]@db:5432/x"),
        ("--password hunter22 --verbose", "--password [REDACTED:password] --verbose"),
        (
            "- name: DB_PASSWORD\n  value: \"hunter22\"",
            "- name: DB_PASSWORD\n  value: \"[REDACTED:password]\"",
        ),
        (
            "Server=db;Password=a1b2c3d4;Pooling=1",
            "Server=db;Password=[REDACTED:password];Pooling=1",
        ),
        ("the password was set to `hunter22x`", "the password was set to `[REDACTED:password]`"),
        ("author: Jane Doe\nx", "author: [REDACTED:person]\nx"),
        ("**Incident commander:** Jane Doe", "**Incident commander:** [REDACTED:person]"),
        ("| Author | Jane Doe |", "| Author | [REDACTED:person] |"),
        (
            "authors:\n  - Jane Doe\n  - jdoe\nend",
            "authors:\n  - [REDACTED:person]\n  - [REDACTED:person]\nend",
        ),
        ("{\"id\": 1, \"assignee\": \"jdoe\"}", "{\"id\": 1, \"assignee\": \"[REDACTED:person]\"}"),
        ("asked @jdoe, who", "asked [REDACTED:person], who"),
        (
            "from 10.1.2.3:8080 and fe80::1.",
            "from [REDACTED:ip-address]:8080 and [REDACTED:ip-address].",
        ),
    ];
    for (text, expected) in table {
        assert_eq!(masked(text), expected);
    }
}

/// Texts in which `@` stands for a secret, with the secret.
#[test]
fn secrets_without_a_form_are_known_by_their_place() {
    let yaml = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: db\n";
    let table = [
        (format!("{yaml}data:\n  user: @\n"), "YWRtaW4="),
        (format!("```yaml\n{yaml}stringData:\n  any: \"@\"\n```\n"), "open sesame"),
        ("data:\n  any: @\nkind: Secret\ntype: Opaque\n".to_owned(), "aHVudGVy"),
        (format!("{yaml}data:\n  any: >-\n    @\ntype: Opaque\n"), "aHVu\n    dGVy"),
        (format!("{yaml}stringData:\n  a.conf: |\n    @\n"), "user one\n    word two"),
        ("items:\n- kind: Secret\n  data:\n    a: @\n- kind: Pod\n".to_owned(), "aHVudGVy"),
        ("kind: Secret\ndata: {a: @}\n".to_owned(), "aHVudGVy"),
        ("{\"kind\": \"Secret\", \"data\": {\"a\": \"@\"}}".to_owned(), "aHVudGVy"),
        ("{\"data\": {\"a\": \"@\"}, \"kind\": \"Secret\"}".to_owned(), "aHVudGVy"),
        (r#"{\"data\": {\"a\": \"@\"}, \"kind\": \"Secret\"}"#.to_owned(), "aHVudGVy"),
        ("> kind: Secret\n> data:\n>   a: @\n".to_owned(), "aHVudGVy"),
        ("> > kind: Secret\n> > data:\n> >   a: @\n".to_owned(), "aHVudGVy"),
        ("  .dockerconfigjson: @\n".to_owned(), "eyJhdXRocyI6e319Cg=="),
        ("{\"auths\": {\"r.io\": {\"auth\": \"@\"}}}".to_owned(), "dXNlcjpodW50ZXIy"),
        ("kubectl create secret generic db --from-literal=any=@ -n x".to_owned(), "hunter"),
        ("**Password:** @\n".to_owned(), "hunter22x"),
        ("__Password:__ @\n".to_owned(), "hunter22x"),
        ("{\"password\": \"@\"}".to_owned(), "two words 99x"),
        ("password = '@'".to_owned(), "two words 99x"),
        ("token: \"@\"".to_owned(), "two words 99x"),
        ("mysql -u root -p@ orders".to_owned(), "hunter22x"),
        ("sshpass -p @ ssh root@db".to_owned(), "hunter22x"),
        ("redis-cli -h cache -a @ ping".to_owned(), "hunter22x"),
        ("CREATE USER app WITH PASSWORD '@';".to_owned(), "hunter22x"),
        ("alter user app identified by '@';".to_owned(), "hunter22x"),
        ("<password>@</password>".to_owned(), "hunter22x"),
        ("Cookie: theme=dark; JSESSIONID=@; a=b".to_owned(), "A1B2C3D4E5F6A7B8"),
        ("Set-Cookie: session=@; Path=/".to_owned(), "abc123def456"),
        ("root:@:19000:0".to_owned(), "$6$saltsalt$aB3dE5fG7hJ9kL1mN3pQ5rS7"),
        ("joe:@".to_owned(), "$apr1$saltsalt$aB3dE5fG7hJ9kL1mN3pQ5r"),
        ("Passwort: @".to_owned(), "hunter22x"),
        ("| user | password |\n|---|---|\n| bob | @ |\n".to_owned(), "Sommer8531"),
        ("user | Admin Password\n--- | ---\nbob | `@`\n".to_owned(), "Sommer8531!"),
        ("| service | api token |\n|:--|--:|\n| a | @ |\n".to_owned(), "9f8e7d6c5b4a"),
        ("db:\n  password:\n    @\n  port: 5432\n".to_owned(), "Sommer8531x"),
        ("password: |\n  @\n".to_owned(), "Sommer8531x"),
        ("- password: >-\n    \"@\"\n".to_owned(), "Sommer8531x"),
        ("The password is @ today".to_owned(), "Sommer8531!"),
        ("log in with password @ on db-1".to_owned(), "Sommer8531x"),
        ("Password `@` is on the wiki".to_owned(), "Sommer8531"),
        ("the admin password (@) leaked".to_owned(), "Sommer8531!"),
        ("API key @ was in the log".to_owned(), "8f3k2j9d8s7f6g5h4j3k2l1"),
        ("the token is @".to_owned(), "8f3k2j9d8s7f6g5h4j3k2l1"),
        ("pw: @".to_owned(), "Sommer8531!"),
        ("PW=@".to_owned(), "Sommer8531!"),
        ("password -> @".to_owned(), "Sommer8531!"),
        ("password:\u{a0}@".to_owned(), "Sommer8531"),
        ("password：@".to_owned(), "Sommer8531"),
        ("Kennwort: @, contraseña".to_owned(), "Sommer8531"),
        ("docker login -u bob -p @ r.io".to_owned(), "Sommer8531"),
        ("mongosh -u a -p @".to_owned(), "Sommer8531"),
        ("htpasswd -bc file bob @".to_owned(), "Sommer8531"),
        ("ldapsearch -D cn=a -w @".to_owned(), "Sommer8531"),
    ];
    for (text, secret) in table {
        let text = text.replacen('@', secret, 1);
        let found: Vec<&str> = find(&text).iter().map(|it| &text[it.range.clone()]).collect();
        assert_eq!(found, [secret], "{text}");
    }
}

#[test]
fn what_is_no_secret_stays() {
    let table = [
        "password: <password>",
        "password=${DB_PASSWORD}",
        "password: xxxxxxxx, token: ********, api_key: REDACTED",
        "postgres://user:pass@host/db and https://host:8080/a@b",
        "AKIAIOSFODNN7EXAMPLE",
        "ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        "secretName: checkout-tls-2024",
        "Authorization: Bearer $TOKEN",
        "password = config.database.password",
        "token = os.environ[\"TOKEN\"]",
        "secretKeyRef:\n  name: db\n  key: password",
        "Password: changed by the team afterwards",
        "the password was rotated as planned",
        "all tests pass: 12 of 12",
        "PWD=/srv/app",
        "-----BEGIN PRIVATE KEY-----\n...\n-----END PRIVATE KEY-----",
        "image@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
        "Owner: the object that owns this one, if any",
        "at 12:30:45, version 1.35.0, 127.0.0.1 and ::1",
        "npm install @types/node, ask @here",
        "git@github.com:org/repo.git",
        "the password: please ask the on-call",
        "reset your password",
        "**Password:** please ask the on-call",
        "secretName: tls",
        "kind: ConfigMap\ndata:\n  mode: fast-2\n---\nkind: Secret\ndata:\n  a: <base64>\n",
        "{\"kind\": \"ConfigMap\", \"data\": {\"mode\": \"fast-2\"}}",
        "kind: Secret\nmetadata:\n  name: db\n  labels:\n    data: none\n",
        "kubectl create configmap app --from-literal=mode=fast",
        "password: \"must have at least 8 characters\"",
        "docker run mysql -p3306:3306",
        "mysql -u root -p orders",
        "a pod identified by 'checkout-1'",
        "<password>${DB_PASSWORD}</password>",
        "Cookie: session=<session>; theme=dark",
        "echo $1$HOME and $6",
        "{\"auth\": \"disabled\"}",
        "token-service: \"E0312 10:79:07.736424 1 server.go:79] request failed\"",
        "s2 (token): \"10:31:07.269 WARN [exec-31] c.e.app.Handler : no worker is free\"",
        "s1 (token-api): \"E0312 10:79:07.736424 1 server.go:79] request failed\"",
        "| setting | password |\n|---|---|\n| length | at least 12 |\n| max age | 90 days |\n",
        "| flag | token |\n|---|---|\n| a | required |\n| b | service-account-2 |\n",
        "password:\n  minLength: 12\n",
        "password:\n- one\n",
        "## Password\n\nAsk the on-call.",
        "the passwords of 12 users expired at 10:30",
        "rotate the password with vault2",
        "the token was refreshed by checkout-api-2",
        "docker run -p 8080:80 nginx",
        "password -> reset page",
        "pw",
    ];
    for text in table {
        assert_eq!(masked(text), text);
    }
}

#[test]
fn little_of_a_secret_is_ever_shown() {
    let text = "a\nb\n  password=hunter22x";
    let found = find(text);
    assert_eq!((found[0].line(text), found[0].beginning(text)), (3, "hun"));
}

#[test]
fn messages_quote_little_of_a_value_and_no_secret() {
    let table = [
        ("bot", "bot"),
        ("password=hunter22x", "password=[REDACTED:password]"),
        ("x7Kq9LmZ2pVw4RtY", "[REDACTED:secret]"),
        ("jane.doe@example.com", "[REDACTED:email]"),
        ("10.1.2.3", "[REDACTED:ip-address]"),
        ("\u{1b}[2J\u{202e}\n", "\\u{1b}[2J\\u{202e}\\n"),
        ("the disk of the node was full again", "the disk of the node was full ag…"),
    ];
    for (value, expected) in table {
        assert_eq!(quoted(value), expected);
    }
}

#[test]
fn hostile_text_takes_no_longer_than_other_text() {
    let patterns = [
        "password=",
        "token: ",
        "token=",
        "name=secret value=",
        "login a password ",
        "bearer ",
        "-----BEGIN RSA PRIVATE KEY-----\n",
        "a://b:c@",
        "[REDACTED:",
        "&;",
        "author: ",
        "kind: Secret\ndata:\n",
        "kind: Secret\n kind: Secret\n",
        "{\"data\":",
        "mysql ",
        "create ",
        "Cookie: ",
    ];
    for pattern in patterns {
        let text = pattern.repeat((1 << 18) / pattern.len());
        let began = std::time::Instant::now();
        masked(&text);
        assert!(began.elapsed().as_secs() < 5, "{pattern} took {:?}", began.elapsed());
    }
}

proptest! {
    #[test]
    fn masking_twice_changes_nothing(
        parts in prop::collection::vec(
            prop_oneof![
                any::<String>(),
                Just("password=".to_owned()),
                Just("token: ".to_owned()),
                Just("author: ".to_owned()),
                Just("[REDACTED:".to_owned()),
                Just("]".to_owned()),
                Just("Bearer ".to_owned()),
                Just("\n".to_owned()),
                "[a-zA-Z0-9@:/.]{1,40}",
            ],
            0..20,
        ),
    ) {
        let once = masked(&parts.concat());
        prop_assert_eq!(masked(&once), once.clone());
        prop_assert!(find(&once).is_empty());
    }
}

/// Real documents hold no secret; whatever is found there is wrong, or explained in `LOG.md`.
#[test]
fn real_documents_are_taken_for_what_they_are() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    if !data.is_dir() {
        crate::skip::skip("the shared data is not at hand");
        return;
    }
    let sources = Sources::find(&["postmortems", "runbooks"].map(|name| data.join(name))).unwrap();
    let mut texts: Vec<(String, String)> = record::read(&sources, Limits::STANDARD)
        .map(|record| record.unwrap())
        .map(|record| match record.content {
            record::Content::Text(text) => (record.source, text),
            other => panic!("a document gave {other:?}"),
        })
        .collect();
    let api = std::fs::read(data.join("kubernetes/openapi-v2-v1.35.0.json")).unwrap();
    let api: serde_json::Value = serde_json::from_slice(&api).unwrap();
    texts.push(("openapi".to_owned(), descriptions(&api).join("\n")));
    let mut wrong = Vec::new();
    for (name, text) in &texts {
        for finding in find(text) {
            let (line, secret) = (finding.line(text), &text[finding.range.clone()]);
            wrong.push(format!("{name}:{line}: {} {secret}", finding.kind));
        }
    }
    assert!(wrong.is_empty(), "{} in {} texts:\n{}", wrong.len(), texts.len(), wrong.join("\n"));
}

fn descriptions(value: &serde_json::Value) -> Vec<String> {
    match value {
        serde_json::Value::Object(map) => map
            .iter()
            .flat_map(|(key, value)| match value {
                serde_json::Value::String(text) if key == "description" => vec![text.clone()],
                other => descriptions(other),
            })
            .collect(),
        serde_json::Value::Array(items) => items.iter().flat_map(descriptions).collect(),
        _ => Vec::new(),
    }
}
