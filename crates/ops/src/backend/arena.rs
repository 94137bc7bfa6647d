//! Bookkeeping that every backend shares: a stack of buffers per space, its height and its peak, and
//! the sequence of events that makes a plan comparable with a run.

use super::{Buf, Cost, DType, Mark, Space, Target};
use std::collections::BTreeMap;

/// Peak bytes by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    /// Device arena, workspaces included.
    pub device: usize,
    /// Pinned arena.
    pub pinned: usize,
    /// Weights used where they are mapped.
    pub mapped: usize,
}

/// Something that touched memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A buffer.
    Alloc {
        /// What it is for.
        label: &'static str,
        /// Where.
        buf: Buf,
    },
    /// The stack went down to this height.
    Release(Mark),
    /// A launch with its price; its workspace stood at `offset` of the device arena.
    Launch {
        /// The op.
        name: &'static str,
        /// First byte of its workspace.
        offset: usize,
        /// Its price.
        cost: Cost,
    },
    /// A copy between device and pinned memory.
    Copy {
        /// Source.
        from: Buf,
        /// Destination.
        to: Buf,
    },
}

/// What the launches of one op took together.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Spent {
    /// How many there were.
    pub launches: u64,
    /// Seconds by the clock.
    pub seconds: f64,
    /// The sum of their prices.
    pub cost: Cost,
}

/// What a backend did: running totals always, events when asked for.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    /// Present height in bytes.
    pub height: Size,
    /// Greatest height in bytes.
    pub peak: Size,
    /// Totals of all launches; `workspace` is the greatest one.
    pub total: Cost,
    /// Bytes copied between device and pinned memory.
    pub copied: u64,
    /// Every event, if recording was switched on.
    pub events: Option<Vec<Event>>,
    /// What every op took, if timing was switched on.
    pub spent: Option<BTreeMap<&'static str, Spent>>,
}

impl Trace {
    fn event(&mut self, event: impl FnOnce() -> Event) {
        if let Some(events) = &mut self.events {
            events.push(event());
        }
    }

    fn raise(&mut self) {
        self.peak.device = self.peak.device.max(self.height.device);
        self.peak.pinned = self.peak.pinned.max(self.height.pinned);
        self.peak.mapped = self.peak.mapped.max(self.height.mapped);
    }

    pub(super) fn alloc(
        &mut self,
        target: &Target,
        label: &'static str,
        space: Space,
        dtype: DType,
        len: usize,
    ) -> Buf {
        let height = match space {
            Space::Device => &mut self.height.device,
            Space::Pinned => &mut self.height.pinned,
            Space::Mapped(_) => unreachable!("mapped weights are not allocated"),
        };
        let buf = Buf { space, dtype, offset: *height, len };
        *height += buf.bytes().next_multiple_of(target.alignment);
        self.raise();
        self.event(|| Event::Alloc { label, buf });
        buf
    }

    pub(super) fn mapped(&mut self, label: &'static str, buf: Buf) {
        self.height.mapped += buf.bytes();
        self.raise();
        self.event(|| Event::Alloc { label, buf });
    }

    pub(super) fn mark(&self) -> Mark {
        Mark { device: self.height.device, pinned: self.height.pinned }
    }

    pub(super) fn release(&mut self, mark: Mark) {
        assert!(
            mark.device <= self.height.device && mark.pinned <= self.height.pinned,
            "stale mark"
        );
        self.height.device = mark.device;
        self.height.pinned = mark.pinned;
        self.event(|| Event::Release(mark));
    }

    /// Stands a workspace on the stack for one launch and returns it.
    pub(super) fn launch(&mut self, target: &Target, name: &'static str, cost: Cost) -> Buf {
        let offset = self.height.device;
        let bytes = cost.workspace.next_multiple_of(target.alignment);
        self.peak.device = self.peak.device.max(offset + bytes);
        self.total.read += cost.read;
        self.total.written += cost.written;
        self.total.flops += cost.flops;
        self.total.workspace = self.total.workspace.max(cost.workspace);
        self.event(|| Event::Launch { name, offset, cost });
        Buf { space: Space::Device, dtype: DType::U8, offset, len: cost.workspace }
    }

    pub(super) fn copy(&mut self, from: Buf, to: Buf) {
        assert_eq!((from.dtype, from.len), (to.dtype, to.len), "copy between unlike buffers");
        self.copied += from.bytes() as u64;
        self.event(|| Event::Copy { from, to });
    }
}
