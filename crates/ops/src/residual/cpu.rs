//! Byte copies.

use super::{Copy, Zero};
use crate::{Access, Buf, DType};

fn as_bytes(buf: Buf) -> Buf {
    Buf { dtype: DType::U8, len: buf.bytes(), ..buf }
}

pub(super) fn copy(op: &Copy, memory: &Access<'_>) {
    assert_eq!(
        (op.from.dtype, op.from.len),
        (op.to.dtype, op.to.len),
        "copy between unlike buffers"
    );
    memory.write::<u8>(as_bytes(op.to)).copy_from_slice(memory.read(as_bytes(op.from)));
}

pub(super) fn zero(op: &Zero, memory: &Access<'_>) {
    memory.write::<u8>(as_bytes(op.to)).fill(0);
}
