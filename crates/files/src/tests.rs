//! Reads, maps, writes and hashes. The steps of a write are cut short by closures that fail, panic
//! or abort the process, and by calling the two halves of a replacement apart.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::temporary::{Kind, Target, Temporary};
use crate::write::{exchange, move_aside, replace_moved};
use crate::*;

fn directory() -> tempfile::TempDir {
    tempfile::tempdir().expect("the system has a directory for temporaries")
}

/// Names in a directory, sorted: shows leavings as well.
fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).expect("the directory can be listed");
    let mut names: Vec<String> = entries
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"))
        .collect();
    names.sort();
    names
}

/// Writes a directory holding `content` in `sub/value` and a second file.
fn write_version(path: &Path, content: &str) -> Result<()> {
    write_dir_atomic(path, |new| {
        create_dir_all(new.join("sub"))?;
        write_atomic(new.join("sub/value"), |w| w.write_all(content.as_bytes()))?;
        write_atomic(new.join("other"), |w| w.write_all(b"x"))
    })
}

fn version(path: &Path) -> String {
    read_to_string(path.join("sub/value"), 100).expect("a whole version stands at the target")
}

/// The message of an error with the directory of the test taken out.
fn message<T>(result: Result<T>, directory: &Path) -> String {
    let Err(error) = result else { panic!("an error was expected") };
    error.to_string().replace(&*directory.to_string_lossy(), "DIR")
}

#[test]
fn a_file_is_read_up_to_its_limit() {
    let dir = directory();
    let path = dir.path().join("a");
    fs::write(&path, "ten bytes!").unwrap();
    assert_eq!(read(&path, 10).unwrap(), b"ten bytes!");
    assert_eq!(read_to_string(&path, 10).unwrap(), "ten bytes!");
    let expected = "cannot read DIR/a: it holds 10 bytes, more than the limit of 9";
    assert_eq!(message(read(&path, 9), dir.path()), expected);
    // Files of the kernel claim to be empty; the limit holds for what they really give.
    assert!(matches!(read("/proc/self/status", 16), Err(Error::TooLarge { size_bytes: 17, .. })));
}

#[test]
fn what_is_not_a_text_file_is_refused_with_its_place() {
    let dir = directory();
    let here = dir.path();
    fs::write(here.join("latin"), b"caf\xe9").unwrap();
    let expected =
        "cannot read DIR/latin as text: byte 3 is not UTF-8\nhint: convert the file to UTF-8 first";
    assert_eq!(message(read_to_string(here.join("latin"), 100), here), expected);
    let expected = "cannot read DIR: it is a directory, expected a regular file";
    assert_eq!(message(read(here, 100), here), expected);
    let expected = "cannot read DIR/none: no such file or directory";
    assert_eq!(message(read(here.join("none"), 100), here), expected);
    let pipe = here.join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let expected = "cannot read DIR/pipe: it is a device, pipe or socket, expected a regular file";
    assert_eq!(message(read(&pipe, 100), here), expected);
}

#[test]
fn a_map_shows_the_file_and_outlives_its_replacement() {
    let dir = directory();
    let path = dir.path().join("weights");
    write_atomic(&path, |w| w.write_all(b"old weights")).unwrap();
    let map = Map::open(&path, 100).unwrap();
    let clone = map.clone();
    write_atomic(&path, |w| w.write_all(b"new")).unwrap();
    drop(map);
    assert_eq!(&*clone, b"old weights");
    assert_eq!(clone.path(), path);
    assert_eq!(&*Map::open(&path, 3).unwrap(), b"new");
    let expected = "cannot map DIR/weights: it holds 3 bytes, more than the limit of 2";
    assert_eq!(message(Map::open(&path, 2), dir.path()), expected);
    let expected = "cannot map DIR: it is a directory, expected a regular file";
    assert_eq!(message(Map::open(dir.path(), 2), dir.path()), expected);
    fs::write(&path, "").unwrap();
    assert!(Map::open(&path, 0).unwrap().is_empty());
}

#[test]
fn a_write_replaces_the_file_and_keeps_its_mode() {
    let dir = directory();
    let path = dir.path().join("a");
    write_atomic(&path, |w| w.write_all(b"one")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    write_atomic(&path, |w| w.write_all(b"two")).unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"two");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    symlink("a", dir.path().join("link")).unwrap();
    write_atomic(dir.path().join("link"), |w| w.write_all(b"three")).unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"three");
    assert!(fs::symlink_metadata(dir.path().join("link")).unwrap().is_symlink());
    assert_eq!(names(dir.path()), ["a", "link"]);
}

