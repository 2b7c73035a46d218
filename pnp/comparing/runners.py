"""How a method gets its result: a pipeline is run, a file is read, a function is called."""

from __future__ import annotations

import importlib
import importlib.util
import math
from collections.abc import Callable, Collection
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from pnp.building import build
from pnp.checks import as_kernel
from pnp.comparing.comparison import Case
from pnp.comparing.measuring import Outcome, measured
from pnp.comparing.methods import Method
from pnp.comparing.observing import Observation
from pnp.comparing.places import expand
from pnp.errors import PnpError, shown
from pnp.image_forms import as_image_file
from pnp.images import read_image
from pnp.inference import run_image
from pnp.metrics import kernel_error, psnr
from pnp.options import read_noise
from pnp.precision import DTYPES
from pnp.resampling import moved
from pnp.result import State
from pnp.verdict import judge

Runner = Callable[[Case, Observation, bool], Outcome]
"""A case, what is seen of it, whether curves over the iterations are of interest."""


def runner_of(method: Method, dtype: str, device: torch.device) -> Runner:
    """The runner of a method, its networks built."""
    if method.external is not None:
        return _External(method)
    if method.call is not None:
        return _Function(method, device)
    return _Pipeline(method, dtype, device)


class _Pipeline:
    def __init__(self, method: Method, dtype: str, device: torch.device):
        self.device, self.told = device, method.told()
        made = [build(spec).to(device).prepare(DTYPES[dtype]) for spec in method.specs()]
        self.first = made.pop(0) if method.first is not None else None
        self.then = made.pop() if method.then is not None else None
        self.pipeline = made[0]
        self.takes_scale = any(g.name == "s" for g in self.pipeline.spec.given)

    def __call__(self, case: Case, seen: Observation, curves: bool) -> Outcome:
        true = {"k": seen.k.to(self.device), "sigma": case.sigma}
        given: dict[str, Any] = {"s": case.scale} if self.takes_scale else {}
        given |= {n: true[n] if v is True else v for n, v in self.told.items() if v is not False}
        y = seen.y.to(self.device)

        def run(trace: Callable[[State], None] | None = None) -> dict[str, Any]:
            observed, how = y, seen.boundary
            if self.first is not None:
                observed = run_image(self.first, y, {"s": 1}, boundary=how)["x"]
            result = dict(run_image(self.pipeline, observed, given, trace, how))
            if self.then is not None:
                result["x"] = run_image(self.then, result["x"], {"s": 1}, boundary=how)["x"]
            return result

        result, seconds, peak = measured(run, self.device)
        curve: list[dict[str, float]] = []
        if curves:  # in a second run, so that metrics do not count as its time
            run(lambda state: _point(curve, state, seen, case.scale, set(given)))
        sigma = result.get("sigma") if "sigma" not in given else None
        k = None if "k" in given else result.get("k")
        verdict = "" if k is None else _verdict(result, k, seen, case, given.get("sigma"))
        x = result["x"]
        if "k" not in given:  # the true one says where y's pixels lie; an estimate cannot know it
            x = moved(x, (seen.offset, seen.offset))
            k = k if k is None else _moved_back(k, seen.offset)
        return Outcome(
            x=x,
            k=k,
            sigma=float(torch.as_tensor(sigma).float().mean()) if sigma is not None else None,
            verdict=verdict,
            seconds=seconds,
            peak_mb=peak,
            curve=curve,
        )


def _moved_back(k: Tensor, offset: float) -> Tensor:
    """The kernel with which an image that was moved by the offset still explains y."""
    return moved(F.pad(k, (math.ceil(offset),) * 4), (-offset, -offset))


def _verdict(
    result: dict[str, Any], k: Tensor, seen: Observation, case: Case, sigma: float | None
) -> str:
    """What pnp says of an estimated kernel without the ground truth."""
    x = result["x"].float().cpu()
    if tuple(x.shape[-2:]) != tuple(case.scale * side for side in seen.y.shape[-2:]):
        return ""
    margin, ringing, level = (
        float(torch.as_tensor(result[name]).flatten()[-1]) if name in result else None
        for name in ("margin", "gain", "sigma")
    )
    level = sigma if level is None else level
    found = judge(seen.y, x, k[:1].float().cpu(), case.scale, level, margin=margin, ringing=ringing)
    return str(found)


