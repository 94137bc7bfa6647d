//! `report.html`: everything that a run came to, in one file that needs no other.

use crate::chart::Figure;
use anyhow::Result;
use std::fmt::Write;
use std::path::Path;

/// What a report shows, from top to bottom.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Report {
    /// Its heading.
    pub(crate) title: String,
    /// What was done, in a sentence or two.
    pub(crate) lead: String,
    /// Figures, in this order.
    pub(crate) figures: Vec<Figure>,
    /// Settings and numbers.
    pub(crate) tables: Vec<Table>,
    /// What models wrote.
    pub(crate) samples: Vec<Sample>,
}

/// Names and values.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Table {
    /// Its heading.
    pub(crate) title: String,
    /// (name, value).
    pub(crate) rows: Vec<(String, String)>,
}

/// What a model wrote.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sample {
    /// Which model.
    pub(crate) title: String,
    /// What it was given.
    pub(crate) prompt: String,
    /// How it went on.
    pub(crate) text: String,
}

const STYLE: &str = include_str!("report.css");

impl Report {
    /// Writes the file.
    ///
    /// # Errors
    /// When it cannot be written; an older one is then unchanged.
    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        let html = self.html();
        Ok(files::write_atomic(path, |out| out.write_all(html.as_bytes()))?)
    }

    fn html(&self) -> String {
        let title = escape(&self.title);
        let mut html = format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta \
             name=\"viewport\" content=\"width=device-width\">\n<title>{title}</title>\n\
             <style>\n{STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n<p>{}</p>\n",
            escape(&self.lead)
        );
        for figure in &self.figures {
            html.push_str(&element(figure));
        }
        for sample in &self.samples {
            let (prompt, text) = (escape(&sample.prompt), escape(&sample.text));
            let title = escape(&sample.title);
            let _ = writeln!(html, "<h2>{title}</h2>\n<pre><b>{prompt}</b>{text}</pre>");
        }
        for table in &self.tables {
            let _ = writeln!(html, "<h2>{}</h2>\n<table>", escape(&table.title));
            for (name, value) in &table.rows {
                let (name, value) = (escape(name), escape(value));
                let _ = writeln!(html, "<tr><th>{name}</th><td>{value}</td></tr>");
            }
            html.push_str("</table>\n");
        }
        html.push_str("</body>\n</html>\n");
        html
    }
}

/// A figure with its heading, legend and lines of text.
fn element(figure: &Figure) -> String {
    let (title, note) = (escape(&figure.title), escape(&figure.note));
    let mut html = format!("<figure>\n<h2>{title}</h2>\n<figcaption>{note}</figcaption>\n");
    if !figure.legend.is_empty() {
        html.push_str("<p class=\"key\">");
        for key in &figure.legend {
            let (class, text) = (key.colour.class(), escape(&key.text));
            let _ = write!(html, "<span><i class=\"{class}\"></i>{text}</span>");
        }
        html.push_str("</p>\n");
    }
    html.extend(figure.svg.iter().map(String::as_str));
    if !figure.below.is_empty() {
        html.push_str("<dl>\n");
        for (name, text) in &figure.below {
            let _ = writeln!(html, "<dt>{}</dt><dd>{}</dd>", escape(name), escape(text));
        }
        html.push_str("</dl>\n");
    }
    html.push_str("</figure>\n");
    html
}

/// The text as HTML shows it.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chart::{Colour, Key};

    #[test]
    fn what_a_model_wrote_is_text_and_not_markup() {
        let figure = Figure {
            title: "<script>f".into(),
            note: "<script>n".into(),
            svg: ["<svg class=\"wide\"/>".into(), "<svg class=\"narrow\"/>".into()],
            legend: vec![Key { colour: Colour::Accent, text: "<script>k".into() }],
            below: vec![("<script>b".into(), "<script>t".into())],
        };
        let report = Report {
            title: "run & report".into(),
            samples: vec![Sample {
                title: "tuned".into(),
                prompt: "# T".into(),
                text: "<script>alert(\"x\")</script>".into(),
            }],
            tables: vec![Table { title: "t".into(), rows: vec![("a<b".into(), "1".into())] }],
            figures: vec![figure],
            ..Report::default()
        };
        let html = report.html();
        assert!(!html.contains("<script"), "{html}");
        assert!(html.contains("&lt;script&gt;alert(&quot;x&quot;)"));
        assert!(html.contains("<title>run &amp; report</title>"));
        assert!(html.contains("<tr><th>a&lt;b</th><td>1</td></tr>"));
        assert!(
            html.contains("<svg class=\"wide\"/><svg class=\"narrow\"/>"),
            "drawings are markup"
        );
        for fetches in ["http", "url(", "@import", "src="] {
            assert!(!html.contains(fetches), "nothing is fetched");
        }
    }
}
