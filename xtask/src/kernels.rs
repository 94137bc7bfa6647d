//! `cargo xtask kernels`: PTX and cubins of `kernels/*.cu`, and what they take of a multiprocessor.
//!
//! The compilers come from Python wheels, into a virtual environment in the user's cache: NVRTC makes PTX
//! for `compute_80`, `ptxas` the cubin for sm_86. Both are checked in, so that nobody needs them to build
//! `srek`; `--check` makes them anew and compares.

mod ptx;
mod usage;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use ptx::Kernel;
use usage::Usage;

/// What is installed, each with its exact version.
const WHEELS: [&str; 3] = [
    "nvidia-cuda-nvrtc-cu12==12.4.127",
    "nvidia-cuda-runtime-cu12==12.4.127",
    "nvidia-cuda-nvcc-cu12==12.4.131",
];

/// Where the results lie, in the tree.
const OUTPUT: &str = "kernels/ptx";

/// What `tests/gpu` runs on a device besides the kernels: `srek` holds none of it, so it has a list of its own.
const PROBE: &str = "probe";

/// What runs on a 3060; its cubins are checked in.
const TUNED: &str = "sm_86";

/// What the table is made for.
const ARCHITECTURES: [&str; 2] = [TUNED, "sm_90"];

/// Makes everything and puts it into the tree.
pub(crate) fn write(root: &Path) -> Result<()> {
    let fresh = Folder::new("write")?;
    generate(root, &fresh.path)?;
    let output = root.join(OUTPUT);
    fs::create_dir_all(&output)?;
    for (name, _) in entries(&output)? {
        fs::remove_file(output.join(name))?;
    }
    for (name, bytes) in entries(&fresh.path)? {
        fs::write(output.join(&name), bytes).with_context(|| format!("cannot write {name}"))?;
    }
    print!("{}", fs::read_to_string(output.join("usage.csv"))?);
    Ok(())
}

/// Fails when what is in the tree is not what `write` would make.
pub(crate) fn check(root: &Path) -> Result<()> {
    let fresh = Folder::new("check")?;
    generate(root, &fresh.path)?;
    let (made, stored) = (entries(&fresh.path)?, entries(&root.join(OUTPUT))?);
    let mut names: Vec<&String> = made.iter().chain(&stored).map(|(name, _)| name).collect();
    names.sort_unstable();
    names.dedup();
    let of = |files: &[(String, Vec<u8>)], name: &str| {
        files.iter().find(|file| file.0 == name).map(|file| file.1.clone())
    };
    let stale: Vec<&str> = names
        .into_iter()
        .filter(|name| of(&made, name) != of(&stored, name))
        .map(String::as_str)
        .collect();
    if !stale.is_empty() {
        bail!("{OUTPUT}: {} differ: run `cargo xtask kernels`", stale.join(", "));
    }
    println!("{OUTPUT}: {} files are as they are made", made.len());
    Ok(())
}

/// PTX, cubins, the list of kernels and the table of what they use, all in `output`.
fn generate(root: &Path, output: &Path) -> Result<()> {
    let tools = Tools::install()?;
    let sources = sources(root)?;
    tools.compile(root, &sources, output)?;
    let mut kernels = Vec::new();
    let mut usages = Vec::new();
    for source in &sources {
        let text = fs::read_to_string(output.join(format!("{source}.ptx")))?;
        let found = ptx::kernels(source, &text)?;
        for architecture in ARCHITECTURES {
            let log = tools.assemble(output, source, architecture)?;
            usages.extend(usage::of_log(&log, architecture, &found)?);
        }
        kernels.extend(found);
    }
    let spilling: Vec<&Usage> = usages.iter().filter(|usage| usage.spills()).collect();
    if let Some(usage) = spilling.first() {
        bail!("{} spills registers on {}: give it fewer", usage.kernel, usage.architecture);
    }
    tools.assemble(output, PROBE, ARCHITECTURES[1])?;
    let probe = fs::read_to_string(output.join(format!("{PROBE}.ptx")))?;
    fs::write(output.join("probe.tsv"), Kernel::list(&ptx::kernels(PROBE, &probe)?))?;
    fs::write(output.join("kernels.tsv"), Kernel::list(&kernels))?;
    fs::write(output.join("usage.csv"), Usage::table(&usages))?;
    Ok(())
}

/// Names of the kernel files, sorted.
fn sources(root: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(root.join("kernels")).context("no kernels/")? {
        let name = entry?.file_name().into_string().ok().context("a name that is not UTF-8")?;
        names.extend(name.strip_suffix(".cu").map(str::to_string));
    }
    names.sort_unstable();
    Ok(names)
}

