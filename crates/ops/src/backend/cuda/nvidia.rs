//! An NVIDIA GPU through its driver, which is looked for when it is asked for: nothing of CUDA is needed
//! to build or to start.

use super::super::Queue;
use super::driver::{Argument, Driver, DriverError, Memory, Result, Work, check_arguments};
use super::gpu::{Gpu, bus, check, describe, driver_version};
use super::images::{Entry, IMAGES, entries};
use super::nvml;
use cudarc::driver::sys;
use std::collections::{HashMap, VecDeque};
use std::ffi::{CString, c_void};

/// The oldest devices that have what the kernels use: bf16 products, asynchronous copies.
const OLDEST_SM: u32 = 80;
/// The devices that the checked-in machine code is for.
const TUNED_SM: u32 = 86;
/// Shared memory that a block gets without asking for more.
const PLAIN_SHARED: u32 = 48 << 10;
/// Events of a queue, used again in turn: whoever waits for one that was used again waits longer.
const EVENTS: u64 = 256;

/// Most graphs that are kept: as many kinds of passes as an engine decodes in.
const GRAPHS: usize = 32;
/// Pieces of work that are remembered: what comes again while it is, becomes a graph.
const REMEMBERED: usize = 8;
/// Fewest launches that a graph is made of.
const GRAPH_LAUNCHES: usize = 16;

/// A kernel on the device.
struct Function {
    function: sys::CUfunction,
    threads: u32,
    shared: u32,
    sizes: Vec<u32>,
}

/// A GPU with its two queues.
pub struct Nvidia {
    gpu: Gpu,
    /// Bytes that were free before there was a context.
    free_before: Option<usize>,
    device: sys::CUdevice,
    context: sys::CUcontext,
    streams: [sys::CUstream; 2],
    events: [Vec<sys::CUevent>; 2],
    recorded: [u64; 2],
    functions: HashMap<&'static str, Function>,
    /// Work that came more than once, as it is launched in one call; what came last, at the end.
    graphs: Vec<(Vec<Work>, sys::CUgraphExec)>,
    /// Whether one could not be made.
    without_graphs: bool,
    /// Work that came once.
    remembered: VecDeque<Vec<Work>>,
    modules: Vec<sys::CUmodule>,
    allocated: Vec<u64>,
    pinned: Vec<*mut c_void>,
}

// SAFETY: the handles are the driver's, which may be called from any thread; every call sets the context
// of the thread that it comes from.
unsafe impl Send for Nvidia {}
// SAFETY: what takes a shared reference only asks the driver, which may be asked from any thread.
unsafe impl Sync for Nvidia {}

fn index(queue: Queue) -> usize {
    match queue {
        Queue::Compute => 0,
        Queue::Copy => 1,
    }
}

impl Nvidia {
    /// Starts using a GPU: its context, two queues, and all kernels.
    ///
    /// # Errors
    /// As [`super::gpus`]; a GPU that is too old, or that has no room for a context.
    pub fn open(ordinal: i32) -> Result<Nvidia> {
        let gpu = describe(ordinal, driver_version()?)?;
        if gpu.sm < OLDEST_SM {
            let (name, major, minor) = (&gpu.name, gpu.sm / 10, gpu.sm % 10);
            return Err(DriverError(format!(
                "{name} has compute capability {major}.{minor}, expected 8.0 or newer"
            )));
        }
        let free_before = bus(ordinal).and_then(|bus| nvml::free(&bus));
        let (mut device, mut context) = (0, std::ptr::null_mut());
        // SAFETY: the pointer is to a local.
        check("cuDeviceGet", unsafe { sys::cuDeviceGet(&mut device, ordinal) })?;
        // SAFETY: the pointer is to a local, the device is there.
        let retained = unsafe { sys::cuDevicePrimaryCtxRetain(&mut context, device) };
        check("cuDevicePrimaryCtxRetain", retained).map_err(|error| {
            let name = &gpu.name;
            DriverError(format!(
                "{name} has no room for a context: {error}\nhint: close what else uses it"
            ))
        })?;
        let mut this = Nvidia {
            gpu,
            free_before,
            device,
            context,
            streams: [std::ptr::null_mut(); 2],
            events: [Vec::new(), Vec::new()],
            recorded: [0; 2],
            functions: HashMap::new(),
            graphs: Vec::new(),
            without_graphs: false,
            remembered: VecDeque::new(),
            modules: Vec::new(),
            allocated: Vec::new(),
            pinned: Vec::new(),
        };
        this.enter()?;
        this.start_queues()?;
        this.load()?;
        Ok(this)
    }

    /// The GPU.
    pub fn gpu(&self) -> &Gpu {
        &self.gpu
    }

