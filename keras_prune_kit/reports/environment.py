"""The machine and the package versions of a measurement."""

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
    """The machine and the package versions of a measurement.

    Attributes:
        processor: Name of the processor.
        cpus: Number of cores that the process may use.
        system: Operating system and its release.
        encoder: Compressor of the gzipped sizes, with level and version.
        versions: Versions of Python and of packages, by name.
    """

    processor: str
    cpus: int
    system: str
    encoder: str
    versions: dict[str, str]

    @classmethod
    def current(cls) -> Environment:
        """Return the environment of this process."""
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
            # Not `ZLIB_VERSION`, with which Python was only compiled.
            encoder=f"gzip level 9, zlib {zlib.ZLIB_RUNTIME_VERSION}",
            versions=versions,
        )


def _processor() -> str:
    """Return the processor's name, for which `platform` has no answer on Linux."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _cpus() -> int:
    # `cpu_count` counts cores that taskset or a container withholds.
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
