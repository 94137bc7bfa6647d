//! A device for tests: the emulated one, built from the kernels' sources by the host's C++ compiler where
//! there is one, or a GPU where `SREK_DEVICE=nvidia` asks for it.

use ops::backend::cuda::{Driver, Emulated, Nvidia};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What a library holds is the process's, so one test at a time may use it.
static TURN: Mutex<()> = Mutex::new(());

/// A device and the turn to use it.
pub(crate) type Turn = (Box<dyn Driver>, MutexGuard<'static, ()>);

/// Whether a GPU was asked for.
pub(crate) fn on_gpu() -> bool {
    std::env::var("SREK_DEVICE").is_ok_and(|name| name == "nvidia")
}

/// The GPU that was asked for, else the emulated device's build `fast` or `checked`; none without a
/// compiler, which is reported.
///
/// # Panics
/// When there is no such GPU, or the kernels do not compile.
pub(crate) fn test_device(mode: &str) -> Option<Turn> {
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    if on_gpu() {
        return Some((Box::new(Nvidia::open(0).expect("a GPU was asked for")), turn));
    }
    let compiler = std::env::var("CXX").unwrap_or_else(|_| "g++".to_owned());
    if Command::new(&compiler).arg("--version").output().is_err() {
        crate::skip::skip(&format!("no C++ compiler {compiler} for the emulated device"));
        return None;
    }
    let build = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../kernels/emulated/build");
    let library = directory().join(format!("{mode}.so"));
    let ran = Command::new("bash").arg(build).arg(mode).arg(&library).output();
    let ran = ran.expect("bash runs");
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    Some((Box::new(Emulated::load(&library).expect("the library that was just built")), turn))
}

/// A place for the libraries that all test binaries share: objects are made again only where a source is
/// newer, and what is made takes its place at once, whoever else builds or uses it.
fn directory() -> PathBuf {
    std::env::current_exe().expect("a test has a path").with_file_name("kernels-emulated")
}
