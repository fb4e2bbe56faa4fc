"""Where figures come from: the machine, and the versions of what ran on it."""

from __future__ import annotations

import os
import platform
import zlib
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

_PACKAGES = (
    *("keras-prune-kit", "tensorflow", "keras", "tf-keras", "ai-edge-litert"),
    *("tensorflow-model-optimization", "keras-tuner", "numpy"),
)


@dataclass(frozen=True)
class Environment:
    """What a measurement was made with.

    Attributes:
        processor: The processor's name.
        cpus: How many of its cores this process may use.
        system: The operating system.
        encoder: What compressed the files.
        versions: Python and packages, with their versions.
    """

    processor: str
    cpus: int
    system: str
    encoder: str
    versions: dict[str, str]

    @classmethod
    def current(cls) -> Environment:
        """The one that this process runs in."""
        versions = {"python": platform.python_version()}
        for package in _PACKAGES:
            try:
                versions[package] = metadata.version(package)
            except metadata.PackageNotFoundError:
                versions[package] = "not installed"
        return cls(
            processor=_processor(),
            cpus=_cpus(),
            system=f"{platform.system()} {platform.release()}",
            encoder=f"gzip level 9, zlib {zlib.ZLIB_RUNTIME_VERSION}",
            versions=versions,
        )


def _processor() -> str:
    """Linux alone tells the name in a file; elsewhere Python's answer is the best."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _cpus() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