#[test]
fn a_failed_or_panicking_write_changes_nothing_and_leaves_nothing() {
    let dir = directory();
    let path = dir.path().join("a");
    write_atomic(&path, |w| w.write_all(b"good")).unwrap();
    let failed = write_atomic(&path, |w| {
        w.write_all(&vec![0; 3 << 20])?;
        Err(io::Error::other("the producer gave up"))
    });
    assert_eq!(message(failed, dir.path()), "cannot write DIR/a: the producer gave up");
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        write_atomic(&path, |w| {
            w.write_all(b"half")?;
            panic!("in the middle")
        })
    }));
    assert!(panicked.is_err());
    assert_eq!(fs::read(&path).unwrap(), b"good");
    assert_eq!(names(dir.path()), ["a"]);
}

#[test]
fn a_full_disk_is_said_in_words_and_the_old_file_stays() {
    let dir = directory();
    let path = dir.path().join("a");
    write_atomic(&path, |w| w.write_all(b"good")).unwrap();
    let full = write_atomic(&path, |w| {
        w.write_all(b"something")?;
        OpenOptions::new().write(true).open("/dev/full")?.write_all(b"no room")
    });
    let expected = "cannot write DIR/a: the disk is full\nhint: free some space or choose another output directory; what was there before is intact";
    assert_eq!(message(full, dir.path()), expected);
    assert_eq!(fs::read(&path).unwrap(), b"good");
    assert_eq!(names(dir.path()), ["a"]);
}

#[test]
fn a_really_full_file_system_leaves_the_old_directory() {
    let dir = directory();
    let mount = dir.path().join("tiny");
    fs::create_dir(&mount).unwrap();
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=64k", "tmpfs"])
        .arg(&mount)
        .output()
        .is_ok_and(|output| output.status.success());
    if !mounted {
        crate::skip::skip("no permission to mount a tiny file system");
        return;
    }
    let outcome = catch_unwind(|| {
        let path = mount.join("checkpoint");
        write_version(&path, "one").unwrap();
        let full = write_dir_atomic(&path, |new| {
            write_atomic(new.join("big"), |w| w.write_all(&vec![1; 256 << 10]))
        });
        assert!(message(full, &mount).contains("the disk is full\nhint: "));
        assert_eq!(version(&path), "one");
        assert_eq!(names(&mount), ["checkpoint"]);
    });
    assert!(Command::new("umount").arg(&mount).status().unwrap().success());
    outcome.unwrap();
}

#[test]
fn a_directory_that_cannot_be_written_is_said_in_words() {
    let dir = directory();
    let locked = dir.path().join("locked");
    fs::create_dir(&locked).unwrap();
    fs::set_permissions(&locked, fs::Permissions::from_mode(0o555)).unwrap();
    let denied = write_atomic(locked.join("a"), |w| w.write_all(b"x"));
    if denied.is_ok() {
        crate::skip::skip("this user may write anywhere");
    } else {
        let expected = "cannot write DIR/locked/a: permission denied\nhint: check the owner and the mode of the file and of its directory";
        assert_eq!(message(denied, dir.path()), expected);
    }
    let read_only = Error::io(Operation::Write, "a")(io::Error::from_raw_os_error(libc::EROFS));
    let expected = "cannot write a: the file system is read-only\nhint: choose an output directory that can be written";
    assert_eq!(read_only.to_string(), expected);
}

#[test]
fn only_files_are_replaced_by_files_and_directories_by_directories() {
    let dir = directory();
    let here = dir.path();
    fs::create_dir(here.join("d")).unwrap();
    fs::write(here.join("f"), "x").unwrap();
    let expected = "cannot write DIR/d: it is a directory, expected a regular file or nothing";
    assert_eq!(message(write_atomic(here.join("d"), |_| Ok(())), here), expected);
    let expected = "cannot write DIR/f: it is a file, expected a directory or nothing";
    assert_eq!(message(write_version(&here.join("f"), "x"), here), expected);
    let expected = "cannot write /dev/null: it is a device, pipe or socket, expected a regular file or nothing";
    assert_eq!(message(write_atomic("/dev/null", |_| Ok(())), here), expected);
    assert_eq!(message(write_atomic("/", |_| Ok(())), here).lines().count(), 1);
    assert!(
        message(write_atomic(here.join("no/a"), |_| Ok(())), here)
            .starts_with("cannot write DIR/no/a: no such")
    );
}