/// The files of a folder with their bytes, sorted by name.
fn entries(folder: &Path) -> Result<Vec<(String, Vec<u8>)>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("no {}", folder.display()))? {
        let entry = entry?;
        let name = entry.file_name().into_string().ok().context("a name that is not UTF-8")?;
        files.push((name, fs::read(entry.path())?));
    }
    files.sort();
    Ok(files)
}

/// A folder that goes when it is dropped.
struct Folder {
    path: PathBuf,
}

impl Folder {
    fn new(purpose: &str) -> Result<Folder> {
        let path = env::temp_dir().join(format!("srek-kernels-{purpose}-{}", std::process::id()));
        fs::create_dir_all(&path).with_context(|| format!("cannot make {}", path.display()))?;
        Ok(Folder { path })
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left in a temporary folder harms nobody.
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// The compilers of the wheels.
struct Tools {
    python: PathBuf,
    nvrtc: PathBuf,
    headers: PathBuf,
    ptxas: PathBuf,
}

impl Tools {
    /// Finds them in the cache, after installing what is missing.
    fn install() -> Result<Tools> {
        let cache = match (env::var_os("XDG_CACHE_HOME"), env::var_os("HOME")) {
            (Some(cache), _) if !cache.is_empty() => PathBuf::from(cache),
            (_, Some(home)) => Path::new(&home).join(".cache"),
            _ => bail!("neither XDG_CACHE_HOME nor HOME says where the compilers go"),
        };
        let folder = cache.join("srek/cuda-12.4");
        let python = folder.join("bin/python");
        let stamp = folder.join("wheels.txt");
        let wanted = WHEELS.join("\n");
        if fs::read_to_string(&stamp).ok().as_ref() != Some(&wanted) {
            eprintln!("installing NVRTC and ptxas 12.4 in {}", folder.display());
            run(Command::new("python3").args(["-m", "venv"]).arg(&folder))?;
            let install = ["-m", "pip", "install", "--quiet", "--no-deps"];
            run(Command::new(&python).args(install).args(WHEELS))?;
            fs::write(&stamp, wanted)?;
        }
        let library = folder.join("lib");
        let packages = fs::read_dir(&library).context("a virtual environment without lib")?;
        let version = packages.filter_map(Result::ok).find(|entry| {
            entry.file_name().to_str().is_some_and(|name| name.starts_with("python3"))
        });
        let version = version.context("a virtual environment without packages")?;
        let nvidia = version.path().join("site-packages/nvidia");
        let tools = Tools {
            python,
            nvrtc: nvidia.join("cuda_nvrtc/lib/libnvrtc.so.12"),
            headers: nvidia.join("cuda_runtime/include"),
            ptxas: nvidia.join("cuda_nvcc/bin/ptxas"),
        };
        tools.allow_running()?;
        Ok(tools)
    }

    /// pip installs `ptxas` without its run bit.
    fn allow_running(&self) -> Result<()> {
        use std::os::unix::fs::PermissionsExt;
        let mut permissions = fs::metadata(&self.ptxas).context("no ptxas")?.permissions();
        if permissions.mode() & 0o100 == 0 {
            permissions.set_mode(permissions.mode() | 0o755);
            fs::set_permissions(&self.ptxas, permissions)?;
        }
        Ok(())
    }

    /// PTX of every source, for `compute_80`.
    fn compile(&self, root: &Path, sources: &[String], output: &Path) -> Result<()> {
        let mut command = Command::new(&self.python);
        command.current_dir(root.join("kernels")).arg(root.join("xtask/src/kernels/compile.py"));
        command.arg(&self.nvrtc).args([".", "tests"]).arg(&self.headers).arg("--");
        command.arg("tests/probe.cu").arg(output.join(format!("{PROBE}.ptx")));
        for source in sources {
            command.arg(format!("{source}.cu")).arg(output.join(format!("{source}.ptx")));
        }
        run(&mut command).map(drop)
    }

    /// The cubin of a source's PTX, kept if it is for what we tune for, and what `ptxas` said.
    fn assemble(&self, output: &Path, source: &str, architecture: &str) -> Result<String> {
        let cubin = output.join(format!("{source}.{architecture}.cubin"));
        let mut command = Command::new(&self.ptxas);
        command.current_dir(output).arg("-v").arg(format!("-arch={architecture}"));
        let log = run(command.arg("-o").arg(&cubin).arg(format!("{source}.ptx")))?;
        if architecture != TUNED {
            fs::remove_file(cubin)?;
        }
        Ok(log)
    }
}

/// Runs a command to its end; gives what it printed as an error stream.
fn run(command: &mut Command) -> Result<String> {
    let shown = command.get_program().to_string_lossy().into_owned();
    let output = command.output().with_context(|| format!("cannot run `{shown}`"))?;
    let log = String::from_utf8_lossy(&output.stderr).into_owned();
    if !output.status.success() {
        bail!("`{shown}` failed: {}", log.trim());
    }
    Ok(log)
}
