//! Rankings scored on a directory as the PetShop data set has it.

use super::{in_file, text};
use crate::exit::usage;
use crate::output::{Answer, table};
use anyhow::Result;
use rayon::iter::{IntoParallelRefIterator, ParallelIterator};
use serde_json::json;
use sre::rank::layout::Table;
use sre::rank::petshop::{self, Alarm, Issue};
use sre::rank::trial::{Method, Recall, wilson};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Most issues of one part.
const MOST_ISSUES: usize = 10_000;
/// Samples that an issue is noticed late.
const LATE: [usize; 3] = [0, 1, 2];
/// Samples of a window of a time without issues: as many as there are after the notice of an issue.
const QUIET: usize = 4;
/// Parts whose issues count, beside all of them together.
const PARTS: [&str; 2] = ["train", "test"];

/// What is in the directory.
struct Data {
    calls: Vec<(String, String)>,
    normal: Table,
    issues: Vec<(&'static str, Issue, Table)>,
}

/// A group of issues that is scored: part, symptom, samples late, method.
type Group = (&'static str, String, usize, &'static str);

/// Reads and scores.
pub(super) fn score(directory: &Path) -> Result<Answer> {
    let data = read(directory)?;
    let (recalls, none) = (recalls(&data)?, specificity(&data)?);
    let head = ["part", "alarm", "late", "method", "issues", "top-1", "95 %", "top-3", "95 %"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    let mut list = Vec::new();
    let interval = |hits: f64, count: usize| {
        let (low, high) = wilson(hits, count);
        (format!("{low:.2}-{high:.2}"), json!([low, high]))
    };
    for ((part, alarm, late, method), recall) in &recalls {
        let share = |hits: f64| hits / recall.count.max(1) as f64;
        let (first, three) =
            (interval(recall.first, recall.count), interval(recall.three, recall.count));
        rows.push(vec![
            (*part).to_owned(),
            alarm.clone(),
            late.to_string(),
            (*method).to_owned(),
            recall.count.to_string(),
            format!("{:.2}", share(recall.first)),
            first.0,
            format!("{:.2}", share(recall.three)),
            three.0,
        ]);
        list.push(json!({
            "part": part, "alarm": alarm, "late_samples": late, "method": method,
            "issues": recall.count,
            "top1": share(recall.first), "top1_hits": recall.first, "top1_interval": first.1,
            "top3": share(recall.three), "top3_hits": recall.three, "top3_interval": three.1,
        }));
    }
    let mut quiet =
        vec![["alarm", "method", "windows", "none", "95 %"].map(str::to_owned).to_vec()];
    let mut specificity = Vec::new();
    for ((alarm, method), (found, count)) in &none {
        let share = *found as f64 / (*count).max(1) as f64;
        let (shown, ends) = interval(*found as f64, *count);
        let (alarm, method) = (alarm.clone(), (*method).to_owned());
        specificity.push(json!({
            "alarm": alarm, "method": method, "windows": count, "none": share, "interval": ends,
        }));
        quiet.push(vec![alarm, method, count.to_string(), format!("{share:.2}"), shown]);
    }
    let json = json!({ "recall": list, "specificity": specificity });
    Ok(Answer { text: format!("{}\n{}", table(&rows), table(&quiet)), json })
}

fn read(directory: &Path) -> Result<Data> {
    let graph = directory.join("graph.csv");
    let calls = in_file(&graph, petshop::graph(&text(&graph)?))?;
    let metrics = |file: PathBuf| in_file(&file, petshop::metrics(&text(&file)?));
    let normal = metrics(directory.join("noissue/metrics.csv"))?;
    let mut issues = Vec::new();
    for part in PARTS {
        for path in numbered(&directory.join(part))? {
            let target = path.join("target.json");
            let issue = in_file(&target, petshop::issue(&text(&target)?))?;
            issues.push((part, issue, metrics(path.join("metrics.csv"))?));
        }
    }
    Ok(Data { calls, normal, issues })
}

/// The directories `issue_N` of a part, by number.
fn numbered(part: &Path) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(part).map_err(|error| {
        usage(format!("{}: {error}\nhint: it holds issue_0, …", part.display()))
    })?;
    let mut found = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if let Some(number) = name.strip_prefix("issue_").and_then(|it| it.parse::<u64>().ok()) {
            found.push((number, path));
        }
    }
    if found.is_empty() || found.len() > MOST_ISSUES {
        let count = found.len();
        return Err(usage(format!(
            "{}: {count} directories issue_N, expected 1 to {MOST_ISSUES}\nhint: the layout of \
             PetShop is {{train,test}}/issue_N/{{metrics.csv,target.json}}",
            part.display()
        )));
    }
    found.sort();
    Ok(found.into_iter().map(|(_, path)| path).collect())
}

/// How often every method finds the cause.
fn recalls(data: &Data) -> Result<BTreeMap<Group, Recall>> {
    let mut recalls: BTreeMap<Group, Recall> = BTreeMap::new();
    for (part, issue, table) in &data.issues {
        for late in LATE {
            let window = petshop::window(&data.calls, &data.normal, table, &issue.target, late)?;
            for method in Method::ALL {
                let mut recall = Recall::default();
                recall.add(method, &window, &issue.root_cause.node);
                for part in ["all", *part] {
                    let group = (part, issue.target.metric.clone(), late, method.name());
                    let place = recalls.entry(group).or_default();
                    *place = place.and(recall);
                }
            }
        }
    }
    // The data set's own test part is shown, and all together.
    recalls.retain(|group, _| group.0 != "train");
    Ok(recalls)
}

/// By metric and method: windows answered "none", and all.
type Quiet = BTreeMap<(String, &'static str), (usize, usize)>;

/// How often every method finds nothing where there is nothing, for the alarms that the issues have.
fn specificity(data: &Data) -> Result<Quiet> {
    let mut alarms: BTreeMap<&str, BTreeMap<&str, usize>> = BTreeMap::new();
    for (_, issue, _) in &data.issues {
        let nodes = alarms.entry(&issue.target.metric).or_default();
        *nodes.entry(&issue.target.node).or_default() += 1;
    }
    let quiet: Vec<_> = petshop::quiet(&data.normal, QUIET).collect();
    let mut none = BTreeMap::new();
    for (metric, nodes) in alarms {
        // The service that raises the alarm most often.
        let Some((node, _)) = nodes.iter().max_by_key(|(_, count)| **count) else { continue };
        let said = |(past, now): &(Table, Table)| -> Result<Vec<bool>> {
            let (node, metric, timestamp) = ((*node).to_owned(), metric.to_owned(), now.span().0);
            let alarm = Alarm { node, metric, timestamp };
            let window = petshop::window(&data.calls, past, now, &alarm, 0)?;
            let found = |method: &Method| method.services(&window).is_empty();
            Ok(Method::ALL[..5].iter().map(found).collect())
        };
        let all: Vec<Vec<bool>> = quiet.par_iter().map(said).collect::<Result<_>>()?;
        for (index, method) in Method::ALL[..5].iter().enumerate() {
            let found = all.iter().filter(|said| said[index]).count();
            none.insert((metric.to_owned(), method.name()), (found, all.len()));
        }
    }
    Ok(none)
}
