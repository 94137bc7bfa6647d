//! What `ptxas -v` says of a kernel, and how many of its warps fit a multiprocessor.

use anyhow::{Context, Result, bail};

use super::ptx::Kernel;

/// A kernel on an architecture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Usage {
    pub(super) kernel: String,
    pub(super) architecture: String,
    threads: u32,
    registers: u32,
    shared: u32,
    stack: u32,
    spill_stores: u32,
    spill_loads: u32,
}

/// What a multiprocessor has.
struct Multiprocessor {
    warps: u32,
    blocks: u32,
    shared: u32,
}

const LANES: u32 = 32;
/// 32-bit registers, of every architecture here.
const REGISTERS: u32 = 65_536;
/// Registers are given to a warp in such portions, and warps to four schedulers.
const REGISTER_PORTION: u32 = 256;
const SCHEDULERS: u32 = 4;
/// Shared memory that the system takes of every block.
const RESERVED: u32 = 1_024;

fn multiprocessor(architecture: &str) -> Result<Multiprocessor> {
    match architecture {
        "sm_86" => Ok(Multiprocessor { warps: 48, blocks: 16, shared: 100 << 10 }),
        "sm_90" => Ok(Multiprocessor { warps: 64, blocks: 32, shared: 228 << 10 }),
        other => bail!("no limits are known of {other}"),
    }
}

impl Usage {
    pub(super) fn spills(&self) -> bool {
        self.spill_stores + self.spill_loads > 0
    }

    /// Blocks that fit at the same time, by registers, shared memory, warps and blocks.
    fn blocks(&self) -> Result<u32> {
        let all = multiprocessor(&self.architecture)?;
        let warps = self.threads.div_ceil(LANES);
        let per_warp = (self.registers * LANES).next_multiple_of(REGISTER_PORTION);
        let by_registers =
            REGISTERS / SCHEDULERS / per_warp * SCHEDULERS / warps.next_multiple_of(SCHEDULERS);
        let by_shared = all.shared / (self.shared.next_multiple_of(128) + RESERVED);
        Ok(by_registers.min(by_shared).min(all.warps / warps).min(all.blocks))
    }

    /// The table that is checked in.
    pub(super) fn table(usages: &[Usage]) -> String {
        let mut text = String::from(
            "kernel,architecture,threads,registers,shared_bytes,stack_bytes,spill_bytes,blocks_per_sm,occupancy\n",
        );
        for usage in usages {
            let Usage { kernel, architecture, threads, registers, shared, stack, .. } = usage;
            let spilled = usage.spill_stores + usage.spill_loads;
            let (blocks, warps) = (usage.blocks().unwrap_or(0), threads.div_ceil(LANES));
            let most = multiprocessor(architecture).map_or(1, |all| all.warps);
            let percent = 100 * blocks * warps / most;
            text += &format!(
                "{kernel},{architecture},{threads},{registers},{shared},{stack},{spilled},{blocks},{percent} %\n"
            );
        }
        text
    }
}

/// The usages that a log of `ptxas -v` names, in the order of `kernels`, which must all be there.
pub(super) fn of_log(log: &str, architecture: &str, kernels: &[Kernel]) -> Result<Vec<Usage>> {
    kernels.iter().map(|kernel| of_kernel(log, architecture, kernel)).collect()
}

fn of_kernel(log: &str, architecture: &str, kernel: &Kernel) -> Result<Usage> {
    let named = format!("Compiling entry function '{}'", kernel.name);
    let missing = || format!("ptxas said nothing of {} on {architecture}", kernel.name);
    let (_, rest) = log.split_once(&named).with_context(missing)?;
    let part = rest.split_once("Compiling entry").map_or(rest, |(part, _)| part);
    let number = |before: &str| -> Result<u32> {
        let (text, _) = part.split_once(before).with_context(missing)?;
        let digits = text.rsplit(|c: char| !c.is_ascii_digit()).next().unwrap_or_default();
        digits.parse().with_context(missing)
    };
    Ok(Usage {
        kernel: kernel.name.clone(),
        architecture: architecture.into(),
        threads: kernel.threads,
        registers: number(" registers")?,
        shared: kernel.shared,
        stack: number(" bytes stack frame")?,
        spill_stores: number(" bytes spill stores")?,
        spill_loads: number(" bytes spill loads")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "\
ptxas info    : 0 bytes gmem
ptxas info    : Compiling entry function 'second' for 'sm_86'
ptxas info    : Function properties for second
    8 bytes stack frame, 4 bytes spill stores, 12 bytes spill loads
ptxas info    : Used 40 registers, 400 bytes cmem[0]
ptxas info    : Compiling entry function 'first' for 'sm_86'
ptxas info    : Function properties for first
    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 128 registers, 380 bytes cmem[0]
";

    fn kernel(name: &str, shared: u32) -> Kernel {
        let (file, name) = ("op".into(), name.into());
        Kernel { file, name, threads: 256, shared, arguments: vec![] }
    }

    #[test]
    fn logs_are_read_by_name() {
        let usages = of_log(LOG, "sm_86", &[kernel("first", 48_192), kernel("second", 0)]).unwrap();
        assert_eq!([usages[0].registers, usages[1].registers], [128, 40]);
        assert!(!usages[0].spills() && usages[1].spills());
        let table = Usage::table(&usages);
        let lines: Vec<&str> = table.lines().skip(1).collect();
        assert_eq!(lines[0], "first,sm_86,256,128,48192,0,0,2,33 %");
        assert_eq!(lines[1], "second,sm_86,256,40,0,8,16,6,100 %");
        assert!(of_log(LOG, "sm_86", &[kernel("third", 0)]).is_err());
    }

    #[test]
    fn shared_memory_limits_the_blocks() {
        let usages = of_log(LOG, "sm_90", &[kernel("first", 99 << 10)]).unwrap();
        // Two by registers, and by shared memory.
        assert_eq!(usages[0].blocks().unwrap(), 2);
        let usages = of_log(LOG, "sm_86", &[kernel("first", 60 << 10)]).unwrap();
        assert_eq!(usages[0].blocks().unwrap(), 1);
    }
}
