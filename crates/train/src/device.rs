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
    /// What of it a run may use, in bytes.
    pub usable: usize,
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
        let (memory, usable, bandwidth, flops) = match name {
            "rtx3060" => (12.0, 11.25, 360e9, 25.5e12),
            "h200" => (141.0, 139.0, 4.8e12, 989e12),
            _ => return None,
        };
        Some(DeviceProfile {
            name: name.to_owned(),
            memory: (memory * GIB) as usize,
            usable: (usable * GIB) as usize,
            bandwidth,
            flops,
            host: Host::Beside,
        })
    }

    /// This host's cores, from what was measured on them.
    pub fn cpu(memory: usize, bandwidth: f64, flops: f64) -> DeviceProfile {
        let name = "cpu".to_owned();
        DeviceProfile { name, memory, usable: memory, bandwidth, flops, host: Host::Same }
    }
}
