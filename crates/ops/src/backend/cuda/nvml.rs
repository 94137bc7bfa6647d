//! NVIDIA's management library, for the one thing that CUDA does not tell: how much memory is free before
//! there is a context. It comes with the driver.

use libloading::Library;
use std::ffi::{CStr, c_char, c_int, c_void};

type Nothing = unsafe extern "C" fn() -> c_int;
type ByBus = unsafe extern "C" fn(*const c_char, *mut *mut c_void) -> c_int;
type MemoryInfo = unsafe extern "C" fn(*mut c_void, *mut Info) -> c_int;

/// `nvmlMemory_t`, in bytes.
#[repr(C)]
#[derive(Default)]
struct Info {
    total: u64,
    free: u64,
    used: u64,
}

/// Bytes that nobody holds on the device at this PCI address; none where the library does not say.
pub(super) fn free(bus: &CStr) -> Option<usize> {
    // SAFETY: the library's initialisers are NVIDIA's.
    let library = unsafe { Library::new("libnvidia-ml.so.1") }.ok()?;
    // SAFETY: the signatures of all four are those of nvml.h (version 2 of the interface).
    let initialise = unsafe { library.get::<Nothing>(b"nvmlInit_v2\0") }.ok()?;
    // SAFETY: see above.
    let shut_down = unsafe { library.get::<Nothing>(b"nvmlShutdown\0") }.ok()?;
    // SAFETY: see above.
    let by_bus = unsafe { library.get::<ByBus>(b"nvmlDeviceGetHandleByPciBusId_v2\0") }.ok()?;
    // SAFETY: see above.
    let info = unsafe { library.get::<MemoryInfo>(b"nvmlDeviceGetMemoryInfo\0") }.ok()?;
    // SAFETY: it takes nothing.
    if unsafe { initialise() } != 0 {
        return None;
    }
    let (mut device, mut found) = (std::ptr::null_mut(), Info::default());
    // SAFETY: the name ends with a zero, the pointer is to a local.
    let known = unsafe { by_bus(bus.as_ptr(), &mut device) } == 0;
    // SAFETY: the device was just found, the pointer is to a local of the type that is written.
    let told = known && unsafe { info(device, &mut found) } == 0;
    // SAFETY: it was initialised.
    unsafe { shut_down() };
    told.then_some(found.free as usize)
}
