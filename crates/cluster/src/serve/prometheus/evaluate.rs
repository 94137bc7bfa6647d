//! Queries over the store. Selectors are resolved and groups made once; then each moment is a walk over
//! arrays.

use super::parse::{Expression, Function, Selector};
use super::store::{Series, Store};
use crate::serve::aggregate::{Groups, Operation};
use crate::serve::matcher::{Labels, NAME, all_match};
use std::collections::BTreeSet;

/// How old the value of a moment may be, in milliseconds, as Prometheus has it.
const LOOKBACK: i64 = 300_000;

/// Points that one query may touch: Prometheus has such a limit, this one is a tenth of its.
const MOST_SAMPLES: u64 = 5_000_000;

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Fault {
    /// The query is none.
    Query(String),
    /// It is one and cannot be carried out.
    Execution(String),
}

/// A series in a result: its labels and its points.
pub(super) type Row = (Labels, Vec<(i64, f64)>);

/// The answer to a query at one moment.
#[derive(Debug)]
pub(super) enum Outcome {
    Scalar(f64),
    Vector(Vec<(Labels, f64)>),
    Matrix(Vec<Row>),
}

/// A query with its series: what it gives is an array over `labels`.
struct Resolved<'a> {
    labels: Vec<Labels>,
    node: Node<'a>,
    /// Points that a moment touches.
    cost: u64,
}

enum Node<'a> {
    Number(f64),
    Select { series: Vec<&'a Series>, offset: i64 },
    Call { function: Function, series: Vec<&'a Series>, offset: i64, range: i64 },
    Aggregate { operation: Operation, groups: Groups, inner: Box<Resolved<'a>> },
}

/// The answer at one moment.
pub(super) fn at(expression: &Expression, store: &Store, at: i64) -> Result<Outcome, Fault> {
    if let Expression::Range(selector, range) = expression {
        let (selected, end) = (selected(store, selector), at - selector.offset);
        let rows = selected.into_iter().filter_map(|series| {
            let points = window(&series.points, end, *range);
            (!points.is_empty()).then(|| (series.labels.clone(), points.to_vec()))
        });
        return Ok(Outcome::Matrix(rows.collect()));
    }
    let resolved = resolve(expression, store)?;
    affordable(&resolved, 1)?;
    if let Node::Number(number) = resolved.node {
        return Ok(Outcome::Scalar(number));
    }
    let values = resolved.node.values(at);
    let pairs = resolved.labels.into_iter().zip(values);
    Ok(Outcome::Vector(pairs.filter_map(|(labels, value)| Some((labels, value?))).collect()))
}

/// The answer over a range: from, to, step.
pub(super) fn over(
    expression: &Expression,
    store: &Store,
    (start, end, step): (i64, i64, i64),
) -> Result<Vec<Row>, Fault> {
    if matches!(expression, Expression::Range(..)) {
        return Err(Fault::Query(
            "invalid expression type \"range vector\" for range query, must be Scalar or instant Vector"
                .to_owned(),
        ));
    }
    let resolved = resolve(expression, store)?;
    affordable(&resolved, ((end - start) / step + 1).unsigned_abs())?;
    let mut rows: Vec<Row> = resolved.labels.into_iter().map(|it| (it, Vec::new())).collect();
    let mut at = start;
    while at <= end {
        for ((_, points), value) in rows.iter_mut().zip(resolved.node.values(at)) {
            points.extend(value.map(|value| (at, value)));
        }
        at += step;
    }
    rows.retain(|(_, points)| !points.is_empty());
    Ok(rows)
}

fn affordable(resolved: &Resolved<'_>, moments: u64) -> Result<(), Fault> {
    if resolved.cost.saturating_mul(moments) <= MOST_SAMPLES {
        return Ok(());
    }
    let message = "query processing would load too many samples into memory in query execution";
    Err(Fault::Execution(message.to_owned()))
}

fn selected<'a>(store: &'a Store, selector: &Selector) -> Vec<&'a Series> {
    let all = store.series.iter();
    all.filter(|series| all_match(&selector.matchers, &series.labels)).collect()
}

