//! Where series change: Bayesian online change-point detection (Adams and MacKay, 2007) of several
//! series at once, as BARO uses it (Pham et al., FSE 2024, section 4.2). For every length of the
//! present run there is a Gaussian of unknown mean and covariance with a normal-inverse-Wishart prior;
//! its prediction is a multivariate Student t.
//!
//! Two things are added. Lengths that hardly anything speaks for are dropped, and the Cholesky factors
//! of the scale matrices are updated by one row each, so a sample costs O(runs d²). And what is found
//! is only where to look: a change counts if the levels before and after differ, and it is placed
//! where the sum of deviations was last at its turning point.

#[cfg(test)]
mod tests;

/// Most samples of a series; of longer ones the last are looked at.
pub const MOST_SAMPLES: usize = 20_000;
/// Most series that are looked at together.
pub const MOST_SERIES: usize = 8;

/// One sample in so many begins a new run.
const HAZARD: f64 = 1.0 / 100.0;
/// Lengths of runs that are less probable than this are dropped, and so are all but the most
/// probable of so many.
const NEGLIGIBLE: f64 = 1e-6;
const MOST_RUNS: usize = 100;
/// Samples that a new level must last, and noise steps by which it must differ, more where fewer samples
/// speak for it: neighbours are alike, so the middle of n of them is off by up to these by root n.
const SHORTEST: usize = 4;
const LEAST_SHIFT: f64 = 1.5;
const SHIFT_BY_ROOT: f64 = 6.0;
/// Values farther than this many noise steps from the middle count as so far away.
const FARTHEST: f64 = 8.0;

/// The Gaussians of all runs of one length.
#[derive(Clone)]
struct Run {
    /// Samples in it, and its probability.
    length: usize,
    probability: f64,
    mean: Vec<f64>,
    /// The lower Cholesky factor of the scale matrix, by rows.
    factor: Vec<f64>,
}

impl Run {
    fn new(dimensions: usize) -> Self {
        let mut factor = vec![0.0; dimensions * dimensions];
        for row in 0..dimensions {
            factor[row * dimensions + row] = 1.0;
        }
        Self { length: 0, probability: 1.0, mean: vec![0.0; dimensions], factor }
    }

    /// Logarithm of the density of a sample, up to a constant that all runs share but for the degrees
    /// of freedom, which are kept.
    fn log_density(&self, sample: &[f64], gammas: &Gammas) -> f64 {
        let d = sample.len();
        let kappa = 1.0 + self.length as f64;
        // With nu = d + 1 + length, the t has nu - d + 1 degrees of freedom.
        let freedom = 2.0 + self.length as f64;
        let widen = (kappa + 1.0) / (kappa * freedom);
        // Solves L y = x - mean; the distance is |y|².
        let (mut distance, mut log_root) = (0.0, 0.0);
        let mut solved = [0.0; MOST_SERIES];
        for row in 0..d {
            let factor = &self.factor[row * d..=row * d + row];
            let known: f64 = factor[..row].iter().zip(&solved).map(|(l, y)| l * y).sum();
            solved[row] = (sample[row] - self.mean[row] - known) / factor[row];
            distance += solved[row] * solved[row];
            log_root += factor[row].ln();
        }
        let half = 0.5 * d as f64;
        gammas.ratio(self.length)
            - half * (freedom * std::f64::consts::PI * widen).ln()
            - log_root
            - 0.5 * (freedom + d as f64) * (distance / (widen * freedom)).ln_1p()
    }

