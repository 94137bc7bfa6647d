//! Rankings compared with what really was the cause.

use super::baseline::{self, Baseline};
use super::window::Window;

/// How a window is ranked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// [`super::rank`].
    Fused,
    /// Another one.
    Baseline(Baseline),
    /// In no order, as it is on average.
    Random,
}

impl Method {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Fused,
        Self::Baseline(Baseline::Range),
        Self::Baseline(Baseline::NSigma),
        Self::Baseline(Baseline::Excess),
        Self::Baseline(Baseline::Traversal),
        Self::Random,
    ];

    /// Its name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fused => "fused",
            Self::Baseline(Baseline::Range) => "flat-iqr",
            Self::Baseline(Baseline::NSigma) => "n-sigma",
            Self::Baseline(Baseline::Excess) => "excess",
            Self::Baseline(Baseline::Traversal) => "traversal",
            Self::Random => "random",
        }
    }

    /// The services in its order, empty where it finds nothing; without order, [`Method::Random`]
    /// has none.
    pub fn services(self, window: &Window) -> Vec<usize> {
        match self {
            Self::Fused => super::rank(window).services(),
            Self::Baseline(baseline) => baseline::rank(window, baseline),
            Self::Random => Vec::new(),
        }
    }
}

/// How often the cause was first, and among the first three.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Recall {
    /// Windows.
    pub count: usize,
    /// How often it was first.
    pub first: f64,
    /// How often it was among the first three.
    pub three: f64,
}

impl Recall {
    /// Counts a window whose cause is this service.
    pub fn add(&mut self, method: Method, window: &Window, cause: &str) {
        self.count += 1;
        if method == Method::Random {
            let count = window.services.len().max(1) as f64;
            self.first += 1.0 / count;
            self.three += 3.0_f64.min(count) / count;
            return;
        }
        let order = method.services(window);
        let place = order.iter().position(|service| window.services[*service] == cause);
        self.first += f64::from(u8::from(place == Some(0)));
        self.three += f64::from(u8::from(place.is_some_and(|place| place < 3)));
    }

    /// Both counts together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            count: self.count + other.count,
            first: self.first + other.first,
            three: self.three + other.three,
        }
    }
}

/// The interval of a share in which it lies with 95 % confidence (Wilson, "Probable Inference, the Law
/// of Succession, and Statistical Inference", 1927): its ends, from 0 to 1.
pub fn wilson(hits: f64, count: usize) -> (f64, f64) {
    const Z: f64 = 1.959_963_985;
    if count == 0 {
        return (0.0, 1.0);
    }
    let n = count as f64;
    let (share, square) = (hits / n, Z * Z / n);
    let centre = share + square / 2.0;
    let half = Z * (share * (1.0 - share) / n + square / (4.0 * n)).max(0.0).sqrt();
    (((centre - half) / (1.0 + square)).max(0.0), ((centre + half) / (1.0 + square)).min(1.0))
}