#[test]
fn what_could_not_be_written_is_known_before() {
    let dir = directory();
    let at = |name: &str| dir.path().join(name);
    fs::write(at("file"), "old").unwrap();
    symlink(at("none"), at("dangling")).unwrap();
    let file =
        "cannot create the directory DIR/file: it is a file, expected a directory or nothing";
    for path in ["file", "file/a", "file/a/b"] {
        assert_eq!(message(check_dir(at(path)), dir.path()), file);
        assert_eq!(message(create_dir_all(at(path)), dir.path()), file);
    }
    let dangling = "cannot read DIR/dangling: no such file or directory";
    assert_eq!(message(check_dir(at("dangling/a")), dir.path()), dangling);
    check_dir(at("a/b")).unwrap();
    check_dir("a relative path").unwrap();
    check_write(at("new")).unwrap();
    check_write(at("file")).unwrap();
    let missing = "cannot write DIR/a/new: no such file or directory";
    assert_eq!(message(check_write(at("a/new")), dir.path()), missing);
    assert!(matches!(check_write(dir.path()), Err(Error::WrongKind { .. })));
    assert_eq!(names(dir.path()), ["dangling", "file"]);
    assert_eq!(fs::read(at("file")).unwrap(), b"old");
}

#[test]
fn a_directory_is_created_and_replaced_whole() {
    let dir = directory();
    let path = dir.path().join("checkpoint");
    write_version(&path, "one").unwrap();
    fs::write(path.join("stray"), "of the old one").unwrap();
    write_version(&path, "two").unwrap();
    assert_eq!(version(&path), "two");
    assert_eq!(names(&path), ["other", "sub"]);
    assert_eq!(names(dir.path()), ["checkpoint"]);
}

#[test]
fn a_failed_directory_changes_nothing_and_carries_its_own_error() {
    #[derive(Debug)]
    enum Failure {
        Files(#[expect(dead_code, reason = "only its presence is looked at")] Error),
        Ours(u32),
    }
    impl From<Error> for Failure {
        fn from(error: Error) -> Self {
            Failure::Files(error)
        }
    }
    let dir = directory();
    let path = dir.path().join("checkpoint");
    write_version(&path, "one").unwrap();
    let failed = write_dir_atomic(&path, |new| {
        write_atomic(new.join("partial"), |w| w.write_all(b"x"))?;
        Err(Failure::Ours(7))
    });
    assert!(matches!(failed, Err(Failure::Ours(7))), "{failed:?}");
    let missing = write_dir_atomic(dir.path().join("no/checkpoint"), |_| Ok::<_, Failure>(()));
    assert!(matches!(missing, Err(Failure::Files(_))), "{missing:?}");
    assert_eq!(version(&path), "one");
    assert_eq!(names(dir.path()), ["checkpoint"]);
}

#[test]
fn a_reader_finds_the_directory_at_every_moment() {
    let dir = directory();
    let path = dir.path().join("checkpoint");
    write_version(&path, "0").unwrap();
    let probe = dir.path().join("probe");
    fs::create_dir(&probe).unwrap();
    if let Err(error) = exchange(&path, &probe) {
        crate::skip::skip(&format!("this file system cannot swap directories ({error})"));
        return;
    }
    exchange(&path, &probe).unwrap();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut looks = 0;
            while !done.load(Ordering::Relaxed) {
                assert!(path.is_dir(), "the directory was away for a moment");
                looks += 1;
            }
            looks
        });
        for number in 1..=40 {
            write_version(&path, &number.to_string()).unwrap();
        }
        done.store(true, Ordering::Relaxed);
        assert!(reader.join().unwrap() > 0);
    });
    assert_eq!(version(&path), "40");
}

#[test]
fn a_crash_between_two_renames_is_recovered_on_open() {
    let dir = directory();
    let path = dir.path().join("checkpoint");
    write_version(&path, "one").unwrap();
    let target = Target::new(&path, Kind::Directory, Operation::Replace).unwrap();
    move_aside(&target).unwrap();
    // The process dies here: nothing stands at the target, the old one is whole beside it.
    assert!(!path.exists());
    assert!(recover_dir(&path).unwrap());
    assert_eq!(version(&path), "one");
    assert!(!recover_dir(&path).unwrap());
    // Dying one step later, with the new one in place, leaves an old one to be removed.
    let temporary = Temporary::new(&target).unwrap();
    fs::create_dir(temporary.path.join("sub")).unwrap();
    fs::write(temporary.path.join("sub/value"), "two").unwrap();
    move_aside(&target).unwrap();
    assert!(!recover_dir(&path).unwrap(), "a live writer must not be disturbed");
    fs::rename(&temporary.path, &path).unwrap();
    drop(temporary);
    assert!(!recover_dir(&path).unwrap());
    assert_eq!(version(&path), "two");
    assert_eq!(names(dir.path()), ["checkpoint"]);
}