    /// The run with one sample more.
    fn take(&mut self, sample: &[f64]) {
        let d = sample.len();
        let kappa = 1.0 + self.length as f64;
        let weight = (kappa / (kappa + 1.0)).sqrt();
        let mut vector = [0.0; MOST_SERIES];
        for row in 0..d {
            vector[row] = weight * (sample[row] - self.mean[row]);
            self.mean[row] += (sample[row] - self.mean[row]) / (kappa + 1.0);
        }
        // The rank-one update of a Cholesky factor by rotations (Golub and Van Loan, 6.5.4).
        for column in 0..d {
            let old = self.factor[column * d + column];
            let new = old.hypot(vector[column]);
            let (cosine, sine) = (new / old, vector[column] / old);
            self.factor[column * d + column] = new;
            for (row, value) in vector.iter_mut().enumerate().take(d).skip(column + 1) {
                let below = &mut self.factor[row * d + column];
                *below = (*below + sine * *value) / cosine;
                *value = cosine * *value - sine * *below;
            }
        }
        self.length += 1;
    }
}

/// `ln Γ((f + d) / 2) - ln Γ(f / 2)` for the degrees of freedom f of every length, by recurrence in
/// steps of two.
struct Gammas {
    ratios: Vec<f64>,
}

impl Gammas {
    fn new(dimensions: usize, lengths: usize) -> Self {
        let half = 0.5 * dimensions as f64;
        // f = 2: Γ(1 + d/2) / Γ(1); f = 3: Γ((3 + d)/2) / Γ(3/2).
        let mut ratios = vec![
            log_gamma_half(dimensions + 2),
            log_gamma_half(dimensions + 3) - log_gamma_half(3),
        ];
        for length in 2..=lengths {
            // From f - 2 to f both arguments grow by one.
            let under = 0.5 * length as f64;
            ratios.push(ratios[length - 2] + (under + half).ln() - under.ln());
        }
        Self { ratios }
    }

    fn ratio(&self, length: usize) -> f64 {
        self.ratios[length]
    }
}

/// `ln Γ(n / 2)` for n from 1, by recurrence from Γ(1/2) = √π and Γ(1) = 1.
fn log_gamma_half(n: usize) -> f64 {
    let mut sum = if n % 2 == 1 { 0.5 * std::f64::consts::PI.ln() } else { 0.0 };
    let mut argument = if n % 2 == 1 { 1 } else { 2 };
    while argument < n {
        sum += (0.5 * argument as f64).ln();
        argument += 2;
    }
    sum
}

/// The indices of samples at which the level of the series changes, in order. All series are of one
/// length; what is no number is taken from the sample before.
///
/// Their unit and level do not matter: they are measured in their own noise.
pub fn change_points(series: &[Vec<f64>]) -> Vec<usize> {
    let shortest = series.iter().map(Vec::len).min().unwrap_or(0);
    let skipped = shortest.saturating_sub(MOST_SAMPLES);
    let steady: Vec<Vec<f64>> =
        series.iter().filter_map(|it| steps(&it[skipped..shortest])).take(MOST_SERIES).collect();
    let Some(length) = steady.first().map(Vec::len).filter(|it| *it >= 2 * SHORTEST) else {
        return Vec::new();
    };
    let mut found: Vec<usize> = Vec::new();
    let candidates = candidates(&steady, length);
    for (index, &candidate) in candidates.iter().enumerate() {
        let from = found.last().copied().unwrap_or(0);
        let to = candidates.get(index + 1).copied().unwrap_or(length);
        if let Some(at) = placed(&steady, (from, candidate, to)) {
            found.push(at);
        }
    }
    found.iter().map(|at| at + skipped).collect()
}

/// A series in steps of its noise around its middle, or `None` where it never moves. The noise is read
/// off differences of neighbours, which a change of level hardly touches.
fn steps(values: &[f64]) -> Option<Vec<f64>> {
    let mut filled = values.to_vec();
    let first = filled.iter().copied().find(|value| value.is_finite())?;
    let mut last = first;
    for value in &mut filled {
        if !value.is_finite() {
            *value = last;
        }
        last = *value;
    }
    let mut sorted = filled.clone();
    sorted.sort_by(f64::total_cmp);
    let median = super::strength::quantile(&sorted, 0.5);
    let apart = |lag: usize| {
        let mut moves: Vec<f64> =
            filled.windows(lag + 1).map(|it| (it[lag] - it[0]).abs()).collect();
        moves.sort_by(f64::total_cmp);
        // The median of |x - y| is 0.954 standard deviations of x.
        super::strength::quantile(&moves, 0.5) / 0.954
    };
    let largest = filled.iter().fold(0.0_f64, |most, value| most.max((value - median).abs()));
    // Neighbours are alike in many series; a few samples apart they hardly are.
    let noise = apart(1).max(apart(4)).max(0.02 * largest);
    if noise <= 1e-9 * median.abs() || noise <= 0.0 {
        return None;
    }
    Some(filled.iter().map(|it| ((it - median) / noise).clamp(-FARTHEST, FARTHEST)).collect())
}