    /// What the context took of the device's memory when it was made, with all kernels, in bytes; none where
    /// the driver does not tell. Others that come or go meanwhile count as well.
    pub fn context_bytes(&self) -> Option<usize> {
        let free = self.memory().ok().flatten()?.free;
        self.free_before?.checked_sub(free)
    }

    /// Work as a graph: launched on a queue that only takes it down.
    fn graph(&mut self, work: &[Work]) -> Result<sys::CUgraphExec> {
        const ALONE: sys::CUstreamCaptureMode =
            sys::CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL;
        let stream = self.streams[0];
        // SAFETY: the stream is this value's.
        check("cuStreamBeginCapture", unsafe { sys::cuStreamBeginCapture_v2(stream, ALONE) })?;
        let launched = self.launch_all(work);
        let mut graph = std::ptr::null_mut();
        // SAFETY: the pointer is to a local; the stream was told to begin, and has to be told to end.
        let ended = unsafe { sys::cuStreamEndCapture(stream, &mut graph) };
        if let Err(error) = launched.and(check("cuStreamEndCapture", ended)) {
            if !graph.is_null() {
                // SAFETY: it was made by the capture and is used no more.
                let _ = unsafe { sys::cuGraphDestroy(graph) };
            }
            return Err(error);
        }
        let mut ready = std::ptr::null_mut();
        // SAFETY: the pointer is to a local, the graph was just made.
        let made = unsafe { sys::cuGraphInstantiateWithFlags(&mut ready, graph, 0) };
        // SAFETY: what was made of it does not need it any more.
        let _ = unsafe { sys::cuGraphDestroy(graph) };
        check("cuGraphInstantiate", made)?;
        Ok(ready)
    }

    fn launch_all(&mut self, work: &[Work]) -> Result<()> {
        work.iter().try_for_each(|work| match work {
            Work::Launch { kernel, grid, arguments } => self.launch(kernel, *grid, arguments),
            Work::Forget { .. } => Ok(()),
        })
    }

    /// Makes a graph of work, in the place of the one that was not used for longest if there are too many.
    fn keep(&mut self, work: &[Work]) -> Result<()> {
        if self.graphs.len() == GRAPHS {
            // It may still be running.
            self.finish()?;
            let (_, graph) = self.graphs.remove(0);
            // SAFETY: it was made by this value and is launched no more.
            check("cuGraphExecDestroy", unsafe { sys::cuGraphExecDestroy(graph) })?;
        }
        self.enter()?;
        let graph = self.graph(work)?;
        self.remembered.retain(|known| known != work);
        self.graphs.push((work.to_vec(), graph));
        Ok(())
    }

    fn remember(&mut self, work: Vec<Work>) {
        if work.len() >= GRAPH_LAUNCHES {
            self.remembered.truncate(REMEMBERED - 1);
            self.remembered.push_front(work);
        }
    }

    /// Makes the context that of this thread.
    fn enter(&self) -> Result<()> {
        // SAFETY: the context is held until this value goes.
        check("cuCtxSetCurrent", unsafe { sys::cuCtxSetCurrent(self.context) })
    }

    fn start_queues(&mut self) -> Result<()> {
        const NON_BLOCKING: u32 = 1;
        const NO_TIMES: u32 = 2;
        for queue in 0..2 {
            // SAFETY: the pointers are to places that live through the calls.
            check("cuStreamCreate", unsafe {
                sys::cuStreamCreate(&mut self.streams[queue], NON_BLOCKING)
            })?;
            for _ in 0..EVENTS {
                let mut event = std::ptr::null_mut();
                // SAFETY: as above.
                check("cuEventCreate", unsafe { sys::cuEventCreate(&mut event, NO_TIMES) })?;
                self.events[queue].push(event);
            }
        }
        Ok(())
    }

    fn load(&mut self) -> Result<()> {
        let entries = entries()?;
        for image in &IMAGES {
            let bytes = match self.gpu.sm {
                TUNED_SM => image.sm_86.as_ptr(),
                _ => image.ptx.as_ptr(),
            };
            let mut module = std::ptr::null_mut();
            // SAFETY: a cubin says how long it is, and the PTX ends with a zero.
            let loaded = unsafe { sys::cuModuleLoadData(&mut module, bytes.cast()) };
            check(&format!("loading the kernels of {}", image.file), loaded)?;
            self.modules.push(module);
            for entry in entries.iter().filter(|entry| entry.file == image.file) {
                let function = function(module, entry)?;
                self.functions.insert(entry.name, function);
            }
        }
        Ok(())
    }
}

