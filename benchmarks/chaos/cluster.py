"""A broker's disk that is small enough to fill."""

import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Self

SIZE_MB = 96
_CHUNK = 64 * 1024


class SmallDisk:
    """A file system in memory for a broker's data; mounting it needs root.

    Attributes:
        properties: settings that put a broker's data there.
    """

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="driftline-disk-"))
        self._ballast = self._folder / "ballast"
        self.properties = {
            "log.dirs": str(self._folder / "data"),
            "log.segment.bytes": "4194304",
            "log.index.size.max.bytes": "65536",
            "metadata.log.segment.bytes": "8388608",
        }

    def __enter__(self) -> Self:
        """Mount it.

        Raises:
            PermissionError: this user may not mount.
        """
        options = ["-t", "tmpfs", "-o", f"size={SIZE_MB}m", "tmpfs", str(self._folder)]
        done = subprocess.run(["mount", *options], capture_output=True, text=True, check=False)
        if done.returncode:
            self._folder.rmdir()
            raise PermissionError(f"a small disk cannot be mounted: {done.stderr.strip()}")
        return self

    def __exit__(self, *_: object) -> None:
        """Unmount it."""
        subprocess.run(["umount", "--lazy", str(self._folder)], check=False)
        shutil.rmtree(self._folder, ignore_errors=True)

    def fill(self) -> None:
        """Take all the space that is left."""
        with self._ballast.open("wb", buffering=0) as file:
            try:
                while file.write(bytes(_CHUNK)):
                    pass
            except OSError:
                return

    def free(self) -> None:
        """Give the space back."""
        self._ballast.unlink()
