"""The processes of torchrun, which share the rows of a comparison and end together."""

from __future__ import annotations

from datetime import timedelta

import torch
from torch import distributed


def over_all(count: int) -> int:
    """The sum of a count over all processes, as soon as the last one is ready.

    torchrun stops all processes when one of them ends with an error, so each waits for the others.
    """
    if not distributed.is_torchelastic_launched():
        return count
    distributed.init_process_group("gloo", timeout=timedelta(days=100))
    total = torch.tensor(count)
    distributed.all_reduce(total)
    distributed.destroy_process_group()
    return int(total)
