//! The kernels as they are compiled (`kernels/ptx`, made by `cargo xtask kernels`), and their table.

use super::driver::{DriverError, Result};

/// A room's kernels.
pub(super) struct Image {
    /// The room.
    pub(super) file: &'static str,
    /// PTX for any device from sm_80 on, ending with a zero.
    pub(super) ptx: &'static str,
    /// What ptxas made of it for sm_86.
    pub(super) sm_86: &'static [u8],
}

macro_rules! images {
    ($($file:literal),*) => {
        [$(Image {
            file: $file,
            ptx: concat!(include_str!(concat!("../../../../../kernels/ptx/", $file, ".ptx")), "\0"),
            sm_86: include_bytes!(concat!("../../../../../kernels/ptx/", $file, ".sm_86.cubin")),
        }),*]
    };
}

/// Every room's.
pub(super) static IMAGES: [Image; 10] = images![
    "adamw",
    "attention",
    "embed",
    "linear_cross_entropy",
    "lora",
    "qlinear",
    "residual",
    "rms_norm",
    "rope",
    "swiglu"
];

/// A line for each kernel: name, file, threads, bytes of shared memory, sizes of the arguments.
const TABLE: &str = include_str!("../../../../../kernels/ptx/kernels.tsv");

/// What a launch of a kernel has to know.
pub(super) struct Entry {
    pub(super) name: &'static str,
    pub(super) file: &'static str,
    pub(super) threads: u32,
    pub(super) shared: u32,
    pub(super) sizes: Vec<u32>,
}

/// The table's lines.
///
/// # Errors
/// A line that is none.
pub(super) fn entries() -> Result<Vec<Entry>> {
    let wrong = |line: &str| DriverError(format!("kernels.tsv: not a kernel: {line}"));
    let entry = |line: &'static str| {
        let fields: Vec<&str> = line.split('\t').collect();
        let [name, file, threads, shared, sizes] = fields[..] else { return Err(wrong(line)) };
        let number = |text: &str| text.parse::<u32>().map_err(|_| wrong(line));
        let sizes = sizes.split(',').map(number).collect::<Result<_>>()?;
        Ok(Entry { name, file, threads: number(threads)?, shared: number(shared)?, sizes })
    };
    TABLE.lines().skip(1).map(entry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kernel_has_its_image() {
        let entries = entries().unwrap();
        assert!(entries.len() > 50);
        for Entry { name, file, threads, .. } in entries {
            let image = IMAGES.iter().find(|image| image.file == file).expect(file);
            assert!(image.ptx.contains(&format!(".entry {name}(")), "{name}");
            assert!(image.sm_86.starts_with(b"\x7fELF") && threads > 0, "{name}");
        }
    }
}