fn resolve<'a>(expression: &Expression, store: &'a Store) -> Result<Resolved<'a>, Fault> {
    Ok(match expression {
        Expression::Number(number) => {
            Resolved { labels: vec![Labels::new()], node: Node::Number(*number), cost: 1 }
        }
        Expression::Select(selector) => {
            let series = selected(store, selector);
            let labels: Vec<Labels> = series.iter().map(|it| it.labels.clone()).collect();
            let cost = labels.len() as u64;
            Resolved { labels, node: Node::Select { series, offset: selector.offset }, cost }
        }
        Expression::Range(..) => {
            let problem = "expected type instant vector, got range vector";
            return Err(Fault::Query(problem.to_owned()));
        }
        Expression::Call(function, selector, range) => {
            let series = selected(store, selector);
            let labels: Vec<Labels> =
                series.iter().map(|it| named(*function, &it.labels)).collect();
            if labels.iter().collect::<BTreeSet<_>>().len() < labels.len() {
                let problem = "vector cannot contain metrics with the same labelset";
                return Err(Fault::Execution(problem.to_owned()));
            }
            let most = series.iter().map(|it| width(&it.points, *range)).sum();
            let (function, offset, range) = (*function, selector.offset, *range);
            Resolved { labels, node: Node::Call { function, series, offset, range }, cost: most }
        }
        Expression::Aggregate(operation, grouping, inner) => {
            let inner = Box::new(resolve(inner, store)?);
            let groups = Groups::new(grouping, &inner.labels);
            let (labels, cost) = (groups.labels.clone(), inner.cost);
            let node = Node::Aggregate { operation: *operation, groups, inner };
            Resolved { labels, node, cost }
        }
    })
}

/// The labels of a function's result: only the last value is still of the metric.
fn named(function: Function, labels: &Labels) -> Labels {
    let mut labels = labels.clone();
    if function != Function::Last {
        labels.remove(NAME);
    }
    labels
}

/// About how many points a window holds.
fn width(points: &[(i64, f64)], range: i64) -> u64 {
    let (Some(first), Some(last)) = (points.first(), points.last()) else { return 1 };
    let step = ((last.0 - first.0) / (points.len() as i64 - 1).max(1)).max(1);
    (range / step).clamp(1, points.len() as i64).unsigned_abs()
}

impl Node<'_> {
    fn values(&self, at: i64) -> Vec<Option<f64>> {
        match self {
            Node::Number(number) => vec![Some(*number)],
            Node::Select { series, offset } => {
                let newest = |it: &&Series| {
                    window(&it.points, at - offset, LOOKBACK).last().map(|point| point.1)
                };
                series.iter().map(newest).collect()
            }
            Node::Call { function, series, offset, range } => {
                let end = at - offset;
                let call = |it: &&Series| {
                    let points = window(&it.points, end, *range);
                    apply(*function, points, (end - range, end))
                };
                series.iter().map(call).collect()
            }
            Node::Aggregate { operation, groups, inner } => {
                groups.fold(*operation, &inner.node.values(at))
            }
        }
    }
}

/// The points after `end - range`, up to `end`.
fn window(points: &[(i64, f64)], end: i64, range: i64) -> &[(i64, f64)] {
    let first = points.partition_point(|(at, _)| *at <= end - range);
    let last = points.partition_point(|(at, _)| *at <= end);
    &points[first..last.max(first)]
}

fn apply(function: Function, points: &[(i64, f64)], window: (i64, i64)) -> Option<f64> {
    let values = || points.iter().map(|(_, value)| *value);
    let count = points.len() as f64;
    let last = points.last()?.1;
    Some(match function {
        Function::Avg => values().sum::<f64>() / count,
        Function::Min => values().fold(f64::INFINITY, f64::min),
        Function::Max => values().fold(f64::NEG_INFINITY, f64::max),
        Function::Sum => values().sum(),
        Function::Count => count,
        Function::Last => last,
        Function::Rate => {
            extrapolated(points, window, true)? / ((window.1 - window.0) as f64 / 1000.0)
        }
        Function::Increase => extrapolated(points, window, true)?,
        Function::Delta => extrapolated(points, window, false)?,
    })
}

/// By how much something grew in a window, read beyond its points to the window's ends where they come
/// close enough, as Prometheus does it; a counter's resets are made good.
fn extrapolated(points: &[(i64, f64)], (start, end): (i64, i64), counter: bool) -> Option<f64> {
    let [(first_at, first), .., (last_at, last)] = points else { return None };
    let mut grown = last - first;
    if counter {
        let resets = points.windows(2).filter(|pair| pair[1].1 < pair[0].1);
        grown += resets.map(|pair| pair[0].1).sum::<f64>();
    }
    let seconds = |millis: i64| millis as f64 / 1000.0;
    let (mut before, mut after) = (seconds(first_at - start), seconds(end - last_at));
    let sampled = seconds(last_at - first_at);
    let apart = sampled / (points.len() - 1) as f64;
    let near = apart * 1.1;
    if before >= near {
        before = apart / 2.0;
    }
    if counter && grown > 0.0 && *first >= 0.0 {
        // A counter was not below zero.
        before = before.min(sampled * (first / grown));
    }
    if after >= near {
        after = apart / 2.0;
    }
    Some(grown * (sampled + before + after) / sampled)
}
