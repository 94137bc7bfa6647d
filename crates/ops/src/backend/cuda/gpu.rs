//! The machine's NVIDIA GPUs, and the driver that finds them.

use super::driver::{DriverError, Result};
use cudarc::driver::sys;
use libloading::Library;
use std::ffi::{CStr, CString, c_void};

/// The oldest driver whose compiler takes the kernels' PTX (8.4), as CUDA counts: 12.4, driver 550.
const OLDEST_DRIVER: i32 = 12_040;
/// What is called of the driver. Calling what is not there would end the program.
const CALLS: [&str; 40] = [
    "cuCtxSetCurrent",
    "cuDeviceGet",
    "cuDeviceGetAttribute",
    "cuDeviceGetCount",
    "cuDeviceGetName",
    "cuDeviceGetPCIBusId",
    "cuDevicePrimaryCtxRelease_v2",
    "cuDevicePrimaryCtxRetain",
    "cuDeviceTotalMem_v2",
    "cuDriverGetVersion",
    "cuEventCreate",
    "cuEventDestroy_v2",
    "cuEventRecord",
    "cuEventSynchronize",
    "cuFuncLoad",
    "cuFuncSetAttribute",
    "cuGetErrorString",
    "cuGraphDestroy",
    "cuGraphExecDestroy",
    "cuGraphInstantiateWithFlags",
    "cuGraphLaunch",
    "cuInit",
    "cuLaunchKernel",
    "cuMemAlloc_v2",
    "cuMemFreeHost",
    "cuMemFree_v2",
    "cuMemGetInfo_v2",
    "cuMemHostAlloc",
    "cuMemcpyDtoHAsync_v2",
    "cuMemcpyHtoDAsync_v2",
    "cuMemsetD8Async",
    "cuModuleGetFunction",
    "cuModuleLoadData",
    "cuModuleUnload",
    "cuStreamBeginCapture_v2",
    "cuStreamCreate",
    "cuStreamDestroy_v2",
    "cuStreamEndCapture",
    "cuStreamSynchronize",
    "cuStreamWaitEvent",
];

/// What a GPU is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gpu {
    /// Its place among the machine's GPUs.
    pub ordinal: i32,
    /// Its name.
    pub name: String,
    /// Compute capability, 86 for 8.6.
    pub sm: u32,
    /// Its memory, in bytes.
    pub memory: usize,
    /// The driver's version as CUDA counts, 12040 for 12.4.
    pub driver: i32,
}

/// The machine's GPUs.
///
/// # Errors
/// There is no driver, it is too old or does not start, or there is no GPU that the kernels run on.
pub fn gpus() -> Result<Vec<Gpu>> {
    let driver = driver_version()?;
    let mut count = 0;
    // SAFETY: the pointer is to a local; the driver is there.
    check("cuDeviceGetCount", unsafe { sys::cuDeviceGetCount(&mut count) })?;
    if count == 0 {
        return Err(DriverError("the NVIDIA driver finds no GPU".to_owned()));
    }
    (0..count).map(|ordinal| describe(ordinal, driver)).collect()
}

/// The version of a driver that has started.
pub(super) fn driver_version() -> Result<i32> {
    // SAFETY: it only tries to load the driver's library.
    if !unsafe { sys::is_culib_present() } {
        return Err(DriverError(
            "there is no NVIDIA driver (libcuda.so)\nhint: without a GPU everything runs on the CPU".to_owned(),
        ));
    }
    if let Some(call) = missing_call() {
        return Err(DriverError(format!(
            "the NVIDIA driver has no {call}\nhint: install driver 550 or newer"
        )));
    }
    let mut version = 0;
    // SAFETY: the pointer is to a local. This call needs no initialised driver.
    check("cuDriverGetVersion", unsafe { sys::cuDriverGetVersion(&mut version) })?;
    is_new_enough(version)?;
    // SAFETY: there are no flags.
    check("cuInit", unsafe { sys::cuInit(0) }).map_err(|error| {
        DriverError(format!(
            "{error}\nhint: nvidia-smi has to work; without a GPU everything runs on the CPU"
        ))
    })?;
    Ok(version)
}

