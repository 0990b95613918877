"""A disk whose power can be cut: ext4 on a loop device, and the ioctl that stops it without writing anything more.

Real page cache, real journal, real LMDB: everything not synced is lost, and so are renames whose directory was not. Needs root.
Source of the ioctl: linux/fs/ext4/ioctl.c, EXT4_IOC_SHUTDOWN; its use in xfstests is the same.
"""

from __future__ import annotations

import fcntl
import functools
import os
import pathlib
import shutil
import struct
import subprocess
import tempfile

SHUTDOWN = 2 << 30 | 4 << 16 | ord("X") << 8 | 125
"""_IOR('X', 125, __u32)"""

NO_LOG_FLUSH = 2
"""Not even the journal is written."""

IMAGE_PREFIX = "jepsen-like-disk-"

TOOLS = ("mkfs.ext4", "mount", "umount")


class LoopDisk:
    """An ext4 of its own, mounted at `path` until `close`."""

    def __init__(self, image: pathlib.Path, path: pathlib.Path, *, size_bytes: int = 1 << 30) -> None:
        self.image, self.path = image, path
        self._mounted = False
        path.mkdir(parents=True, exist_ok=True)
        with image.open("wb") as file:
            file.truncate(size_bytes)
        _run("mkfs.ext4", "-q", "-F", "-m", "0", str(image))
        self.mount()

    def mount(self) -> None:
        """As after switching the machine on: what the journal holds is brought in."""
        _run("mount", "-o", "loop", str(self.image), str(self.path))
        self._mounted = True

    def cut_power(self) -> None:
        """From now on nothing reaches the disk, and every access fails."""
        fd = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.ioctl(fd, SHUTDOWN, struct.pack("I", NO_LOG_FLUSH))
        finally:
            os.close(fd)

    def unmount(self) -> None:
        """Nobody may have files open on it."""
        if self._mounted:
            _run("umount", str(self.path))
            self._mounted = False

    def close(self) -> None:
        """Unmounts, whatever still holds it, and removes the image."""
        if self._mounted:
            subprocess.run(["umount", "-l", str(self.path)], check=False, capture_output=True)
            self._mounted = False
        self.image.unlink(missing_ok=True)


def clear_leftovers() -> int:
    """Unmounts the disks of runs that were killed; how many there were. An image's name says whose it is: see `image_name`."""
    found = 0
    for backing in pathlib.Path("/sys/block").glob("loop*/loop/backing_file"):
        image = pathlib.Path(backing.read_text().strip().removesuffix(" (deleted)"))
        owner = image.name.removeprefix(IMAGE_PREFIX)
        if owner != image.name and owner.isdigit() and not os.path.exists(f"/proc/{owner}"):
            subprocess.run(["umount", "-l", f"/dev/{backing.parent.parent.name}"], check=False, capture_output=True)
            image.unlink(missing_ok=True)
            found += 1
    return found


def image_name() -> str:
    """For an image of this process."""
    return f"{IMAGE_PREFIX}{os.getpid()}"


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise OSError(done.returncode, f"{' '.join(command)}: {done.stderr.strip()}")


@functools.cache
def unavailable_because() -> str:
    """Why there can be no such disk here; empty when there can. Tries it."""
    if os.geteuid() != 0:
        return "loop devices need root"
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        return f"{', '.join(missing)} not found"
    with tempfile.TemporaryDirectory(prefix="loop-disk-") as folder:
        base = pathlib.Path(folder)
        disk = None
        try:
            disk = LoopDisk(base / "image", base / "mount", size_bytes=16 << 20)
            (disk.path / "unsynced").write_bytes(b"x")
            disk.cut_power()
            disk.unmount()
            disk.mount()
            if (disk.path / "unsynced").exists():
                return "the shutdown ioctl lost nothing"
        except OSError as error:
            return str(error)
        finally:
            if disk is not None:
                disk.close()
    return ""
