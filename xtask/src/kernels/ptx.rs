//! The kernels of a PTX file: what a launcher has to know of each.

use anyhow::{Context, Result, bail};

/// An entry point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Kernel {
    /// The file that it stands in, without extension.
    pub(super) file: String,
    pub(super) name: String,
    /// Threads per block.
    pub(super) threads: u32,
    /// Bytes of dynamic shared memory.
    pub(super) shared: u32,
    /// Bytes of each argument.
    pub(super) arguments: Vec<u32>,
}

impl Kernel {
    /// One line per kernel, behind a line that names the columns.
    pub(super) fn list(kernels: &[Kernel]) -> String {
        let mut text = String::from("kernel\tfile\tthreads\tshared_bytes\targument_bytes\n");
        for kernel in kernels {
            let Kernel { file, name, threads, shared, arguments } = kernel;
            let sizes: Vec<String> = arguments.iter().map(u32::to_string).collect();
            text += &format!("{name}\t{file}\t{threads}\t{shared}\t{}\n", sizes.join(","));
        }
        text
    }
}

/// The entry points of a PTX text, in its order. Threads and shared bytes stand there as constants
/// (`KERNEL` in `kernels/common.cuh`).
pub(super) fn kernels(file: &str, ptx: &str) -> Result<Vec<Kernel>> {
    let mut found = Vec::new();
    for (_, rest) in ptx.match_indices(".entry ").map(|(at, word)| (at, &ptx[at + word.len()..])) {
        let (name, rest) = rest.split_once('(').context("an entry without parameters")?;
        let (parameters, _) = rest.split_once(')').context("parameters without an end")?;
        let name = name.trim().to_string();
        let arguments = parameters.lines().filter(|line| line.contains(".param")).map(size_of);
        found.push(Kernel {
            file: file.into(),
            threads: constant(ptx, &name, "threads")?,
            shared: constant(ptx, &name, "shared")?,
            arguments: arguments.collect::<Result<_>>()?,
            name,
        });
    }
    if found.is_empty() {
        bail!("{file}.ptx holds no kernel");
    }
    Ok(found)
}

/// `.const .align 4 .u32 NAME_WHAT = VALUE;`, where no value means zero.
fn constant(ptx: &str, name: &str, what: &str) -> Result<u32> {
    let word = format!(" {name}_{what}");
    let line = ptx.lines().filter(|line| line.starts_with(".const")).find_map(|line| {
        let rest = line.split_once(&word)?.1;
        (rest.starts_with(';') || rest.starts_with(" =")).then_some(rest)
    });
    let line = line.with_context(|| format!("{name} has no {what}: use KERNEL"))?;
    match line.trim_end_matches(';').split_once('=') {
        None => Ok(0),
        Some((_, value)) => {
            value.trim().parse().with_context(|| format!("{name}: {what} `{value}`"))
        }
    }
}

/// The bytes of `.param .u64 ...` or `.param .align 8 .b8 NAME[48]`.
fn size_of(line: &str) -> Result<u32> {
    let kind = line
        .split_whitespace()
        .find(|word| word.starts_with('.') && word[1..].contains(|c: char| c.is_ascii_digit()));
    let kind = kind.with_context(|| format!("a parameter of no size: {line}"))?;
    let bits: u32 = kind[2..].parse().with_context(|| format!("a parameter of {kind}"))?;
    let count = line.split_once('[').and_then(|(_, rest)| rest.split_once(']'));
    let count: u32 = count.map_or(Ok(1), |(count, _)| count.parse())?;
    Ok(bits / 8 * count)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PTX: &str = "\
.const .align 4 .u32 gather_threads = 256;
.const .align 4 .u32 gather_shared;
.const .align 4 .u32 gather_wide_threads = 128;
.const .align 4 .u32 gather_wide_shared = 4096;

.visible .entry gather(
\t.param .u64 gather_param_0,
\t.param .f32 gather_param_1
)
.maxntid 256, 1, 1
{
}
.visible .entry gather_wide(
\t.param .align 8 .b8 gather_wide_param_0[48]
)
{
}
";

    #[test]
    fn kernels_are_found_with_their_numbers() {
        let found = kernels("embed", PTX).unwrap();
        let list = Kernel::list(&found);
        let lines: Vec<&str> = list.lines().skip(1).collect();
        assert_eq!(lines, ["gather\tembed\t256\t0\t8,4", "gather_wide\tembed\t128\t4096\t48"]);
    }

    #[test]
    fn a_kernel_without_its_constants_is_an_error() {
        let error = kernels("embed", &PTX.replace("gather_threads", "other")).unwrap_err();
        assert_eq!(error.to_string(), "gather has no threads: use KERNEL");
        assert!(kernels("embed", "").is_err());
    }
}
