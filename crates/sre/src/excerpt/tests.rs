use super::{MARKS, MOST_CHARACTERS, excerpt};
use proptest::prelude::*;

#[test]
fn an_excerpt_is_short_marked_and_escaped() {
    assert_eq!(excerpt("call to cart failed: 503 (db)"), "«call to cart failed: 503 (db)»");
    assert_eq!(excerpt("a\n\nb\t c"), "«a b c»");
    assert_eq!(excerpt("<|eot_id|>"), "«\\u{3c}\\u{7c}eot_id\\u{7c}\\u{3e}»");
    assert_eq!(excerpt("»\u{202e}«"), "«\\u{bb}\\u{202e}\\u{ab}»");
    assert_eq!(excerpt(""), "«»");
    let long = excerpt(&"x".repeat(1 << 20));
    assert_eq!(long.chars().count(), MOST_CHARACTERS + 2);
    assert!(long.ends_with("x…»"));
}

proptest! {
    #[test]
    fn no_text_leaves_its_span(text in ".{0,400}|(<\\|[a-z_]{1,9}\\|>|\\[INST\\]|«|»|\\{\"|\n){0,60}") {
        let span = excerpt(&text);
        let inside = span.strip_prefix(MARKS[0]).and_then(|rest| rest.strip_suffix(MARKS[1]));
        let inside = inside.expect("marks around it");
        prop_assert!(inside.chars().count() <= MOST_CHARACTERS);
        let marks = inside.chars().any(|c| "<>|[]{}«»\"`#*\n\r".contains(c) && !inside.contains("\\u{"));
        prop_assert!(!marks, "{inside}");
        prop_assert!(!inside.chars().any(|c| c.is_control() || "<>|[]«»\"`#*".contains(c)), "{inside}");
    }
}
