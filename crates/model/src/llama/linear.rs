//! A projection: base weight, low-rank addition, and what of it is trained.

use ops::lora::{self, Adapter};
use ops::qlinear::{self, Mode, Part, Weight};
use ops::{Backend, Buf, Numerics};

/// One of the seven projections.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Linear {
    pub(crate) weight: Weight,
    /// Gradient of a trained base weight.
    pub(crate) dw: Option<Buf>,
    pub(crate) adapter: Option<Adapter>,
    /// Gradients of a trained adapter: dA and dB.
    pub(crate) gradients: Option<[Buf; 2]>,
}

impl Linear {
    /// What a product with it has to know; y goes to `y`.
    pub(crate) fn part(&self, y: Buf) -> Part {
        Part { weight: self.weight, adapter: self.adapter, y }
    }

    /// dx from dy, over what is there or added to it; the gradients of what is trained are added to.
    pub(crate) fn backward<B: Backend>(
        &self,
        backend: &mut B,
        numerics: Numerics,
        [x, dy, dx]: [Buf; 3],
        mode: Mode,
    ) {
        let weight = self.weight;
        backend.launch(qlinear::Backward { dy, weight, dx, mode, numerics });
        if let Some(dw) = self.dw {
            let (out, inner) = (weight.out, weight.inner);
            backend.launch(qlinear::WeightGradient { dy, x, dw, out, inner, numerics });
        }
        if let (Some(adapter), Some([da, db])) = (self.adapter, self.gradients) {
            backend.launch(lora::Backward { x, dy, adapter, da, db, dx, numerics });
        }
    }
}
