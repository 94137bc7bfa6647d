use super::*;

/// Feeds the text in these pieces; gives what came out piece by piece, and whether it stopped.
fn run(stops: &[&str], pieces: &[&str]) -> (Vec<String>, bool) {
    let mut filter = StopFilter::new(stops.iter().map(|stop| (*stop).to_owned()).collect());
    let mut out: Vec<String> = pieces.iter().map(|piece| filter.push(piece)).collect();
    out.push(filter.finish());
    (out, filter.stopped())
}

#[test]
fn what_may_begin_a_stop_string_is_held_back() {
    let (out, stopped) = run(&["\n\nEnd"], &["one", "\n", "two\n", "\nE", "n", "dless"]);
    // "\n\nEn" waits until "End" is whole.
    assert_eq!(out, ["one", "", "\ntwo", "", "", "", ""]);
    assert!(stopped);
    let (out, stopped) = run(&["\n\nEnd"], &["two\n\nE", "x", "\n"]);
    assert_eq!(out, ["two", "\n\nEx", "", "\n"]);
    assert!(!stopped);
    // Nothing waits where no stop string can begin.
    assert_eq!(run(&["zz"], &["a", "b", "c"]).0, ["a", "b", "c", ""]);
    assert_eq!(run(&[], &["a", "b"]).0, ["a", "b", ""]);
}

#[test]
fn text_from_the_stop_string_on_is_dropped() {
    let (out, stopped) = run(&["STOP"], &["go STOP and more", "even more"]);
    assert_eq!((out.concat().as_str(), stopped), ("go ", true));
    let (out, stopped) = run(&["aab"], &["aa", "aab"]);
    assert_eq!((out.concat().as_str(), stopped), ("aa", true));
}

/// However a text is cut, the same text comes out.
#[test]
fn cuts_do_not_matter() {
    let cases: [(&[&str], &str, &str, bool); 7] = [
        (&["abcd", "c"], "xabcdx", "xab", true),
        (&["abcd", "bcd"], "xabcdx", "x", true),
        (&["bc", "abcde"], "abcdef", "a", true),
        (&["é!", "e"], "caféé!", "café", true),
        (&["日本"], "日日本語", "日", true),
        (&["日本"], "日日語日", "日日語日", false),
        (&["aaa"], "aabaab", "aabaab", false),
    ];
    for (stops, text, expected, stops_there) in cases {
        let chars: Vec<String> = text.chars().map(String::from).collect();
        for cuts in 0_u32..1 << (chars.len() - 1) {
            let mut pieces = vec![chars[0].clone()];
            for (index, piece) in chars[1..].iter().enumerate() {
                if cuts >> index & 1 == 1 {
                    pieces.push(String::new());
                }
                pieces.last_mut().unwrap().push_str(piece);
            }
            let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
            let (out, stopped) = run(stops, &pieces);
            let got = (out.concat(), stopped);
            assert_eq!(got, (expected.to_owned(), stops_there), "{stops:?} {pieces:?}");
        }
    }
}
