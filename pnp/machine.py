"""The name of the hardware and the memory of the process, for records of measurements and of
weights."""

from __future__ import annotations

import ctypes
import platform
import re
import sys
from pathlib import Path

import torch


def processor() -> str:
    """The processor's model name, or its architecture if the name is not available."""
    about = Path("/proc/cpuinfo")
    model = re.search(r"model name\s*:\s*(.+)", about.read_text()) if about.is_file() else None
    return model[1] if model else platform.processor() or platform.machine()


def machine(device: torch.device) -> str:
    """The name of the GPU, or the number of threads and the name of the processor."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    threads = torch.get_num_threads()
    return f"{threads} thread{'s' * (threads > 1)} of {processor()}"


def resident() -> float:
    """Bytes that this process holds now: Python, PyTorch and the other libraries; 0 if unknown."""
    about = Path("/proc/self/status")
    if about.is_file():
        found = re.search(r"VmRSS:\s+(\d+) kB", about.read_text())
        return 1024.0 * int(found[1]) if found else 0.0
    if sys.platform == "win32":
        return 0.0
    import resource

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return float(most if sys.platform == "darwin" else 1024 * most)


def keep_freed_memory() -> None:
    """Let the C library keep what is freed for what is taken next, for the rest of this process.

    By default glibc hands blocks of 32 MB or more back to the system, which fills them with zeros
    before it provides them again: a third of the processor time of networks on large images.
    Without glibc, nothing changes.
    """
    most_mapped, trim_threshold = -4, -1  # M_MMAP_MAX and M_TRIM_THRESHOLD of mallopt
    if platform.libc_ver()[0] == "glibc":
        library = ctypes.CDLL(None)
        library.mallopt(most_mapped, 0)
        library.mallopt(trim_threshold, -1)
