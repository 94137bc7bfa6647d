//! The emulated device: the kernels' own sources, built by the host's C++ compiler
//! (`kernels/emulated/build`), behind the same trait as a real one.

use super::super::Queue;
use super::driver::{Argument, Driver, DriverError, Memory, Result, check_arguments};
use libloading::Library;
use std::collections::HashMap;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::path::Path;

type Status = unsafe extern "C" fn(*mut c_void, u64) -> c_int;
type Free = unsafe extern "C" fn(*mut c_void) -> c_int;
type Fill = unsafe extern "C" fn(*mut c_void, u8, u64) -> c_int;
type Allocate = unsafe extern "C" fn(u64, *mut *mut c_void) -> c_int;
type CopyIn = unsafe extern "C" fn(*mut c_void, *const c_void, u64) -> c_int;
type Text = unsafe extern "C" fn() -> *const c_char;
type Number = unsafe extern "C" fn() -> u64;
type Nothing = unsafe extern "C" fn();
type List = unsafe extern "C" fn(
    u32,
    *mut *const c_char,
    *mut u32,
    *mut u32,
    *mut u32,
    *mut *const u32,
) -> c_int;
type Launch = unsafe extern "C" fn(
    *const c_char,
    *const u32,
    u32,
    u32,
    *mut *mut c_void,
    u32,
    *const u64,
) -> c_int;

/// The calls of the library, which stay valid as long as it is loaded.
struct Calls {
    allocate: Allocate,
    allocate_pinned: Allocate,
    publish: Status,
    copy_in: CopyIn,
    copy_out: CopyIn,
    fill: Fill,
    forget: Status,
    free: Free,
    launch: Launch,
    memory: Number,
    error: Text,
    findings: Text,
    clear: Nothing,
}

/// A kernel's fixed sizes.
struct Kernel {
    name: CString,
    threads: u32,
    shared: u32,
    sizes: Vec<u32>,
}

/// A device on the host's cores. Launches run at once.
pub struct Emulated {
    calls: Calls,
    kernels: HashMap<String, Kernel>,
    allocated: Vec<u64>,
    points: u64,
    /// Keeps the calls valid.
    _library: Library,
}

impl Emulated {
    /// Loads a library that `kernels/emulated/build` made. What it holds is per process: two devices
    /// over one library share its memory.
    ///
    /// # Errors
    /// When it cannot be loaded or is none.
    pub fn load(path: &Path) -> Result<Emulated> {
        let wrong = |error: libloading::Error| DriverError(format!("{}: {error}", path.display()));
        // SAFETY: the library's initialisers register its kernels and do nothing else; that the file is
        // what `kernels/emulated/build` made is the caller's to know.
        let library = unsafe { Library::new(path) }.map_err(wrong)?;
        macro_rules! call {
            ($name:literal) => {
                // SAFETY: the signature is that of `kernels/emulated/driver.cpp`, and `library` outlives
                // the pointer, since both go into one value.
                *unsafe { library.get(concat!("srek_emulated_", $name, "\0").as_bytes()) }
                    .map_err(wrong)?
            };
        }
        let list: List = call!("kernel");
        let calls = Calls {
            allocate: call!("allocate"),
            allocate_pinned: call!("allocate_pinned"),
            publish: call!("publish"),
            copy_in: call!("copy_in"),
            copy_out: call!("copy_out"),
            fill: call!("fill"),
            forget: call!("forget"),
            free: call!("free"),
            launch: call!("launch"),
            memory: call!("memory"),
            error: call!("error"),
            findings: call!("findings"),
            clear: call!("clear"),
        };
        let (kernels, allocated) = (kernels(list), Vec::new());
        Ok(Emulated { calls, kernels, allocated, points: 0, _library: library })
    }

    /// The names of all kernels, in no order.
    pub fn kernels(&self) -> impl Iterator<Item = &str> {
        self.kernels.keys().map(String::as_str)
    }

    fn check(&self, status: c_int) -> Result<()> {
        if status == 0 {
            return Ok(());
        }
        Err(DriverError(said(self.calls.error)))
    }
}

/// What a call says in words.
fn said(text: Text) -> String {
    // SAFETY: the call takes nothing.
    let text = unsafe { text() };
    // SAFETY: the text ends with a zero and lives until the next call.
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}

fn kernels(list: List) -> HashMap<String, Kernel> {
    let mut kernels = HashMap::new();
    for index in 0.. {
        let (mut name, mut sizes) = (std::ptr::null(), std::ptr::null());
        let (mut threads, mut shared, mut count) = (0, 0, 0);
        // SAFETY: all pointers are to locals that live through the call.
        let status =
            unsafe { list(index, &mut name, &mut threads, &mut shared, &mut count, &mut sizes) };
        if status != 0 {
            break;
        }
        // SAFETY: the name is a literal of the library.
        let name = unsafe { CStr::from_ptr(name) }.to_owned();
        // SAFETY: there are as many sizes as arguments, in a table of the library.
        let sizes = unsafe { std::slice::from_raw_parts(sizes, count as usize) }.to_vec();
        let key = name.to_string_lossy().into_owned();
        kernels.insert(key, Kernel { name, threads, shared, sizes });
    }
    kernels
}

