"""Launches every kernel once at small sizes, without any comparison: what compute-sanitizer watches.

    python -m suite.launches [--emulated LIB.so]
"""

import sys
from pathlib import Path

from suite import work
from suite.device import open_device


def main():
    device = open_device(Path(sys.argv[2]) if sys.argv[1:2] == ["--emulated"] else None)
    for one in work.every(device, work.TINY):
        device.run(one.make())
        device.sync()
    ours = {name for name, kernel in device.kernels.items() if kernel.file != "probe"}
    missing = sorted(ours - device.launched)
    print(f"{len(ours) - len(missing)} of {len(ours)} kernels launched {' '.join(missing)}")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