fn function(module: sys::CUmodule, entry: &Entry) -> Result<Function> {
    let mut function = std::ptr::null_mut();
    let name = CString::new(entry.name).expect("a kernel's name has no zero in it");
    // SAFETY: the module is loaded, the name ends with a zero.
    let found = unsafe { sys::cuModuleGetFunction(&mut function, module, name.as_ptr()) };
    check(entry.name, found)?;
    // Else the first launch loads it, in the middle of a run, into memory that nobody planned.
    // SAFETY: the function was just found.
    check(entry.name, unsafe { sys::cuFuncLoad(function) })?;
    if entry.shared > PLAIN_SHARED {
        let most = sys::CUfunction_attribute::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES;
        // SAFETY: the function was just found.
        let set = unsafe { sys::cuFuncSetAttribute(function, most, entry.shared as i32) };
        check(entry.name, set)?;
    }
    let Entry { threads, shared, ref sizes, .. } = *entry;
    Ok(Function { function, threads, shared, sizes: sizes.clone() })
}

impl Drop for Nvidia {
    fn drop(&mut self) {
        // What a failed device answers changes nothing any more. Everything was made by this value, and
        // both queues are done or have failed.
        let _ = self.finish();
        for at in self.allocated.drain(..) {
            // SAFETY: see above.
            let _ = unsafe { sys::cuMemFree_v2(at) };
        }
        for at in self.pinned.drain(..) {
            // SAFETY: see above.
            let _ = unsafe { sys::cuMemFreeHost(at) };
        }
        for (_, graph) in self.graphs.drain(..) {
            // SAFETY: see above.
            let _ = unsafe { sys::cuGraphExecDestroy(graph) };
        }
        for event in self.events.iter_mut().flat_map(|events| events.drain(..)) {
            // SAFETY: see above.
            let _ = unsafe { sys::cuEventDestroy_v2(event) };
        }
        for stream in self.streams.into_iter().filter(|stream| !stream.is_null()) {
            // SAFETY: see above.
            let _ = unsafe { sys::cuStreamDestroy_v2(stream) };
        }
        for module in self.modules.drain(..) {
            // SAFETY: see above; its functions are not called any more.
            let _ = unsafe { sys::cuModuleUnload(module) };
        }
        // SAFETY: it was retained when this value was made.
        let _ = unsafe { sys::cuDevicePrimaryCtxRelease_v2(self.device) };
    }
}

impl Driver for Nvidia {
    fn name(&self) -> &str {
        &self.gpu.name
    }

    fn sm(&self) -> u32 {
        self.gpu.sm
    }

    fn memory(&self) -> Result<Option<Memory>> {
        self.enter()?;
        let (mut free, mut total) = (0, 0);
        // SAFETY: the pointers are to locals.
        check("cuMemGetInfo", unsafe { sys::cuMemGetInfo_v2(&mut free, &mut total) })?;
        Ok(Some(Memory { free, total }))
    }

    fn allocate(&mut self, bytes: usize) -> Result<u64> {
        self.enter()?;
        let mut at = 0;
        // SAFETY: the pointer is to a local.
        let made = check("cuMemAlloc", unsafe { sys::cuMemAlloc_v2(&mut at, bytes) });
        if let Err(error) = made {
            let free = self.memory().ok().flatten().map_or(0, |memory| memory.free);
            return Err(DriverError(format!(
                "{error}: {bytes} bytes are wanted, {free} are free\nhint: close what else uses the GPU, or ask for less context"
            )));
        }
        self.allocated.push(at);
        // SAFETY: the range was just allocated.
        check("cuMemsetD8Async", unsafe { sys::cuMemsetD8Async(at, 0, bytes, self.streams[0]) })?;
        self.finish()?;
        Ok(at)
    }

    fn allocate_pinned(&mut self, bytes: usize) -> Result<*mut u8> {
        self.enter()?;
        let mut at = std::ptr::null_mut();
        // SAFETY: the pointer is to a local; the memory is read by the CPU, so it is not write-combined. On
        // all devices that are new enough, kernels see it under the same address.
        check("cuMemHostAlloc", unsafe { sys::cuMemHostAlloc(&mut at, bytes, 0) }).map_err(|error| {
            DriverError(format!(
                "{error}: {bytes} bytes of the host's memory are wanted for copies\nhint: close what else uses memory, or \
                 give less with memory.host_mib"
            ))
        })?;
        self.pinned.push(at);
        // SAFETY: the range was just allocated, and nobody else knows it.
        unsafe { std::ptr::write_bytes(at.cast::<u8>(), 0, bytes) };
        Ok(at.cast())
    }

