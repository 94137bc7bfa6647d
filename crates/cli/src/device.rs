//! The GPU that a command runs on, if it was asked to.

use crate::exit::usage;
use anyhow::Result;
use ops::backend::cuda::{Driver, DriverError, Emulated, Nvidia, gpus};
use ops::{Any, Cuda, Size, Target};
use std::path::PathBuf;

/// For whoever works on the kernels: the library of the emulated device (`kernels/emulated/build`), which
/// `--gpu` then means.
const EMULATED_VARIABLE: &str = "SREK_EMULATED_DEVICE";

/// What of the free memory is left to the driver, in bytes: graphs, and pieces that it gives out whole.
const MARGIN: usize = 64 << 20;

/// A GPU that was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Gpu {
    ordinal: i32,
    sm: u32,
}

fn emulated() -> Option<PathBuf> {
    std::env::var_os(EMULATED_VARIABLE).filter(|path| !path.is_empty()).map(PathBuf::from)
}

fn unusable(error: &DriverError) -> anyhow::Error {
    usage(format!("--gpu: {error}"))
}

impl Gpu {
    /// Looks for it.
    ///
    /// # Errors
    /// There is none, none of that number, or no driver for it.
    pub(crate) fn find(ordinal: u32) -> Result<Gpu> {
        if let Some(library) = emulated() {
            let device = Emulated::load(&library).map_err(|error| unusable(&error))?;
            if ordinal > 0 {
                return Err(usage(format!(
                    "--gpu is {ordinal}, and the emulated device is number 0"
                )));
            }
            return Ok(Gpu { ordinal: 0, sm: device.sm() });
        }
        let found = gpus().map_err(|error| unusable(&error))?;
        let gpu = found.iter().find(|gpu| gpu.ordinal as u32 == ordinal).ok_or_else(|| {
            let count = found.len();
            usage(format!("--gpu is {ordinal}, the machine's {count} GPUs are counted from 0"))
        })?;
        Ok(Gpu { ordinal: gpu.ordinal, sm: gpu.sm })
    }

    /// What plans are made for.
    pub(crate) fn target(self) -> Target {
        Target::cuda(self.sm)
    }

    /// Starts using it.
    ///
    /// # Errors
    /// What the driver reports.
    pub(crate) fn open(self) -> Result<Opened> {
        if let Some(library) = emulated() {
            let device = Emulated::load(&library).map_err(|error| unusable(&error))?;
            return Opened::new(Box::new(device));
        }
        let device = Nvidia::open(self.ordinal).map_err(|error| unusable(&error))?;
        Opened::new(Box::new(device))
    }
}

/// A GPU with its context.
pub(crate) struct Opened {
    driver: Box<dyn Driver>,
    /// Memory that is free beside the context, in bytes; none where nobody counts it.
    pub(crate) free: Option<usize>,
}

impl Opened {
    fn new(driver: Box<dyn Driver>) -> Result<Opened> {
        let memory = driver.memory().map_err(|error| unusable(&error))?;
        let free = memory.map(|memory| memory.free.saturating_sub(MARGIN.min(memory.free / 8)));
        Ok(Opened { driver, free })
    }

    /// A backend of that size.
    ///
    /// # Errors
    /// When the device has no room.
    pub(crate) fn backend(self, size: Size) -> Result<Any> {
        Ok(Any::Cuda(Cuda::new(self.driver, size)?))
    }
}
