//! Launches of `kernels/linear_cross_entropy.cu`.

use super::{Gradients, Loss};
use crate::backend::cuda::{Argument, tiles};
use crate::qlinear::{Storage, TILE, Weight};
use crate::residual::Zero;
use crate::{Buf, DType, Launches, Op};

/// Logits of a row stand in a multiple of this, so that rows of their gradients can be loaded whole.
const PITCH: usize = 4;

fn number(value: usize) -> Argument {
    Argument::U32(value as u32)
}

/// What stands in the workspace: logits (rows, pitch) f32, rows of x (rows, C) bf16, the list of rows (N)
/// and their number.
struct Scratch {
    logits: Buf,
    x: Buf,
    list: Buf,
    trained: Buf,
}

/// Where a row of logits ends.
fn pitch(v: usize) -> usize {
    v.next_multiple_of(PITCH)
}

/// Bytes of the workspace.
pub(super) fn workspace(rows: usize, n: usize, v: usize, c: usize) -> usize {
    4 * rows * pitch(v) + (2 * rows * c).next_multiple_of(4) + 4 * (n + 1)
}

impl Scratch {
    fn new(workspace: Buf, rows: usize, n: usize, [v, c]: [usize; 2]) -> Scratch {
        let mut at = workspace.offset;
        let mut part = |dtype: DType, len: usize| {
            let buf = Buf { dtype, offset: at, len, ..workspace };
            at += buf.bytes().next_multiple_of(4);
            buf
        };
        Scratch {
            logits: part(DType::F32, rows * pitch(v)),
            x: part(DType::Bf16, rows * c),
            list: part(DType::U32, n),
            trained: part(DType::U32, 1),
        }
    }
}

/// The head's kernel and its arguments.
fn head(weight: &Weight, on: &mut Launches<'_>) -> Option<(&'static str, [Argument; 2])> {
    match weight.storage {
        Storage::Dense(values) if values.dtype == DType::Bf16 => {
            Some(("dense", [on.at(values), number(weight.inner)]))
        }
        Storage::Q8 { codes, scales } => Some(("q8", [on.at(codes), on.at(scales)])),
        other => {
            on.refuse(format!(
                "there is no kernel for a head as {other:?}, expected bf16 or 8 bits"
            ));
            None
        }
    }
}

pub(super) fn loss(op: &Loss, on: &mut Launches<'_>, workspace: Buf) {
    let Weight { out: v, inner: c, .. } = op.head;
    let (n, chunk) = (op.targets.len, op.chunk.min(op.targets.len));
    let Some((kind, weight)) = head(&op.head, on) else { return };
    if !on.takes(op.numerics) {
        return;
    }
    let scratch = Scratch::new(workspace, chunk, n, [v, c]);
    let [logits, gathered, list, trained] =
        [scratch.logits, scratch.x, scratch.list, scratch.trained].map(|buf| on.at(buf));
    Zero { to: op.loss }.cuda(on, workspace);
    if let Some(Gradients { dx, .. }) = op.gradients {
        Zero { to: dx }.cuda(on, workspace);
    }
    let targets = on.at(op.targets);
    on.launch("linear_cross_entropy_list", [1, 1, 1], &[targets, list, trained, number(n)]);
    let [v_, c_, pitch_, chunk_] = [v, c, pitch(v), chunk].map(number);
    let scale = on.at_or_null(op.gradients.map(|it| it.scale));
    for start in (0..n).step_by(chunk) {
        let which = [trained, number(start), chunk_];
        let gather = [on.at(op.x), list, trained, number(start), chunk_, gathered, c_, c_];
        on.launch("linear_cross_entropy_gather", [chunk, 1, 1], &gather);
        let products = [&[gathered, c_], &weight[..], &[logits, pitch_, v_, c_], &which].concat();
        let grid = [tiles(chunk, TILE), tiles(v, TILE), 1];
        on.launch(&format!("linear_cross_entropy_logits_{kind}"), grid, &products);
        let rows = [&[logits, pitch_, v_, targets, list], &which[..], &[scale, on.at(op.loss)]];
        on.launch("linear_cross_entropy_rows", [chunk, 1, 1], &rows.concat());
        let Some(Gradients { dx, dhead, .. }) = op.gradients else { continue };
        let back = [&[logits, pitch_], &weight[..], &[on.at(dx), v_, c_, list], &which].concat();
        let grid = [tiles(chunk, TILE), tiles(c, TILE), 1];
        on.launch(&format!("linear_cross_entropy_back_{kind}"), grid, &back);
        if let Some(dhead) = dhead {
            let gradient =
                [&[logits, pitch_, gathered, c_, on.at(dhead), v_, c_], &which[..]].concat();
            let grid = [tiles(v, TILE), tiles(c, TILE), 1];
            on.launch("linear_cross_entropy_weight_gradient", grid, &gradient);
        }
    }
}
