//! What machines can do at best, for saying how fast a plan can possibly run.

/// One gibibyte.
const GIB: f64 = (1_u64 << 30) as f64;

/// A machine's limits.
#[derive(Clone, Debug, PartialEq)]
pub struct DeviceProfile {
    /// The name that the user gives.
    pub name: String,
    /// Memory in bytes.
    pub memory: usize,
    /// What of it a run may use, in bytes: what the driver's context and others (`reserved`) leave.
    pub usable: usize,
    /// What the driver takes for a process, in bytes. Assumed for a GPU until one is measured.
    pub context: usize,
    /// Memory of the host beside it, in bytes, where the profile is of a whole machine.
    pub host_memory: Option<usize>,
    /// Bytes per second between device and host, one way at a time.
    pub copies: f64,
    /// Memory traffic in bytes per second.
    pub bandwidth: f64,
    /// Multiplications and additions per second in bf16 with f32 sums.
    pub flops: f64,
    /// Which processor runs the optimizer.
    pub host: Host,
}

/// Where work on the host's memory runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Host {
    /// On the same processor and memory as everything else.
    Same,
    /// Beside the device, whose time it does not take.
    Beside,
}

impl DeviceProfile {
    /// The profile of that name: `rtx3060` (the target) or `h200`.
    pub fn named(name: &str) -> Option<DeviceProfile> {
        // A workstation with 128 GB has the first one. Copies: PCIe 4.0 and 5.0 with 16 lanes, about 80 %
        // of what the wires carry.
        let (memory, usable, bandwidth, flops, host, copies) = match name {
            "rtx3060" => (12.0, 11.25, 360e9, 25.5e12, Some(128_000_000_000), 25e9),
            "h200" => (141.0, 139.0, 4.8e12, 989e12, None, 50e9),
            _ => return None,
        };
        Some(DeviceProfile {
            name: name.to_owned(),
            memory: (memory * GIB) as usize,
            usable: (usable * GIB) as usize,
            context: (0.25 * GIB) as usize,
            host_memory: host,
            copies,
            bandwidth,
            flops,
            host: Host::Beside,
        })
    }

    /// This host's cores, from what was measured on them.
    pub fn cpu(memory: usize, bandwidth: f64, flops: f64) -> DeviceProfile {
        let name = "cpu".to_owned();
        let (host_memory, copies) = (Some(memory), bandwidth);
        let (usable, context, host) = (memory, 0, Host::Same);
        DeviceProfile { name, memory, usable, context, host_memory, copies, bandwidth, flops, host }
    }

    /// What others hold of the device's memory, in bytes.
    pub fn reserved(&self) -> usize {
        self.memory - self.usable - self.context
    }

    /// The same machine on which others hold `bytes` of the device's memory.
    pub fn reserving(self, bytes: usize) -> DeviceProfile {
        let usable = self.memory.saturating_sub(self.context).saturating_sub(bytes);
        DeviceProfile { usable, ..self }
    }
}
