//! Results that appear whole or not at all.
//!
//! **A file**: written to a temporary beside it, flushed, synced, renamed over the target, then the
//! directory is synced. At any instant, and after a crash at any instant, the target is the old file
//! or the new one; a killed process leaves at most a hidden temporary, which the next write of the
//! same target removes.
//!
//! **A directory**: filled as a temporary beside the target, every file and directory in it synced.
//! If nothing stands at the target it is renamed there. Otherwise the two are swapped by one system
//! call (`renameat2` with `RENAME_EXCHANGE`), so there is no moment without either, the parent is
//! synced, and the old directory, now under the temporary's name, is removed. What a reader finds
//! after a crash:
//!
//! | crash | at the target | beside it, removed by the next write or [`recover_dir`] |
//! |---|---|---|
//! | while filling or syncing | the old directory | a partial temporary |
//! | after the swap | the new directory | the old one under the temporary's name |
//! | while the old one is removed | the new directory | the rest of the old one |
//!
//! **Where the file system cannot swap** (some network and layered ones), the old directory is moved
//! to `.<name>.old`, the new one renamed into place, and the old one removed. A crash between the
//! first two leaves nothing at the target and the old directory whole under `.<name>.old`:
//! [`recover_dir`], which whoever opens such a directory calls first, puts it back.

use std::ffi::CString;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::temporary::{Kind, Target, Temporary, check_kind, remove};
use crate::{Error, Operation, Result};

/// Bytes gathered before they go to the operating system.
const BUFFER_BYTES: usize = 1 << 20;

/// Writes a file through `fill` so that `path` holds the old content or all of the new, never a
/// part. Keeps the permissions of a file that it replaces, and follows symbolic links.
///
/// # Errors
/// When something other than a regular file stands at `path`, when `fill` fails, or when a step
/// fails; `path` is then unchanged and the temporary gone. Only an error of the very last step,
/// syncing the directory, comes with the new file in place: it may then not outlive a power cut.
pub fn write_atomic(
    path: impl AsRef<Path>,
    fill: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<()> {
    let path = path.as_ref();
    let target = Target::new(path, Kind::File, Operation::Write)?;
    target.sweep();
    let temporary = Temporary::new(&target).map_err(Error::io(Operation::Write, path))?;
    write_synced(&temporary.file, &target, fill).map_err(Error::io(Operation::Write, path))?;
    temporary
        .put(|| fs::rename(&temporary.path, target.path()))
        .and_then(|()| target.sync_parent())
        .map_err(Error::io(Operation::Replace, path))
}

fn write_synced(
    file: &File,
    target: &Target,
    fill: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    let mut writer = BufWriter::with_capacity(BUFFER_BYTES, file);
    fill(&mut writer)?;
    writer.flush()?;
    if let Some(existing) = &target.existing {
        file.set_permissions(existing.permissions())?;
    }
    file.sync_all()?;
    forget(file);
    Ok(())
}

/// Lets the page cache drop a large file that is on the disk now: written, it stands there in small pages, and
/// whoever maps it next would have to read through them; read anew, it comes in huge ones.
fn forget(file: &File) {
    const LARGE: u64 = 64 << 20;
    if file.metadata().is_ok_and(|data| data.len() >= LARGE) {
        // SAFETY: the descriptor is open; this is advice about the cache and touches no memory of ours.
        unsafe { libc::posix_fadvise(file.as_raw_fd(), 0, 0, libc::POSIX_FADV_DONTNEED) };
    }
}

/// Writes a whole directory through `fill`, which is given an empty directory to put its files in.
/// `path` is then the old directory or the new one, never a mixture; the module says how. One
/// writer at a time per directory: of two, the later one wins.
///
/// # Errors
/// What `fill` returns, or when a step fails; `path` is then unchanged and the temporary gone.
pub fn write_dir_atomic<E: From<Error>>(
    path: impl AsRef<Path>,
    fill: impl FnOnce(&Path) -> std::result::Result<(), E>,
) -> std::result::Result<(), E> {
    let path = path.as_ref();
    // Looked at twice: first so that a refusal speaks of writing, then for what recovery changed.
    Target::new(path, Kind::Directory, Operation::Write)?;
    recover_dir(path)?;
    let target = Target::new(path, Kind::Directory, Operation::Write)?;
    let temporary = Temporary::new(&target).map_err(Error::io(Operation::Write, path))?;
    fill(&temporary.path)?;
    sync_tree(&temporary.path).map_err(Error::io(Operation::Write, path))?;
    temporary
        .put(|| install(&temporary.path, &target))
        .map_err(Error::io(Operation::Replace, path))?;
    Ok(())
}

/// Moves a whole directory to another place of the same file system, where it replaces a directory
/// as [`write_dir_atomic`] does.
///
/// # Errors
/// When something other than a directory stands at `to`, or a step fails; `to` is then unchanged.
pub fn move_dir(from: impl AsRef<Path>, to: impl AsRef<Path>) -> Result<()> {
    let (from, to) = (from.as_ref(), to.as_ref());
    recover_dir(to)?;
    let target = Target::new(to, Kind::Directory, Operation::Replace)?;
    sync_tree(from)
        .and_then(|()| install(from, &target))
        .map_err(Error::io(Operation::Replace, to))?;
    // After a swap this is the old one.
    remove(from);
    Ok(())
}

/// Puts back a directory that a crash left aside (see the module), and removes the leavings of
/// killed writers. True when a directory was put back. Does nothing while a writer is at work.
///
/// # Errors
/// When something other than a directory stands at `path`, or the directory cannot be put back.
pub fn recover_dir(path: impl AsRef<Path>) -> Result<bool> {
    let path = path.as_ref();
    let target = Target::new(path, Kind::Directory, Operation::Recover)?;
    let writer_alive = target.sweep();
    let aside = target.aside();
    if writer_alive || !aside.is_dir() {
        return Ok(false);
    }
    if target.existing.is_some() {
        remove(&aside);
        return Ok(false);
    }
    fs::rename(&aside, target.path())
        .and_then(|()| target.sync_parent())
        .map_err(Error::io(Operation::Recover, path))?;
    Ok(true)
}

/// Checks that [`write_atomic`] can write `path` now: makes its temporary and removes it.
///
/// # Errors
/// When something other than a regular file stands at `path`, or nothing can be made beside it.
pub fn check_write(path: impl AsRef<Path>) -> Result<()> {
    let path = path.as_ref();
    let target = Target::new(path, Kind::File, Operation::Write)?;
    Temporary::new(&target).map(drop).map_err(Error::io(Operation::Write, path))
}

/// Checks that what stands at `path`, or at the first place above it where anything does, is a
/// directory.
///
/// # Errors
/// When it is something else.
pub fn check_dir(path: impl AsRef<Path>) -> Result<()> {
    let above = path.as_ref().ancestors().filter(|it| !it.as_os_str().is_empty());
    let Some((place, metadata)) =
        above.filter_map(|it| Some((it, fs::symlink_metadata(it).ok()?))).next()
    else {
        return Ok(());
    };
    let followed = if metadata.is_symlink() { fs::metadata(place) } else { Ok(metadata) };
    let followed = followed.map_err(Error::io(Operation::Read, place))?;
    check_kind(place, &followed, Kind::Directory, Operation::CreateDirectory)
}

/// Checks that a directory may be replaced by a new `expected`: nothing stands at `path`, or a
/// directory in which every name is one that `is_part` knows.
///
/// # Errors
/// [`Error::Stranger`] where it holds anything else, or something other than a directory is there.
pub fn check_replaceable(
    path: impl AsRef<Path>,
    expected: &'static str,
    is_part: impl Fn(&str) -> bool,
) -> Result<()> {
    let path = path.as_ref();
    check_dir(path)?;
    let entries = match fs::read_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other.map_err(Error::io(Operation::Read, path))?,
    };
    let name = |entry: io::Result<fs::DirEntry>| -> io::Result<String> {
        Ok(entry?.file_name().to_string_lossy().into_owned())
    };
    let names: Vec<String> =
        entries.map(name).collect::<io::Result<_>>().map_err(Error::io(Operation::Read, path))?;
    match names.into_iter().filter(|name| !is_part(name)).min() {
        Some(found) => Err(Error::Stranger { path: path.to_owned(), found, expected }),
        None => Ok(()),
    }
}