#[test]
fn a_directory_that_is_moved_takes_the_place_of_another() {
    let dir = directory();
    let (from, to) = (dir.path().join("run.unfinished"), dir.path().join("run"));
    for version_of in ["one", "two"] {
        write_version(&from, version_of).unwrap();
        move_dir(&from, &to).unwrap();
        assert_eq!(version(&to), version_of);
        assert_eq!(names(dir.path()), ["run"]);
    }
    assert!(move_dir(&from, &to).is_err(), "there is nothing to move");
    assert_eq!(version(&to), "two");
}

#[test]
fn without_a_swap_the_replacement_works_and_its_failure_restores_the_old_one() {
    let dir = directory();
    let path = dir.path().join("checkpoint");
    write_version(&path, "one").unwrap();
    let target = Target::new(&path, Kind::Directory, Operation::Replace).unwrap();
    let temporary = Temporary::new(&target).unwrap();
    move_aside(&target).unwrap();
    fs::remove_dir(&temporary.path).unwrap();
    assert!(replace_moved(&temporary.path, &target).is_err());
    assert_eq!(version(&path), "one");
    let temporary = Temporary::new(&target).unwrap();
    fs::create_dir(temporary.path.join("sub")).unwrap();
    fs::write(temporary.path.join("sub/value"), "two").unwrap();
    move_aside(&target).unwrap();
    replace_moved(&temporary.path, &target).unwrap();
    drop(temporary);
    assert_eq!(version(&path), "two");
    assert_eq!(names(dir.path()), ["checkpoint"]);
}

#[test]
fn leavings_of_dead_writers_are_removed_and_live_ones_stay() {
    let dir = directory();
    let path = dir.path().join("a");
    fs::write(dir.path().join(".a.new-1-1"), "left").unwrap();
    fs::create_dir(dir.path().join(".a.new-1-2")).unwrap();
    fs::write(dir.path().join(".b.new-1-1"), "of another target").unwrap();
    symlink("elsewhere", dir.path().join(".a.new-1-4")).unwrap();
    let alive = File::create(dir.path().join(".a.new-1-3")).unwrap();
    alive.lock().unwrap();
    write_atomic(&path, |w| w.write_all(b"x")).unwrap();
    assert_eq!(names(dir.path()), [".a.new-1-3", ".a.new-1-4", ".b.new-1-1", "a"]);
}

/// Set to the directory of the test in the process that is to die.
const DYING: &str = "SREK_FILES_TEST_DYING";

#[test]
fn a_killed_process_leaves_the_old_content() {
    if let Some(place) = std::env::var_os(DYING) {
        let place = PathBuf::from(place);
        let _: Result<()> = write_dir_atomic(place.join("checkpoint"), |new| {
            write_atomic(new.join("partial"), |w| {
                w.write_all(&vec![0; 2 << 20])?;
                std::process::abort()
            })
        });
        unreachable!("the process has been aborted");
    }
    let dir = directory();
    let path = dir.path().join("checkpoint");
    write_version(&path, "one").unwrap();
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "tests::a_killed_process_leaves_the_old_content"])
        .env(DYING, dir.path())
        .output()
        .unwrap()
        .status;
    assert!(!status.success());
    assert_eq!(version(&path), "one");
    assert_eq!(names(dir.path()).len(), 2, "the killed process left its temporary");
    assert!(!recover_dir(&path).unwrap());
    assert_eq!(names(dir.path()), ["checkpoint"]);
    write_version(&path, "two").unwrap();
    assert_eq!(version(&path), "two");
}

#[test]
fn hashes_are_those_of_the_standard() {
    let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(sha256(b""), empty);
    assert_eq!(sha256(b"abc"), abc);
    let mut hash = Sha256::new();
    hash.update(b"a");
    hash.write_all(b"bc").unwrap();
    assert_eq!(hash.finish(), abc);
    let dir = directory();
    let path = dir.path().join("long");
    let content: Vec<u8> = (0..3_000_001u32).map(|i| (i % 251) as u8).collect();
    fs::write(&path, &content).unwrap();
    assert_eq!(sha256_file(&path).unwrap(), sha256(&content));
    assert!(sha256_file(dir.path()).is_err());
}
