"""What a figure was measured on, or weights were made on, in words."""

from __future__ import annotations

import platform
import re
from pathlib import Path

import torch


def processor() -> str:
    """The processor's model name; where it cannot be read, its architecture."""
    about = Path("/proc/cpuinfo")
    model = re.search(r"model name\s*:\s*(.+)", about.read_text()) if about.is_file() else None
    return model[1] if model else platform.processor() or platform.machine()


def machine(device: torch.device) -> str:
    """The GPU, or how many threads of which processor."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    threads = torch.get_num_threads()
    return f"{threads} thread{'s' * (threads > 1)} of {processor()}"
