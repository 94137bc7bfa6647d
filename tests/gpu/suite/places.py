"""Where things lie: this tree, or the bundle, which has the same folders."""

import lzma
import re
import subprocess
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
PTX = ROOT / "kernels/ptx"


def bundle(named=None):
    """The folder of built programs: the one named, `.gpu-bundle`, or the tree itself where it is a bundle."""
    if named:
        return Path(named)
    return next((path for path in (ROOT / ".gpu-bundle", ROOT) if (path / "bin").is_dir()), None)


def program(named, name):
    """A program of the bundle, unpacked into the temporary folder where it is packed, or None."""
    folder = bundle(named)
    path = folder / "bin" / name if folder else None
    if path and path.with_name(f"{name}.xz").exists():
        packed, path = path.with_name(f"{name}.xz"), Path(tempfile.mkdtemp(prefix="srek-gpu-")) / name
        path.write_bytes(lzma.decompress(packed.read_bytes()))
        path.chmod(0o755)
    return path if path and path.exists() else None


def emulated_library(named):
    """The emulated device that the bundle carries, or None."""
    folder = bundle(named)
    path = folder / "lib/emulated.so" if folder else None
    return path if path and path.exists() else None


def plain_name(device):
    """A device's name as one of a folder."""
    return re.sub(r"[^a-z0-9]+", "-", device.lower()).strip("-")


def commit():
    """The tree's commit, with a mark where files differ from it; where git knows of none, what the bundle says."""
    try:
        git = ["git", "-c", f"safe.directory={ROOT}", "-C", str(ROOT)]
        head = subprocess.run([*git, "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, check=True)
        changed = subprocess.run([*git, "status", "--porcelain", "-uno"], capture_output=True, text=True, check=True)
        return head.stdout.strip() + ("+" if changed.stdout.strip() else "")
    except (OSError, subprocess.CalledProcessError):
        folder = bundle()
        stamp = folder / "commit.txt" if folder else None
        return stamp.read_text().strip() if stamp and stamp.exists() else "unknown"
