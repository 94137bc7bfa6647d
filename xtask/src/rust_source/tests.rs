//! The scanner on the places where a naive one goes wrong.

use super::*;

#[test]
fn comments_and_literals_are_blanked_and_lines_stay() {
    let table = [
        ("a // fn b {\nc", "a \nc"),
        ("a /* { /* { */ */ b", "a b"),
        (r#"x("{ \" {", '{', '\'', b'{')"#, "x( , , , )"),
        (r###"r#"{ " {"# r"{" br"{" for"###, " for"),
        ("&'a str + 'b: {}", "&'a str + 'b: {}"),
        ("/* open\n{", " \n "),
        ("bar\"{\" r#type", "bar r#type"),
    ];
    for (source, expected) in table {
        let code = code_only(source);
        assert_eq!(code.chars().count(), source.chars().count(), "{source}");
        assert_eq!(without_runs_of_spaces(&code), expected, "{source}");
    }
}

fn without_runs_of_spaces(code: &str) -> String {
    let mut short = code.to_string();
    while short.contains("  ") {
        short = short.replace("  ", " ");
    }
    short
}

#[test]
fn functions_are_measured_from_fn_to_brace() {
    let source = "\
trait T {
    fn without_body(&self) -> [u8; 4];
}
/// fn in_a_comment() {
#[test]
fn first(x: [u8; 2]) -> &'static str
where
    T: Fn(u8) -> u8,
{
    fn inner() {}
    let f: fn(u8) -> u8 = g;
    \"}\"
}
pub const fn last() { if x { y } }
";
    let found: Vec<(String, usize, usize, bool)> =
        functions(source).into_iter().map(|f| (f.name, f.line, f.length, f.is_test)).collect();
    let expected = [("first", 6, 8, true), ("inner", 10, 1, false), ("last", 14, 1, false)];
    assert_eq!(found, expected.map(|(n, line, length, test)| (n.to_string(), line, length, test)));
}

#[test]
fn an_unclosed_body_ends_with_the_file() {
    assert_eq!(functions("fn broken() {\n{\n")[0].length, 2);
    assert!(functions("fn").is_empty());
    assert!(functions("fn ").is_empty());
}