/// A call that the driver's library does not have.
fn missing_call() -> Option<&'static str> {
    let names = ["libcuda.so", "libcuda.so.1"];
    // SAFETY: the library was loaded before: its initialisers have run.
    let library = names.into_iter().find_map(|name| unsafe { Library::new(name) }.ok())?;
    CALLS.into_iter().find(|call| {
        // SAFETY: only whether it is there is asked; it is not called.
        unsafe { library.get::<*const c_void>(call.as_bytes()) }.is_err()
    })
}

/// Whether the kernels run with a driver of this version.
fn is_new_enough(version: i32) -> Result<()> {
    if version >= OLDEST_DRIVER {
        return Ok(());
    }
    let (major, minor) = (version / 1000, version % 1000 / 10);
    Err(DriverError(format!(
        "the NVIDIA driver is for CUDA {major}.{minor}, expected 12.4 or newer\nhint: install driver 550 or newer"
    )))
}

pub(super) fn describe(ordinal: i32, driver: i32) -> Result<Gpu> {
    use sys::CUdevice_attribute::{
        CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR as MAJOR,
        CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR as MINOR,
    };
    let (mut device, mut memory, mut name) = (0, 0, [0; 256]);
    let (mut major, mut minor) = (0, 0);
    // SAFETY: the pointer is to a local.
    check("cuDeviceGet", unsafe { sys::cuDeviceGet(&mut device, ordinal) })?;
    // SAFETY: the name's length is the array's.
    check("cuDeviceGetName", unsafe { sys::cuDeviceGetName(name.as_mut_ptr(), 256, device) })?;
    // SAFETY: the pointer is to a local.
    check("cuDeviceTotalMem", unsafe { sys::cuDeviceTotalMem_v2(&mut memory, device) })?;
    for (value, attribute) in [(&mut major, MAJOR), (&mut minor, MINOR)] {
        // SAFETY: the pointer is to a local.
        let found = unsafe { sys::cuDeviceGetAttribute(value, attribute, device) };
        check("cuDeviceGetAttribute", found)?;
    }
    // SAFETY: the driver ends the name with a zero.
    let name = unsafe { CStr::from_ptr(name.as_ptr()) }.to_string_lossy().into_owned();
    Ok(Gpu { ordinal, name, sm: (10 * major + minor) as u32, memory, driver })
}

/// A device's PCI address.
pub(super) fn bus(ordinal: i32) -> Option<CString> {
    let (mut device, mut name) = (0, [0; 32]);
    // SAFETY: the pointer is to a local.
    check("cuDeviceGet", unsafe { sys::cuDeviceGet(&mut device, ordinal) }).ok()?;
    // SAFETY: the name's length is the array's.
    let told = unsafe { sys::cuDeviceGetPCIBusId(name.as_mut_ptr(), 32, device) };
    check("cuDeviceGetPCIBusId", told).ok()?;
    // SAFETY: the driver ends the name with a zero.
    Some(unsafe { CStr::from_ptr(name.as_ptr()) }.to_owned())
}

pub(super) fn check(call: &str, result: sys::CUresult) -> Result<()> {
    if result == sys::CUresult::CUDA_SUCCESS {
        return Ok(());
    }
    let mut text = std::ptr::null();
    // SAFETY: the pointer is to a local.
    let known = unsafe { sys::cuGetErrorString(result, &mut text) };
    let text = match known {
        // SAFETY: the driver gives a literal.
        sys::CUresult::CUDA_SUCCESS => unsafe { CStr::from_ptr(text) }.to_string_lossy(),
        _ => "unknown".into(),
    };
    Err(DriverError(format!("{call}: {text} ({result:?})")))
}

#[cfg(test)]
mod tests {
    use super::super::nvidia::Nvidia;
    use super::*;

    #[test]
    fn a_driver_that_is_too_old_is_named_with_what_to_install() {
        assert!(is_new_enough(12_040).is_ok() && is_new_enough(13_000).is_ok());
        let error = is_new_enough(11_080).unwrap_err().to_string();
        assert!(error.contains("CUDA 11.8") && error.contains("driver 550"), "{error}");
    }

    /// Where there is no GPU, that is what is said, and nothing panics.
    #[test]
    fn a_machine_without_a_gpu_says_so() {
        match gpus() {
            Ok(gpus) => assert!(!gpus.is_empty() && gpus.iter().all(|gpu| gpu.memory > 0)),
            Err(error) => {
                let text = error.to_string();
                assert!(text.contains("NVIDIA driver") || text.contains("cuInit"), "{text}");
                assert!(Nvidia::open(0).is_err());
            }
        }
    }
}
