"""The processes of a training: one, or several that torchrun started; their common decisions, and
signals."""

from __future__ import annotations

import os
import signal
import threading
from dataclasses import astuple
from typing import Any

import torch
from lightning_fabric import Fabric

from pnp.decoders import first_line
from pnp.errors import PnpError
from pnp.training.clock import Due


def fabric_for(device: str, batch: int) -> Fabric:
    """This process on its device; one of several, each with its share of a batch, if torchrun
    started it."""
    world = int(os.environ.get("WORLD_SIZE", "1"))
    local = int(os.environ.get("LOCAL_WORLD_SIZE", str(world)))
    kind, _, index = device.partition(":")
    if kind == "auto":
        kind = "cuda" if torch.cuda.is_available() else "cpu"
    if kind in ("mps", "xpu"):
        reason = "the random data of training need float64, which these devices may lack"
        raise PnpError(f"--device {device}: {reason}; train on cpu or cuda, pnp run takes {kind}")
    try:
        devices: Any = local if world > 1 else [int(index)] if index else 1
        fabric = Fabric(
            accelerator=kind,
            devices=devices,
            num_nodes=max(1, world // local),
            strategy="ddp" if world > 1 else "auto",
        )
    except Exception as e:
        reason = first_line(e)
        raise PnpError(f"--device {device}: cannot be used here ({reason}); try auto or cpu") from e
    fabric.launch()
    if batch % fabric.world_size:
        raise PnpError(
            f"a batch of {batch} cannot be divided equally among {fabric.world_size} processes"
        )
    if kind == "cuda":
        torch.set_float32_matmul_precision("high")
        torch.backends.cudnn.benchmark = True
    return fabric


class Interrupt:
    """Context in which SIGTERM and Ctrl-C set `name`; a second signal interrupts at once."""

    def __init__(self) -> None:
        self.name = ""
        self.handlers: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Interrupt:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self.handlers[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self.handlers.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: Any) -> None:
        if self.name:
            raise KeyboardInterrupt
        self.name = signal.Signals(number).name


def agreed(fabric: Fabric, due: Due, interrupt: Interrupt) -> Due:
    """The decision of the first process, for all processes; a signal to any of them stops all."""
    if fabric.world_size == 1:
        return due
    decided = fabric.broadcast(torch.tensor(astuple(due), dtype=torch.float64))
    stop, progress, validate, save = decided.tolist()
    signals = fabric.all_reduce(torch.tensor(float(bool(interrupt.name))), reduce_op="sum")
    if bool(signals):
        interrupt.name = interrupt.name or "signal"
    return Due(bool(stop) or bool(interrupt.name), progress, bool(validate), bool(save))
