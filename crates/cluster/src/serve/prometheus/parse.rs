//! The part of PromQL that is understood.

use crate::serve::aggregate::{Grouping, Operation};
use crate::serve::matcher::Operation as Compare;
use crate::serve::matcher::{Matcher, NAME};
use crate::serve::scan::{DEEPEST, Word, Words};

/// What to say about all else.
const SUPPORTED: &str = "the lab understands selectors with offset, numbers, rate, increase, delta, \
    {avg,min,max,sum,count,last}_over_time, and sum, avg, max, min, count with by or without";

/// A query.
#[derive(Clone, Debug)]
pub(super) enum Expression {
    Number(f64),
    Select(Selector),
    /// The points of a window before each moment, in milliseconds.
    Range(Selector, i64),
    Call(Function, Selector, i64),
    Aggregate(Operation, Grouping, Box<Expression>),
}

/// Which series.
#[derive(Clone, Debug)]
pub(super) struct Selector {
    pub(super) matchers: Vec<Matcher>,
    /// How far back, in milliseconds.
    pub(super) offset: i64,
}

/// A function of a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Function {
    Rate,
    Increase,
    Delta,
    Avg,
    Min,
    Max,
    Sum,
    Count,
    Last,
}

impl Function {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "rate" => Self::Rate,
            "increase" => Self::Increase,
            "delta" => Self::Delta,
            "avg_over_time" => Self::Avg,
            "min_over_time" => Self::Min,
            "max_over_time" => Self::Max,
            "sum_over_time" => Self::Sum,
            "count_over_time" => Self::Count,
            "last_over_time" => Self::Last,
            _ => return None,
        })
    }
}

/// Reads a query.
pub(super) fn expression(query: &str) -> Result<Expression, String> {
    let mut words = Words::of(query)?;
    if words.peek().is_none() {
        return Err("no expression found in input".to_owned());
    }
    let expression = part(&mut words, 0)?;
    match words.finish() {
        Ok(()) => Ok(expression),
        Err(problem) => Err(unsupported(&problem)),
    }
}

/// Reads a selector that stands alone, as `match[]` wants it.
pub(super) fn selector(text: &str) -> Result<Vec<Matcher>, String> {
    let mut words = Words::of(text)?;
    let selector = select(&mut words)?;
    words.finish()?;
    Ok(selector.matchers)
}

fn unsupported(problem: &str) -> String {
    format!("{problem}; {SUPPORTED}")
}

fn part(words: &mut Words, depth: usize) -> Result<Expression, String> {
    if depth > DEEPEST {
        return Err(format!("nested deeper than {DEEPEST}"));
    }
    if words.take("(") {
        let inner = part(words, depth + 1)?;
        words.expect(")").map_err(|it| unsupported(&it))?;
        return Ok(inner);
    }
    let negative = words.take("-");
    match words.peek() {
        Some(Word::Number(number)) => {
            let number = if negative { -number } else { *number };
            words.next();
            return Ok(Expression::Number(number));
        }
        _ if negative => return Err(unsupported(&words.wrong("expected a number"))),
        _ => {}
    }
    if let Some(Word::Name(name)) = words.peek() {
        let called = matches!(words.second(), Some(Word::Sign("(")));
        let grouped = matches!(words.second(), Some(Word::Name(it))
            if it.eq_ignore_ascii_case("by") || it.eq_ignore_ascii_case("without"));
        let (function, operation) = (Function::named(name), Operation::named(name));
        match (function, operation) {
            (Some(function), _) if called => return call(words, function),
            (_, Some(operation)) if called || grouped => {
                return aggregate(words, operation, depth);
            }
            _ if called || grouped => {
                return Err(unsupported(&words.wrong("unknown or unsupported function")));
            }
            _ => {}
        }
    }
    let selector = select(words).map_err(|it| unsupported(&it))?;
    match words.range()? {
        None => Ok(Expression::Select(offset(words, selector)?)),
        Some(range) => Ok(Expression::Range(offset(words, selector)?, range)),
    }
}

fn call(words: &mut Words, function: Function) -> Result<Expression, String> {
    words.next();
    words.expect("(")?;
    let selector = select(words).map_err(|it| unsupported(&it))?;
    let Some(range) = words.range()? else {
        return Err(words.wrong("expected type range vector in call: a selector with [5m]"));
    };
    let selector = offset(words, selector)?;
    words.expect(")")?;
    Ok(Expression::Call(function, selector, range))
}

fn aggregate(words: &mut Words, operation: Operation, depth: usize) -> Result<Expression, String> {
    words.next();
    let before = Grouping::read(words)?;
    words.expect("(")?;
    let inner = part(words, depth + 1)?;
    words.expect(")").map_err(|it| unsupported(&it))?;
    let grouping = match before {
        Some(grouping) => grouping,
        None => Grouping::read(words)?.unwrap_or_default(),
    };
    match inner {
        Expression::Number(_) | Expression::Range(..) => {
            Err(format!("parse error: expected type instant vector in aggregation {operation:?}"))
        }
        _ => Ok(Expression::Aggregate(operation, grouping, Box::new(inner))),
    }
}

fn offset(words: &mut Words, selector: Selector) -> Result<Selector, String> {
    Ok(Selector { offset: words.offset()?, ..selector })
}

fn select(words: &mut Words) -> Result<Selector, String> {
    let mut matchers = Vec::new();
    match words.peek() {
        Some(Word::Name(_)) => {
            if let Some(Word::Name(name)) = words.next() {
                matchers.push(Matcher::new(NAME, Compare::Equal, &name)?);
            }
        }
        Some(Word::Sign("{")) => {}
        _ => return Err(words.wrong("expected a selector")),
    }
    matchers.extend(words.matchers()?);
    if matchers.iter().all(Matcher::takes_empty) {
        return Err(
            "parse error: vector selector must contain at least one non-empty matcher".into()
        );
    }
    Ok(Selector { matchers, offset: 0 })
}