    unsafe fn copy_in(
        &mut self,
        queue: Queue,
        to: u64,
        from: *const u8,
        bytes: usize,
    ) -> Result<()> {
        self.enter()?;
        let stream = self.streams[index(queue)];
        // SAFETY: the caller promises `from`; `to` lies in the arena, which the backend checked.
        check("cuMemcpyHtoDAsync", unsafe {
            sys::cuMemcpyHtoDAsync_v2(to, from.cast(), bytes, stream)
        })
    }

    unsafe fn copy_out(
        &mut self,
        queue: Queue,
        to: *mut u8,
        from: u64,
        bytes: usize,
    ) -> Result<()> {
        self.enter()?;
        let stream = self.streams[index(queue)];
        // SAFETY: the caller promises `to`; `from` lies in the arena, which the backend checked.
        check("cuMemcpyDtoHAsync", unsafe {
            sys::cuMemcpyDtoHAsync_v2(to.cast(), from, bytes, stream)
        })
    }

    fn launch(&mut self, kernel: &str, grid: [u32; 3], arguments: &[Argument]) -> Result<()> {
        self.enter()?;
        let known = self.functions.get(kernel);
        let known = known.ok_or_else(|| DriverError(format!("there is no kernel {kernel}")))?;
        check_arguments(kernel, &known.sizes, arguments)?;
        let mut values: Vec<[u8; 8]> = arguments.iter().map(|it| it.bytes()).collect();
        let mut places: Vec<*mut c_void> =
            values.iter_mut().map(|it| it.as_mut_ptr().cast()).collect();
        let [x, y, z] = grid;
        // SAFETY: the arguments have the sizes of the kernel's parameters, and the driver copies them
        // before it returns; what the pointers lead to are buffers of the arena.
        check(kernel, unsafe {
            sys::cuLaunchKernel(
                known.function,
                x,
                y,
                z,
                known.threads,
                1,
                1,
                known.shared,
                self.streams[0],
                places.as_mut_ptr(),
                std::ptr::null_mut(),
            )
        })
    }

    fn run(&mut self, mut work: Vec<Work>) -> Result<()> {
        work.retain(|work| matches!(work, Work::Launch { .. }));
        if let Some(index) = self.graphs.iter().position(|(known, _)| *known == work) {
            let graph = self.graphs.remove(index);
            self.graphs.push(graph);
        } else if work.len() >= GRAPH_LAUNCHES
            && !self.without_graphs
            && self.remembered.contains(&work)
        {
            if self.keep(&work).is_err() {
                // They are a matter of speed: the same launches one by one do as well.
                self.without_graphs = true;
                return self.launch_all(&work);
            }
        } else {
            self.launch_all(&work)?;
            self.remember(work);
            return Ok(());
        }
        self.enter()?;
        let graph = self.graphs[self.graphs.len() - 1].1;
        // SAFETY: graph and stream are this value's. Its launches have the arguments they were taken down
        // with, which are addresses in the arena and numbers.
        check("cuGraphLaunch", unsafe { sys::cuGraphLaunch(graph, self.streams[0]) })
    }

    fn record(&mut self, queue: Queue) -> Result<u64> {
        self.enter()?;
        let queue = index(queue);
        let number = self.recorded[queue];
        self.recorded[queue] += 1;
        let event = self.events[queue][(number % EVENTS) as usize];
        // SAFETY: event and stream are this value's.
        check("cuEventRecord", unsafe { sys::cuEventRecord(event, self.streams[queue]) })?;
        Ok(number * 2 + queue as u64)
    }

    fn wait(&mut self, queue: Queue, point: u64) -> Result<()> {
        self.enter()?;
        let event = self.events[(point % 2) as usize][(point / 2 % EVENTS) as usize];
        // SAFETY: event and stream are this value's.
        check("cuStreamWaitEvent", unsafe {
            sys::cuStreamWaitEvent(self.streams[index(queue)], event, 0)
        })
    }

    fn wait_host(&mut self, point: u64) -> Result<()> {
        self.enter()?;
        let event = self.events[(point % 2) as usize][(point / 2 % EVENTS) as usize];
        // SAFETY: the event is this value's.
        check("cuEventSynchronize", unsafe { sys::cuEventSynchronize(event) })
    }

    fn finish(&mut self) -> Result<()> {
        self.enter()?;
        for stream in self.streams {
            // SAFETY: the stream is this value's.
            check("cuStreamSynchronize", unsafe { sys::cuStreamSynchronize(stream) })?;
        }
        Ok(())
    }

    fn publish(&mut self, _at: u64, _bytes: usize) -> Result<()> {
        Ok(())
    }

    fn forget(&mut self, _at: u64, _bytes: usize) -> Result<()> {
        Ok(())
    }
}
