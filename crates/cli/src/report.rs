//! `report.html`: everything that a run came to, in one file that needs no other.

use crate::chart::Chart;
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
    /// Loss curves.
    pub(crate) charts: Vec<Chart>,
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

const STYLE: &str = "\
:root { color-scheme: light dark; --line: #8884; --train: #4a90d9; --held: #d9724a; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 48rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; }
th, td { text-align: left; vertical-align: top; padding: .25rem .5rem; border-bottom: 1px solid var(--line); }
th { font-weight: normal; opacity: .7; white-space: nowrap; } td { font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
svg { width: 100%; height: auto; } svg text { font-size: 11px; fill: currentColor; opacity: .7; }
.grid { stroke: var(--line); } polyline { fill: none; stroke-width: 1.5; }
polyline.train { stroke: var(--train); } polyline.held { stroke: var(--held); stroke-dasharray: 4 3; }
circle.held { fill: var(--held); } .key span { margin-right: 1.5rem; } .key i { font-style: normal; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; padding: .75rem; border: 1px solid var(--line); border-radius: 6px; }
pre b { font-weight: normal; opacity: .6; }
";

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
        for chart in &self.charts {
            let _ = write!(html, "<h2>{}</h2>\n{}", escape(&chart.title), chart.svg());
            html.push_str(
                "<p class=\"key\"><span><i style=\"color:var(--train)\">━</i> training \
                 loss</span><span><i style=\"color:var(--held)\">●</i> held-out loss</span></p>\n",
            );
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

    #[test]
    fn what_a_model_wrote_is_text_and_not_markup() {
        let report = Report {
            title: "run & report".into(),
            samples: vec![Sample {
                title: "tuned".into(),
                prompt: "# T".into(),
                text: "<script>alert(\"x\")</script>".into(),
            }],
            tables: vec![Table { title: "t".into(), rows: vec![("a<b".into(), "1".into())] }],
            charts: vec![Chart::default()],
            ..Report::default()
        };
        let html = report.html();
        assert!(!html.contains("<script"), "{html}");
        assert!(html.contains("&lt;script&gt;alert(&quot;x&quot;)"));
        assert!(html.contains("<title>run &amp; report</title>"));
        assert!(html.contains("<tr><th>a&lt;b</th><td>1</td></tr>"));
        assert!(!html.contains("http"), "nothing is fetched");
    }
}
