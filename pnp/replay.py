"""A run that begins in the middle: with the variables of an iteration of an earlier run.

    recorder = Recorder(full=True)
    pipeline(y=y, s=2, k=k, trace=recorder)
    recorder.save("run.npz")
    pipeline(y=y, s=2, k=k, resume=read_state("run.npz", 5))     # from iteration 5, counted from 0

What is given is given again; from the recording come the variables that the steps from there on
read and that steps before have computed.  So the same pipeline ends in the same result, bit for
bit, and another one is tried without the iterations before.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pnp.decoders import first_line
from pnp.errors import PnpError
from pnp.files import check_file
from pnp.frames import Frame
from pnp.language.needed import needed_by
from pnp.language.spec import Spec, Step
from pnp.limits import check_zip
from pnp.runs import Run

PREFIX = "state/"
"""Of the arrays of a recording that hold whole states: state/5/x, state/facts."""


@dataclass(frozen=True)
class Saved:
    """What a run needs to continue from an iteration."""

    iteration: int
    """The next iteration, counted through all stages from 0."""
    variables: Mapping[str, Tensor]
    """By name, with their frames."""
    frames: Mapping[str, Frame]
    """The frame of each variable that has one."""
    facts: Mapping[str, Any]
    """Of the recorded run: what another one must have in common with it."""
    source: str = "the recording"
    """Where it was read, for messages."""

    def restore(self, spec: Spec, given: Mapping[str, Any], boundary: str) -> dict[str, Tensor]:
        """The variables for a run of this pipeline, on the device of what is given.

        Args:
            spec: The pipeline.
            given: The given variables of its run.
            boundary: What lies beyond the border.
        Raises:
            PnpError: The run has no such iteration, or cannot begin with these variables.
        """
        facts, total = facts_of(spec, given, boundary), spec.iterations
        if not 0 <= self.iteration < total:
            there = f"0 to {total - 1}" if total else "none"
            self.refuse(f"there is no iteration {self.iteration} in {spec.name}", f"it has {there}")
        if self.facts["keeps"] and self.iteration > 0:
            kept = ", ".join(self.facts["keeps"])
            cure = "begin at iteration 0, or leave the module out"
            self.refuse(f"{kept} keeps values between iterations, which no trace holds", cure)
        for name, (what, cure) in COMMON.items():
            before, now = self.facts[name], facts[name]
            if before != now:
                told = "" if name == "observation" else f": {before}, and is {now}"
                self.refuse(f"it was recorded with another {what}{told}", cure)
        needed = needed_from(spec, self.iteration)
        missing = sorted(needed - set(self.variables))
        if missing:
            held = ", ".join(self.variables) or "none"
            problem = f"{spec.name} needs {' and '.join(missing)} in iteration {self.iteration}"
            self.refuse(f"{problem}, but the trace holds {held}", "record it with this pipeline")
        for name in sorted(needed):
            before, now = self.facts["kinds"].get(name), spec.kinds[name].name
            if before != now:
                self.refuse(f"{name} was {before} and is {now}", "record it with this pipeline")
        like = next(v for v in (given.get("y"), *given.values()) if isinstance(v, Tensor))
        return {name: _like(self.variables[name], like) for name in needed}

    def refuse(self, problem: str, cure: str) -> None:
        """Raise the PnpError 'source: problem; cure'."""
        raise PnpError(f"{self.source}: {problem}; {cure}")


COMMON = {
    "observation": ("observation", "give the same image, scale and options"),
    "repeat": ("number of iterations", "set the same repeat, since schedules depend on it"),
    "s": ("scale", "give the same scale"),
    "boundary": ("boundary", "give the same boundary"),
}
"""Facts that two runs must have in common: what they are, and the cure."""


class Saver:
    """Saves the states of one run: called when the hook asks for one."""

    def __init__(
        self, spec: Spec, run: Run, boundary: str, variables: dict[str, Any], frames: dict
    ):
        self.spec, self.run, self.boundary = spec, run, boundary
        self.variables, self.frames = variables, frames
        self.given = dict(variables)

    @cached_property
    def facts(self) -> dict[str, Any]:
        """What another run must have in common with this one."""
        return facts_of(self.spec, self.given, self.boundary)

    def at(self, iteration: int) -> Callable[[], Saved]:
        """The state before an iteration, to be called while the run is there."""

        def save() -> Saved:
            total = self.spec.iterations
            names = needed_from(self.spec, iteration) if iteration < total else frozenset()
            values = {n: v for n, v in self.variables.items() if n in names}
            frames = {n: f for n, f in self.frames.items() if n in names}
            keeps = [
                module.registered
                for module, state in self.run.states.items()
                if set(state) - {"cached"}
            ]
            facts = {**self.facts, "keeps": sorted(set(keeps))}
            copies = {n: v.detach().clone() for n, v in values.items()}
            return Saved(iteration, copies, frames, facts)

        return save


def facts_of(spec: Spec, given: Mapping[str, Any], boundary: str) -> dict[str, Any]:
    """What two runs must have in common for one to continue the other; values of plain types."""
    y = given.get("y")
    seen = b"" if y is None else y.detach().float().cpu().contiguous().numpy().tobytes()
    return {
        "observation": sha256(seen).hexdigest(),
        "repeat": [stage.repeat for stage in spec.stages],
        "s": given.get("s"),
        "boundary": boundary,
        "kinds": {name: kind.name for name, kind in spec.kinds.items()},
    }


def place_of(spec: Spec, iteration: int) -> tuple[int, int]:
    """The stage of an iteration that is counted through all stages, and its index there."""
    for number, stage in enumerate(spec.stages):
        if iteration < stage.repeat:
            return number, iteration
        iteration -= stage.repeat
    raise IndexError(iteration)


def needed_from(spec: Spec, iteration: int) -> frozenset[str]:
    """The variables that are read from an iteration on and that steps before it have assigned."""
    stage, _ = place_of(spec, iteration)
    return needed_by(spec, stage) & _assigned(spec)


def _assigned(spec: Spec) -> set[str]:
    """The variables that steps compute, without the defaults of what is given."""
    steps: list[Step] = [*spec.before, *spec.after]
    for stage in spec.stages:
        steps += [*stage.start, *stage.steps]
    return {name for step in steps for name in step.outputs}


def arrays_of(states: Mapping[int, Saved]) -> dict[str, np.ndarray]:
    """States as arrays of a file, by name."""
    arrays: dict[str, np.ndarray] = {}
    frames: dict[str, Any] = {}
    facts: dict[str, Any] = {}
    for iteration, state in states.items():
        facts = {**state.facts}
        place = f"{PREFIX}{iteration}"
        frames[str(iteration)] = {n: list(vars(f).values()) for n, f in state.frames.items()}
        for name, value in state.variables.items():
            held = value.float() if value.dtype == torch.bfloat16 else value
            if _channels_last(value):
                held, name = held.permute(0, 2, 3, 1), f"{name}/channels last"
            arrays[f"{place}/{name}"] = held.cpu().contiguous().numpy()
    arrays[f"{PREFIX}facts"] = np.array(json.dumps({**facts, "frames": frames}))
    return arrays


def read_state(path: str | Path, iteration: int) -> Saved:
    """The state before an iteration, of a file that `Recorder(full=True)` or `--trace-full` wrote.

    Args:
        path: The file (.npz).
        iteration: The iteration to begin with, counted through all stages from 0.
    Raises:
        PnpError: There is no such file, or it has no such state.
    """
    place = f"{PREFIX}{iteration}/"
    check_file(path, "name the trace (.npz) of a run")
    try:
        check_zip(Path(path))
        with Path(path).open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            held = set(file.files)
            facts = json.loads(str(file[f"{PREFIX}facts"])) if f"{PREFIX}facts" in held else None
            arrays = {n.removeprefix(place): file[n] for n in sorted(held) if n.startswith(place)}
    except PnpError:
        raise
    except OSError as e:
        raise PnpError(f"{path}: cannot be read: {e.strerror or e}") from e
    except Exception as e:  # NumPy and zipfile have many errors
        raise PnpError(f"{path}: this is no trace of pnp run (.npz): {first_line(e)}") from e
    if facts is None:
        cure = "record it with --trace-full (Recorder(full=True))"
        raise PnpError(f"{path}: it holds no state from which a run can continue; {cure}")
    if not isinstance(facts, dict) or {*COMMON, "frames", "keeps", "kinds"} - set(facts):
        raise PnpError(f"{path}: this is no trace of pnp run (.npz): its facts are not complete")
    frames = facts.pop("frames")
    if str(iteration) not in frames:
        there = ", ".join(frames) if len(frames) < 9 else f"0 to {max(map(int, frames))}"
        raise PnpError(f"{path}: it holds no iteration {iteration}; it holds {there}")
    variables = {}
    for name, array in arrays.items():
        value = torch.from_numpy(array)
        if name.endswith("/channels last"):
            name, value = name.removesuffix("/channels last"), value.permute(0, 3, 1, 2)
        variables[name] = value
    around = {name: Frame(*sides) for name, sides in frames[str(iteration)].items()}
    return Saved(iteration, variables, around, facts, str(path))


def _channels_last(value: Tensor) -> bool:
    """True for images in this order in memory, which sums of the next steps depend on."""
    return (
        value.dim() == 4
        and value.is_contiguous(memory_format=torch.channels_last)
        and not value.is_contiguous()
    )


def _like(value: Tensor, like: Tensor) -> Tensor:
    """A saved value on the device of the observation; half precision was saved as float32."""
    return value.to(like.device, like.dtype if like.dtype == torch.bfloat16 else value.dtype)
