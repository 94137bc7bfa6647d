//! Amounts as Kubernetes writes them: `250m`, `1.5`, `512Mi`, `1e3`.

use serde_json::Value;

/// The amount as a number.
pub(super) fn amount(value: &Value) -> Option<f64> {
    let text = match value {
        Value::String(text) => text.trim(),
        Value::Number(number) => return number.as_f64(),
        _ => return None,
    };
    let end = text.find(|it: char| it.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let factor = match unit {
        "" => 1.0,
        "n" => 1e-9,
        "u" => 1e-6,
        "m" => 1e-3,
        "k" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        "T" => 1e12,
        "P" => 1e15,
        "Ki" => 1024.0,
        "Mi" => 1024f64.powi(2),
        "Gi" => 1024f64.powi(3),
        "Ti" => 1024f64.powi(4),
        "Pi" => 1024f64.powi(5),
        exponent if exponent.starts_with(['e', 'E']) && exponent.len() > 1 => {
            return text.parse().ok().filter(|it: &f64| it.is_finite());
        }
        "E" => 1e18,
        "Ei" => 1024f64.powi(6),
        _ => return None,
    };
    number.parse().ok().map(|it: f64| it * factor).filter(|it| it.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn amounts_have_units() {
        for (text, expected) in [
            (json!("250m"), Some(0.25)),
            (json!("1.5"), Some(1.5)),
            (json!(2), Some(2.0)),
            (json!("512Mi"), Some(512.0 * 1024.0 * 1024.0)),
            (json!("1G"), Some(1e9)),
            (json!("1e3"), Some(1e3)),
            (json!("2E"), Some(2e18)),
            (json!("x"), None),
            (json!("1Q"), None),
            (json!(null), None),
        ] {
            assert_eq!(amount(&text), expected, "{text}");
        }
    }
}
