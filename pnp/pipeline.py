"""`Pipeline`: a checked `Spec` as an ordinary `nn.Module`, run by one plain loop with one hook.

pipeline = pnp.load("hqs-tv", repeat=8)
result = pipeline(y=y, s=4, k=k, sigma=0.02)
result.x
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import nullcontext
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint, set_checkpoint_early_stop

from pnp.boundaries import Assumption, Border, border_for
from pnp.checks import as_given
from pnp.equal_steps import measuring
from pnp.errors import PnpError
from pnp.gradients import reason
from pnp.interfaces import Module, Prior, is_image_network, takes_image
from pnp.language.needed import needed_after
from pnp.language.spec import Spec, Stage, Step
from pnp.replay import Saved, Saver, place_of
from pnp.result import Result, State, shape_of, too_small
from pnp.runs import pipeline_run, present_run
from pnp.step_values import check_shape, outputs_of, read, same


class Pipeline(nn.Module):
    """A pipeline of modules.

    Called with the given variables by name, it runs the steps and returns a `Result`.  y is (B, C,
    H, W) on [0, 1], k (B, 1, K, K) or (K, K), s a whole number, sigma a number or (B, 1, 1, 1).
    The modules are its children by symbol (`pipeline.P`), so that `.to`, `state_dict` and autograd
    work as for any `nn.Module`.
    """

    def __init__(self, spec: Spec, modules: dict[str, Module]):
        super().__init__()
        self.spec = spec
        for symbol, module in modules.items():
            self.add_module(symbol, module)
        for symbol in spec.freeze:
            modules[symbol].requires_grad_(False)
        self.precision: torch.dtype | None = None
        self.checkpointing = False
        """True keeps only the variables between iterations for backward and computes the rest
        again: less memory."""

    @property
    def parts(self) -> dict[str, Module]:
        """The modules by symbol."""
        return {symbol: getattr(self, symbol) for symbol in self.spec.modules}

    @property
    def channels(self) -> int | None:
        """The number of image channels that its modules work on, or None if they take any."""
        fixed = (getattr(m, "channels", None) for m in self.parts.values() if takes_image(m))
        return next((channels for channels in fixed if channels is not None), None)

    def least_side(self, s: int) -> int:
        """The least height and width of y, at scale s, with which all of its modules work."""
        return max((module.least_side(s) for module in self.parts.values()), default=1)

    def prepare(self, dtype: torch.dtype = torch.float32, compile: bool = False) -> Pipeline:
        """Make ready for inference: channels_last, evaluation mode, image priors in `dtype`,
        optionally compiled.

        Solvers, kernel priors and estimators stay in the precision of their inputs; `compile`
        concerns the image priors only.  Returns the pipeline itself.
        """
        self.eval()
        self.precision = None if dtype == torch.float32 else dtype
        for module in self.parts.values():
            if is_image_network(module):
                module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
                if compile:
                    module.compile()
        return self

    def forward(
        self,
        *,
        boundary: Assumption = "periodic",
        trace: Callable[[State], None] | None = None,
        seed: int = 0,
        resume: Saved | None = None,
        **given: Any,
    ) -> Result:
        """Run the pipeline on the given variables.

        Args:
            boundary: What lies beyond the border of y: its period, as the equations assume, or
                "unknown", for photographs (`pnp.boundaries`).
            trace: Called with a `State` after every iteration.  If its attribute `variables` names
                those that it reads, others are dropped when no step needs them: less memory.
            seed: Of the noise that its steps draw (`pnp.runs`).
            resume: Where an earlier run is continued (`pnp.read_state`).
            given: The variables of `given:` by name.

        Returns:
            The variables of `return:`.

        Raises:
            PnpError: A step failed; it names the step, the iteration and the shapes of the inputs.
        """
        spec, done = self.spec, 0
        border = border_for(boundary, self.parts.values(), given.get("y"))
        with pipeline_run(seed) as run:
            run.positions = {id(step): number for number, step in enumerate(spec.steps())}
            variables = self._given(border, given)
            run.needed = self._needed(trace, variables)
            saver = Saver(spec, run, boundary, variables, border.frames)
            first = skipped = 0
            if resume is None:
                self._run(border, spec.before, variables, "before")
            else:
                variables |= resume.restore(spec, variables, boundary)
                border.frames |= resume.frames
                first, skipped = place_of(spec, resume.iteration)
                done = resume.iteration - skipped
            settled = None
            for number, stage in enumerate(spec.stages[first:], first):
                begins = resume is None or number > first
                if stage == settled or (begins and not self._changes(border, stage, variables)):
                    settled = stage
                else:
                    begin = 0 if begins else skipped
                    self._loop(border, number, begin, done, variables, trace, saver)
                done += stage.repeat
            self._run(border, spec.after, variables, "after")
            return Result(border.shown({name: variables[name] for name in spec.returns}))

    def _needed(self, trace: Any, given: Iterable[str]) -> dict[int, frozenset[str]]:
        """What is kept after each step, by its `id`; empty if the hook may read all variables."""
        seen = () if trace is None else getattr(trace, "variables", None)
        if seen is None:
            return {}
        kept = frozenset((*given, *seen))
        return {step: names | kept for step, names in needed_after(self.spec).items()}

    def _changes(self, border: Border, stage: Stage, variables: dict[str, Any]) -> bool:
        """Run the start of a stage.  False, with everything as before, if it leaves the variable of
        `while` as it is: the stage would compute again what there is."""
        name = stage.watched.name if stage.watched else None
        before = [dict(each) for each in (variables, border.frames)] if name else []
        self._run(border, stage.start, variables, "start", {"n": stage.repeat})
        if name is None or measuring() or not same(before[0][name], variables[name]):
            return True
        for now, then in zip((variables, border.frames), before, strict=True):
            now.clear()
            now.update(then)
        return False

    def _loop(
        self,
        border: Border,
        number: int,
        begin: int,
        done: int,
        variables: dict[str, Any],
        trace: Callable[[State], None] | None,
        saver: Saver,
    ) -> None:
        """The iterations of a stage from `begin` on, after `done` in the stages before it."""
        stage, total = self.spec.stages[number], self.spec.iterations
        if trace is not None:
            place = (number, None, total, None)
            trace(State(*place, border.shown(variables), {}, {}, saver.at(done + begin)))
        for i in range(begin, stage.repeat):
            active = {step.module: stage.active(step.module, i) for step in stage.steps}
            where = f"iteration {done + i + 1} of {total}"
            loop = {"n": stage.repeat, "i": i}
            self._iterate(border, stage.steps, variables, where, loop, active)
            if trace is not None:
                reports, saved = self._reports(active), saver.at(done + i + 1)
                shown = border.shown(variables)
                trace(State(number, done + i, total, i, shown, active, reports, saved))

    def _iterate(
        self, border: Border, steps: tuple[Step, ...], variables: dict[str, Any], *where: Any
    ) -> None:
        """One iteration.  With `checkpointing`, only the variables after it are kept for backward,
        which runs it again, on a copy of the variables before it and with nothing cached."""
        if not (self.checkpointing and torch.is_grad_enabled()):
            return self._run(border, steps, variables, *where)

        run = present_run()
        assert run is not None

        def again(before: dict[str, Any]) -> dict[str, Any]:
            after = dict(before)
            with pipeline_run(run.seed) as second:
                second.positions, second.needed = run.positions, run.needed
                self._run(border, steps, after, *where)
            return after

        # Early stopping would leave the step by an exception, which looks like a step that failed.
        with set_checkpoint_early_stop(False):
            variables.update(checkpoint(again, dict(variables), use_reentrant=False))
        return None

    def _run(
        self,
        border: Border,
        steps: Iterable[Step],
        variables: dict[str, Any],
        where: str,
        loop: Mapping[str, int] = MappingProxyType({}),
        active: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """Run steps one after another: read inputs, call the active module, store outputs."""
        run = present_run()
        for step in steps:
            inputs: list[Any] = []
            if run is not None:
                run.place = (run.positions[id(step)], loop.get("i"))
            try:
                inputs += (read(i, variables, loop) for i in step.inputs)
                if run is not None and id(step) in run.needed:
                    for name in variables.keys() - (run.needed[id(step)] - {*step.outputs}):
                        del variables[name]
                module = getattr(self, active.get(step.module, step.module))
                values = border.run(step, module, inputs, self._checked)
                variables.update(outputs_of(step, values))
            except Exception as e:
                pairs = zip(step.inputs, inputs, strict=False)
                shapes = ", ".join(f"{i} {shape_of(v)}" for i, v in pairs)
                s = variables.get("s", 1)
                small = too_small(variables.get("y"), self.least_side(s), s)
                raise PnpError(
                    f"{step.origin}: the step '{step}' failed ({where}): {reason(e)}\n"
                    f"    inputs: {shapes}{small}"
                ) from e

    def _reports(self, active: Mapping[str, str]) -> dict[str, dict[str, float]]:
        """What the modules of an iteration report of their last call."""
        reports = {symbol: self.parts[symbol].report() for symbol in set(active.values())}
        return {symbol: report for symbol, report in reports.items() if report}

    def _checked(self, module: Module, inputs: list[Any]) -> Any:
        """What a module gives; a prior must keep the shape."""
        values = self._call(module, inputs)
        if isinstance(module, Prior):
            check_shape(values, inputs[0])
        return values

    def _call(self, module: Module, inputs: list[Any]) -> Any:
        if not is_image_network(module):
            return module(*inputs)
        image = inputs[0]
        low = (
            torch.autocast(image.device.type, self.precision)
            if self.precision is not None
            else nullcontext()
        )
        tile = getattr(module, "tile", None)
        if tile is None or max(image.shape[-2:]) <= tile:  # else each tile: less memory
            image = image.contiguous(memory_format=torch.channels_last)
        with low:
            output = module(image, *inputs[1:])
        return output.to(image.dtype)

    def _given(self, border: Border, values: dict[str, Any]) -> dict[str, Any]:
        """The given variables, checked and brought to their kinds; defaults for those that are not
        given.
        """
        spec, variables = self.spec, {}
        names = [g.name for g in spec.given]
        unknown = [name for name in values if name not in names]
        if unknown:
            raise PnpError(f"{spec.name} does not take '{unknown[0]}'; it takes {', '.join(names)}")
        missing = [g.name for g in spec.given if g.default is None and values.get(g.name) is None]
        if missing:
            raise PnpError(
                f"{spec.name} needs {' and '.join(missing)}; it takes {', '.join(names)}"
            )
        tensors = (v for v in (values.get("y"), *values.values()) if isinstance(v, Tensor))
        like = next((v for v in tensors if v.is_floating_point()), None)
        for g in spec.given:
            value = values.get(g.name)
            if value is not None:
                variables[g.name] = as_given(spec.name, g.name, g.kind.name, value, like)
            elif isinstance(g.default, Step):
                self._run(border, (g.default,), variables, "given")
            else:
                variables[g.name] = as_given(spec.name, g.name, g.kind.name, g.default, like)
        return variables

    def extra_repr(self) -> str:
        """Name and number of iterations, shown by `print(pipeline)`."""
        return f"{self.spec.name}: {self.spec.iterations} iterations"
