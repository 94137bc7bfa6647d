use super::*;
use crate::report::Report;

#[test]
fn a_method_has_one_colour_everywhere() {
    for (name, colour) in [
        ("tuned", Colour::Accent),
        ("Tuned model", Colour::Accent),
        ("base", Colour::Plain),
        ("nearest neighbour", Colour::Green),
        ("logistic regression", Colour::Violet),
        ("majority", Colour::Grey),
    ] {
        assert_eq!(Colour::of_method(name), colour, "{name}");
    }
}

/// Writes a page with all figures, for a look at them: `SREK_FIGURES=/tmp/f.html cargo test -p cli
/// --bin srek page`.
#[test]
fn a_page_with_every_figure_needs_no_other_file() {
    let room = tempfile::tempdir().unwrap();
    let wanted = std::env::var_os("SREK_FIGURES").map(std::path::PathBuf::from);
    let path = wanted.unwrap_or_else(|| room.path().join("report.html"));
    let figures =
        vec![losses::tests::example(), bars::tests::example(), reliability::tests::example()];
    let figures = figures.into_iter().chain(signals::tests::examples()).collect();
    let report = Report {
        title: "Every figure".into(),
        lead: "Made up, to be looked at.".into(),
        figures,
        ..Report::default()
    };
    report.write(&path).unwrap();
    let html = std::fs::read_to_string(&path).unwrap();
    for fetches in ["http", "url(", "@import", "src=", "<script", "href"] {
        assert!(!html.contains(fetches), "{fetches}");
    }
    assert_eq!(html.matches("<svg class=\"wide\"").count(), report.figures.len());
    assert_eq!(html.matches("role=\"img\" aria-label=").count(), 2 * report.figures.len());
    assert!(!html.contains("NaN"));
}