/// Creates a directory and those above it that are missing.
///
/// # Errors
/// When one of them cannot be created, or something else stands there.
pub fn create_dir_all(path: impl AsRef<Path>) -> Result<()> {
    let path = path.as_ref();
    check_dir(path)?;
    fs::create_dir_all(path).map_err(Error::io(Operation::CreateDirectory, path))
}

/// Puts a filled directory into place.
fn install(filled: &Path, target: &Target) -> io::Result<()> {
    if target.existing.is_none() {
        fs::rename(filled, target.path())?;
        return target.sync_parent();
    }
    match exchange(filled, &target.path()) {
        Ok(()) => target.sync_parent(),
        Err(error) if cannot_exchange(&error) => {
            move_aside(target)?;
            replace_moved(filled, target)
        }
        Err(error) => Err(error),
    }
}

/// First half of a replacement without a swap; [`recover_dir`] undoes it.
pub(crate) fn move_aside(target: &Target) -> io::Result<()> {
    fs::rename(target.path(), target.aside())
}

/// Second half of a replacement without a swap. If the rename fails, the old directory is put back.
pub(crate) fn replace_moved(filled: &Path, target: &Target) -> io::Result<()> {
    if let Err(error) = fs::rename(filled, target.path()) {
        fs::rename(target.aside(), target.path())?;
        return Err(error);
    }
    target.sync_parent()?;
    remove(&target.aside());
    Ok(())
}

/// What `renameat2` says on a file system or a kernel without `RENAME_EXCHANGE`. A layered file
/// system says `EXDEV` for a directory that comes from a lower layer.
fn cannot_exchange(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EINVAL | libc::ENOSYS | libc::EXDEV))
}

/// Swaps two directories of one file system in one step.
pub(crate) fn exchange(one: &Path, other: &Path) -> io::Result<()> {
    let one = CString::new(one.as_os_str().as_bytes())?;
    let other = CString::new(other.as_os_str().as_bytes())?;
    let (here, flags) = (libc::AT_FDCWD, libc::RENAME_EXCHANGE);
    // SAFETY: both pointers are to strings with a final zero that live until the call returns.
    let status = unsafe { libc::renameat2(here, one.as_ptr(), here, other.as_ptr(), flags) };
    if status == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Makes every file and directory below `directory`, and itself, durable.
fn sync_tree(directory: &Path) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let file_type = entry.file_type()?;
        if file_type.is_dir() {
            sync_tree(&entry.path())?;
        } else if file_type.is_file() {
            let file = File::open(entry.path())?;
            file.sync_all()?;
            forget(&file);
        }
    }
    File::open(directory)?.sync_all()
}
