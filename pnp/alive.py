"""The tensors that are alive during a run, added up after every operation."""

from __future__ import annotations

from typing import Any
from weakref import WeakValueDictionary

import torch
from torch import Tensor
from torch.nn import Parameter
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from pnp.runs import present_run

_aten = torch.ops.aten
_POINTWISE = (_aten.add, _aten.sub, _aten.mul, _aten.div)


class Alive(TorchDispatchMode):
    """Adds up the tensors that are alive after every operation, except parameters and their copies
    in another precision, which do not grow with the image.

    Storages are kept by address, as weak references, which disappear with the storage.
    """

    def __init__(self) -> None:
        super().__init__()
        self.peaks: dict[tuple[int | None, Any], float] = {}
        """The largest sum outside of networks, for each operation in each step of a pipeline: some
        grow with the image and others do not, such as a matrix of the taps of a kernel."""
        self.within: list[float] = []
        """Inside of a network: the sum at its start and the largest one since."""
        self.weights: WeakValueDictionary[int, torch.UntypedStorage] = WeakValueDictionary()
        """Those of parameters."""
        self.storages: WeakValueDictionary[int, torch.UntypedStorage] = WeakValueDictionary()

    @property
    def peak(self) -> float:
        """The largest sum outside of networks."""
        return max(self.peaks.values(), default=0.0)

    def now(self) -> float:
        """Bytes of the tensors that are alive."""
        return float(sum(storage.nbytes() for storage in list(self.storages.values())))

    def enter(self, now: float) -> None:
        """A network begins, with so many bytes alive."""
        self.within = [now, now]

    def leave(self) -> float:
        """A network ends; returns what it needed in addition."""
        start, peak = self.within
        self.within = []
        return peak - start

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        weights = [t for t in args if isinstance(t, Parameter)]
        if weights and func is _aten._to_copy.default:
            weights.append(out)
        for tensor in weights:
            storage = tensor.untyped_storage()
            self.weights[storage.data_ptr()] = storage
        for tensor in tree_leaves((args, out)):
            if isinstance(tensor, Tensor):
                storage = tensor.untyped_storage()
                if self.weights.get(storage.data_ptr()) is not storage:
                    self.storages[storage.data_ptr()] = storage
        total = self.now()
        if func is _aten._fft_c2r.default:  # makes two copies of its input
            total += 2 * args[0].numel() * args[0].element_size()
        if func.overloadpacket in _POINTWISE and isinstance(out, Tensor):
            # casts the operands of another precision, bf16 beside float32, as a whole
            casts = [t for t in args if isinstance(t, Tensor) and t.dim() and t.dtype != out.dtype]
            total += len(casts) * out.nbytes
        if self.within:
            self.within[1] = max(self.within[1], total)
        else:
            run = present_run()
            place = (None if run is None else run.place[0], func)
            self.peaks[place] = max(self.peaks.get(place, 0.0), total)
        return out