def _point(
    curve: list[dict[str, float]], state: State, seen: Observation, s: int, given: Collection[str]
) -> None:
    """PSNR, error of the kernel and noise level after an iteration."""
    if state.iteration is None and curve:
        return
    x, k, sigma = (state.variables.get(name) for name in ("x", "k", "sigma"))
    point: dict[str, float] = {"iteration": len(curve)}
    if isinstance(x, Tensor) and x.shape[-2:] == seen.truth.shape[-2:]:
        x = x.float().cpu() if "k" in given else moved(x.float().cpu(), (seen.offset, seen.offset))
        same = x if x.shape[1] == seen.truth.shape[1] else x.mean(1, keepdim=True)
        point["psnr"] = float(
            psnr(same, seen.truth.expand_as(same), min(s * s, min(x.shape[-2:]) // 4))
        )
    if isinstance(k, Tensor) and "k" not in given:
        k = _moved_back(k[:1].float().cpu(), seen.offset)
        point["kernel_error"] = float(kernel_error(k, seen.k))
    if sigma is not None and "sigma" not in given:
        point["sigma"] = float(torch.as_tensor(sigma).float().mean())
    curve.append(point)


class _External:
    """Results made elsewhere, one file for each observation."""

    def __init__(self, method: Method):
        node = method.document.value["external"]
        self.method, self.folder = method, expand(node)
        if not self.folder.is_dir():
            raise PnpError(f"{method.name}: external {method.external}: there is no such folder")

    def __call__(self, case: Case, seen: Observation, curves: bool) -> Outcome:
        name = self.method.file_name(case.name, case.scale, case.kernel, case.sigma)
        return Outcome(read_image(self.folder / name).pixels)


class _Function:
    """`function(y, s=..., k=..., sigma=...)` of tensors (1, C, h, w); it gets what is `given`.

    It returns the image, or a map with x and, if it estimates them, k and sigma: tensors, arrays or
    numbers.
    """

    def __init__(self, method: Method, device: torch.device):
        self.device, self.told, self.name = device, method.told(), method.name
        file, _, name = (method.call or "").rpartition(":")
        beside = (method.document.origin.folder or Path()) / file
        module = _module(beside if beside.is_file() else Path(file), file, method.name)
        self.function = getattr(module, name, None)
        if not callable(self.function):
            raise PnpError(
                f"{method.name}: call {method.call}: there is no function '{name}' in it"
            )

    def __call__(self, case: Case, seen: Observation, curves: bool) -> Outcome:
        true: dict[str, Any] = {"k": seen.k.to(self.device), "sigma": case.sigma}
        given = {n: true[n] if v is True else v for n, v in self.told.items() if v is not False}
        function: Any = self.function

        def run() -> Any:
            with torch.no_grad():
                return function(seen.y.to(self.device), s=case.scale, **given)

        try:
            found, seconds, peak = measured(run, self.device)
        except PnpError:
            raise
        except Exception as e:
            raise PnpError(f"its function failed: {type(e).__name__}: {e}") from e
        values = found if isinstance(found, dict) else {"x": found}
        x = as_image_file(values["x"]).pixels if "x" in values else None
        if x is None:
            raise PnpError("its function returns a map without 'x'; the image is x")
        k, sigma = _kernel(values.get("k")), _level(values.get("sigma"))
        return Outcome(x, k, sigma, "", seconds, peak)


def _kernel(found: Any) -> Tensor | None:
    """An estimated kernel as (B, 1, K, L); it may be (K, L), and an array or lists."""
    if found is None:
        return None
    k = _tensor("k", found)
    if k.dim() == 3 and len(k) == 1:
        k = k[0]
    return as_kernel("its function", "k", k)


def _level(found: Any) -> float | None:
    """An estimated noise level; the mean of several, and a text as in YAML."""
    if found is None:
        return None
    if not isinstance(found, str):
        found = float(_tensor("sigma", found).mean())
    return read_noise(found, "its function: sigma")


def _tensor(name: str, found: Any) -> Tensor:
    """A tensor, array, list or number as a tensor of floats on the CPU."""
    try:
        values = found if isinstance(found, Tensor) else torch.as_tensor(np.asarray(found))
        return values.detach().to("cpu", torch.float32)
    except (TypeError, ValueError, RuntimeError):
        raise PnpError(
            f"its function returns {name} as {type(found).__name__}, {shown(found)}; "
            "return a tensor, an array or a number"
        ) from None


def _module(file: Path, written: str, method: str) -> ModuleType:
    try:
        if file.suffix != ".py":
            return importlib.import_module(written)
        spec = importlib.util.spec_from_file_location(f"pnp_compared_{file.stem}", file)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    except Exception as e:
        raise PnpError(
            f"{method}: call {written}: cannot be imported: {type(e).__name__}: {e}; "
            "write file.py:function or module:function"
        ) from e
    return module