/// Where the most probable run breaks off.
fn candidates(steady: &[Vec<f64>], length: usize) -> Vec<usize> {
    let d = steady.len();
    let gammas = Gammas::new(d, length + 1);
    let mut runs = vec![Run::new(d)];
    let (mut starts, mut before) = (Vec::new(), 0);
    let mut sample = vec![0.0; d];
    for time in 0..length {
        for (value, series) in sample.iter_mut().zip(steady) {
            *value = series[time];
        }
        advance(&mut runs, &sample, &gammas);
        let likeliest = runs.iter().max_by(|a, b| a.probability.total_cmp(&b.probability));
        let start = likeliest.map_or(0, |run| time + 1 - run.length);
        if start > before + SHORTEST {
            starts.push(start);
            before = start;
        }
    }
    starts
}

/// All runs with one sample more, a new one, and without those that hardly anything speaks for.
fn advance(runs: &mut Vec<Run>, sample: &[f64], gammas: &Gammas) {
    let mut logs: Vec<f64> =
        runs.iter().map(|run| run.probability.ln() + run.log_density(sample, gammas)).collect();
    let most = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    for log in &mut logs {
        *log = (*log - most).exp();
    }
    let total: f64 = logs.iter().sum();
    for (run, weight) in runs.iter_mut().zip(&logs) {
        run.probability = (1.0 - HAZARD) * weight / total;
        run.take(sample);
    }
    // The new run begins after this sample.
    let mut new = Run::new(sample.len());
    new.probability = HAZARD;
    runs.push(new);
    runs.retain(|run| run.probability > NEGLIGIBLE);
    if runs.len() > MOST_RUNS {
        runs.sort_by(|a, b| b.probability.total_cmp(&a.probability).then(a.length.cmp(&b.length)));
        runs.truncate(MOST_RUNS);
        runs.sort_by_key(|run| std::cmp::Reverse(run.length));
    }
}

/// Where between two changes the level changes, if it does: in the series in which it does most, the
/// turning point of the sum of deviations from half way.
fn placed(steady: &[Vec<f64>], (from, candidate, to): (usize, usize, usize)) -> Option<usize> {
    if candidate < from + SHORTEST || to < candidate + SHORTEST {
        return None;
    }
    let shift =
        |series: &Vec<f64>| middle(&series[candidate..to]) - middle(&series[from..candidate]);
    let series = steady.iter().max_by(|a, b| shift(a).abs().total_cmp(&shift(b).abs()))?;
    let size = shift(series);
    let fewest = (candidate - from).min(to - candidate) as f64;
    if size.abs() < LEAST_SHIFT + SHIFT_BY_ROOT / fewest.sqrt() {
        return None;
    }
    let (sign, level) = (size.signum(), middle(&series[from..candidate]));
    let allowance = (0.35 * size.abs()).min(1.0);
    let (mut sum, mut lowest, mut at) = (0.0, 0.0, from);
    let looked_at = series.iter().enumerate().take(to.min(candidate + SHORTEST)).skip(from);
    for (index, value) in looked_at {
        sum += sign * (value - level) - allowance;
        if sum <= lowest {
            (lowest, at) = (sum, index + 1);
        }
    }
    (at > from).then_some(at)
}

fn middle(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    super::strength::quantile(&sorted, 0.5)
}
