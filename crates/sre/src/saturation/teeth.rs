//! Saw-teeth: a rise that is cut again and again, as by garbage collection, log rotation or an
//! autoscaler. What counts for the limit is how high the teeth get, so the series becomes that of
//! its highest values, one per tooth.

use super::grid::{Grid, differences, spread};

/// A fall within two cells by this many scales of noise is a cut, if it is large beside the range.
const CUT: f64 = 6.0;

/// The share of the range of the values that a cut falls by at least.
const DEEP: f64 = 0.2;

/// Fewest cuts that make teeth, and fewest cells between two.
const FEWEST: usize = 3;
const FEWEST_CELLS: usize = 4;

/// What the cuts of a series say.
pub(super) enum Teeth {
    /// There are none.
    None,
    /// The highest value of each tooth.
    Tops(Grid),
}

/// Looks for teeth.
pub(super) fn teeth(grid: &Grid) -> Teeth {
    let cuts = cuts(&grid.values);
    if cuts.len() < FEWEST {
        return Teeth::None;
    }
    let mut gaps: Vec<usize> = cuts.windows(2).map(|two| two[1] - two[0]).collect();
    gaps.sort_unstable();
    // Nearly every cell of that width has a whole tooth's top in it.
    let width = gaps[(gaps.len() * 9 / 10).min(gaps.len() - 1)] * 5 / 4 + 1;
    // One that stopped being cut is a rise, whatever it was before.
    let open = grid.values.len() - cuts[cuts.len() - 1];
    if width < FEWEST_CELLS || open > 2 * width {
        return Teeth::None;
    }
    let known = |cell: &[f64]| cell.iter().copied().filter(|it| !it.is_nan()).fold(None, larger);
    let mut values: Vec<f64> =
        grid.values.rchunks(width).map(|cell| known(cell).unwrap_or(f64::NAN)).collect();
    // The oldest may be less than a tooth.
    if !grid.values.len().is_multiple_of(width) {
        values.pop();
    }
    values.reverse();
    let step = grid.step * width as f64;
    let start = grid.start + grid.step * (grid.values.len() - width * values.len()) as f64;
    Teeth::Tops(Grid { step, start, values })
}

fn larger(so_far: Option<f64>, value: f64) -> Option<f64> {
    Some(so_far.map_or(value, |it| it.max(value)))
}

/// The cells at which a tooth ends.
fn cuts(values: &[f64]) -> Vec<usize> {
    let mut known: Vec<f64> = values.iter().copied().filter(|it| !it.is_nan()).collect();
    known.sort_by(f64::total_cmp);
    let Some(scale) = spread(&mut differences(values, 1)) else { return Vec::new() };
    let at = |share: f64| known[(share * (known.len() - 1) as f64) as usize];
    let least = (CUT * scale).max(DEEP * (at(0.98) - at(0.02)));
    let mut found: Vec<usize> = Vec::new();
    for index in 2..values.len() {
        let fall = (values[index - 2] - values[index]).max(values[index - 1] - values[index]);
        let new = found.last().is_none_or(|last| index > last + FEWEST_CELLS);
        if least > 0.0 && fall > least && new {
            found.push(index);
        }
    }
    found
}