impl Drop for Emulated {
    fn drop(&mut self) {
        for at in self.allocated.drain(..) {
            // SAFETY: it was allocated by this driver, and nobody launches any more.
            unsafe { (self.calls.free)(at as *mut c_void) };
        }
    }
}

impl Driver for Emulated {
    fn name(&self) -> &str {
        "emulated device"
    }

    fn sm(&self) -> u32 {
        86
    }

    fn memory(&self) -> Result<Option<Memory>> {
        // SAFETY: it takes nothing.
        let total = unsafe { (self.calls.memory)() } as usize;
        Ok((total > 0).then_some(Memory { free: total, total }))
    }

    fn allocate(&mut self, bytes: usize) -> Result<u64> {
        let mut at = std::ptr::null_mut();
        // SAFETY: the pointer is to a local that lives through the call.
        self.check(unsafe { (self.calls.allocate)(bytes as u64, &mut at) })?;
        self.allocated.push(at as u64);
        // SAFETY: the range was just allocated; the library checks it.
        self.check(unsafe { (self.calls.fill)(at, 0, bytes as u64) })?;
        Ok(at as u64)
    }

    fn allocate_pinned(&mut self, bytes: usize) -> Result<*mut u8> {
        let mut at = std::ptr::null_mut();
        // SAFETY: the pointer is to a local that lives through the call.
        self.check(unsafe { (self.calls.allocate_pinned)(bytes as u64, &mut at) })?;
        self.allocated.push(at as u64);
        // SAFETY: the range was just allocated; the library checks it.
        self.check(unsafe { (self.calls.fill)(at, 0, bytes as u64) })?;
        Ok(at.cast())
    }

    unsafe fn copy_in(
        &mut self,
        _queue: Queue,
        to: u64,
        from: *const u8,
        bytes: usize,
    ) -> Result<()> {
        // SAFETY: the caller promises `from`; the library checks `to`.
        self.check(unsafe { (self.calls.copy_in)(to as *mut c_void, from.cast(), bytes as u64) })
    }

    unsafe fn copy_out(
        &mut self,
        _queue: Queue,
        to: *mut u8,
        from: u64,
        bytes: usize,
    ) -> Result<()> {
        // SAFETY: the caller promises `to`; the library checks `from`.
        self.check(unsafe { (self.calls.copy_out)(to.cast(), from as *const c_void, bytes as u64) })
    }

    fn launch(&mut self, kernel: &str, grid: [u32; 3], arguments: &[Argument]) -> Result<()> {
        let known = self.kernels.get(kernel);
        let known = known.ok_or_else(|| DriverError(format!("there is no kernel {kernel}")))?;
        check_arguments(kernel, &known.sizes, arguments)?;
        let mut values: Vec<[u8; 8]> = arguments.iter().map(|it| it.bytes()).collect();
        let mut places: Vec<*mut c_void> =
            values.iter_mut().map(|it| it.as_mut_ptr().cast()).collect();
        let extent = |it: &Argument| match it {
            Argument::Pointer(_, bytes) => *bytes,
            _ => 0,
        };
        let extents: Vec<u64> = arguments.iter().map(extent).collect();
        // SAFETY: the sizes of the arguments are the kernel's, and all tables live through the call,
        // which runs the kernel to its end. What the kernel reads and writes are the buffers that the
        // pointers name: that they are those of its contract is the room's to keep, and the checked
        // build finds out.
        let status = unsafe {
            (self.calls.launch)(
                known.name.as_ptr(),
                grid.as_ptr(),
                known.threads,
                known.shared,
                places.as_mut_ptr(),
                places.len() as u32,
                extents.as_ptr(),
            )
        };
        self.check(status)?;
        let findings = said(self.calls.findings);
        if findings.is_empty() {
            return Ok(());
        }
        // SAFETY: it takes nothing and only forgets what was found.
        unsafe { (self.calls.clear)() };
        Err(DriverError(findings))
    }

    fn record(&mut self, _queue: Queue) -> Result<u64> {
        self.points += 1;
        Ok(self.points)
    }

    fn wait(&mut self, _queue: Queue, _point: u64) -> Result<()> {
        Ok(())
    }

    fn wait_host(&mut self, _point: u64) -> Result<()> {
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        Ok(())
    }

    fn publish(&mut self, at: u64, bytes: usize) -> Result<()> {
        // SAFETY: the library checks the range.
        self.check(unsafe { (self.calls.publish)(at as *mut c_void, bytes as u64) })
    }

    fn forget(&mut self, at: u64, bytes: usize) -> Result<()> {
        // SAFETY: the library checks the range.
        self.check(unsafe { (self.calls.forget)(at as *mut c_void, bytes as u64) })
    }
}
