"""A recording of a run: the variables of every iteration, and a picture of them.

    recorder = Recorder()
    pipeline(y=y, s=4, trace=recorder)
    recorder.save("run.npz")
    recorder.draw("run.png")

The picture corresponds to the paper's Figure 13.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from pnp.errors import PnpError
from pnp.files import atomic
from pnp.replay import Saved, arrays_of
from pnp.result import State

VARIABLES = ("x", "k", "sigma", "alpha", "beta")


class Recorder:
    """A `trace` hook that records x, k, sigma, alpha, beta, and the variables named in `also`.

    Only the first image of the batch is recorded.  Row 0 of each recording is the state after the
    first `start`, row j the state after iteration j.

    Args:
        also: Further variables.
        full: Also keep, in full precision, what `read_state` needs to continue from any iteration.
    """

    def __init__(self, also: Iterable[str] = (), full: bool = False):
        self.full = full
        self.states: dict[int, Saved] = {}
        self.total = 0
        self.names = tuple(dict.fromkeys((*VARIABLES, *also)))
        self.rows: list[dict[str, np.ndarray]] = []
        self.active: list[dict[str, str]] = []

    @property
    def variables(self) -> tuple[str, ...] | None:
        """The variables that it reads; None for all."""
        return None if self.full else self.names

    def __call__(self, state: State) -> None:
        """Record the variables of this state."""
        if self.full and state.saved is not None:
            done = state.saved()  # after a later start, it replaces that of the loop before
            self.states[done.iteration] = done
            self.total = state.total
        if state.iteration is None and self.rows:
            return  # the start of a later stage; its first iteration is recorded instead
        row = {}
        for name in self.names:
            value = state.variables.get(name)
            if isinstance(value, Tensor):
                first = value[0].detach().float().cpu()
                if name in ("alpha", "beta"):
                    if state.i is None:
                        continue  # no level has been used yet
                    if first.shape[0] > 1:  # a schedule: the level of this iteration
                        first = first[min(state.i, first.shape[0] - 1)]
                row[name] = first.numpy().copy()
        self.rows.append(row)
        self.active.append(dict(state.active))

    def arrays(self) -> dict[str, np.ndarray]:
        """Each variable over the iterations, (n + 1, ...); NaN in rows before it has a value."""
        result = {}
        for name in self.names:
            known = [row[name] for row in self.rows if name in row]
            if known and all(k.shape == known[0].shape for k in known):
                blank = np.full(known[0].shape, np.nan, np.float32)
                stacked = np.stack([row.get(name, blank) for row in self.rows])
                result[name] = stacked.reshape(len(self.rows)) if stacked[0].size == 1 else stacked
        return result

    def save(self, path: str | Path) -> None:
        """Write the recording as compressed .npz: images in float16 (to 1e-3), the rest float32."""
        unknown = [
            name
            for name in self.names
            if name not in VARIABLES and not any(name in row for row in self.rows)
        ]
        if unknown:
            raise PnpError(
                f"the trace should hold {', '.join(unknown)}, "
                "but the pipeline has no such variable; pnp show prints its steps"
            )
        with atomic(path) as temporary, temporary.open("wb") as file:
            compact: dict[str, Any] = {name: _compact(name, a) for name, a in self.arrays().items()}
            if self.full:
                compact |= arrays_of({i: s for i, s in self.states.items() if i < self.total})
            np.savez_compressed(file, **compact)

    def draw(self, path: str | Path, columns: int = 8) -> None:
        """Draw a PNG with image and kernel over the iterations, and the levels as curves."""
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        arrays = self.arrays()
        count = len(self.rows)
        columns = min(columns, count)
        chosen = [round(j * (count - 1) / max(columns - 1, 1)) for j in range(columns)]
        shown = [
            name
            for name in ("x", "k", *self.names[len(VARIABLES) :])
            if name in arrays and arrays[name].ndim > 1
        ]
        levels = [
            name for name in ("sigma", "alpha", "beta") if name in arrays and arrays[name].ndim == 1
        ]
        rows = len(shown) + bool(levels)
        figure = Figure(
            figsize=(1.9 * len(chosen) + 0.3, 2.0 * rows + 0.3), dpi=110, layout="constrained"
        )
        FigureCanvasAgg(figure)
        grid = figure.add_gridspec(rows, len(chosen))
        for r, name in enumerate(shown):
            for c, j in enumerate(chosen):
                axes = figure.add_subplot(grid[r, c])
                axes.set(xticks=[], yticks=[])
                axes.spines[:].set_visible(False)
                if r == 0:
                    axes.set_title(f"iteration {j}" if j else "start", fontsize=9)
                if c == 0:
                    axes.set_ylabel(name, rotation=0, labelpad=10, fontsize=11)
                _show(axes, name, arrays[name][j])
        if levels:
            axes = figure.add_subplot(grid[len(shown), :])
            for name in levels:
                if np.isfinite(arrays[name]).any():
                    axes.plot(range(count), arrays[name], marker="o", markersize=3, label=name)
            if all((arrays[name][np.isfinite(arrays[name])] > 0).all() for name in levels):
                axes.set_yscale("log")
            axes.set_xlabel("iteration", fontsize=8)
            axes.locator_params(axis="x", integer=True)
            axes.tick_params(labelsize=7)
            axes.grid(alpha=0.3)
            axes.legend(fontsize=8)
        with atomic(path) as temporary:
            figure.savefig(temporary, format="png")


def _compact(name: str, array: np.ndarray) -> np.ndarray:
    return array.astype(np.float16) if array.ndim == 4 and name not in ("k", "w") else array


def _show(axes: Any, name: str, value: np.ndarray) -> None:
    if not np.isfinite(value).all():
        return
    if name in ("k", "w"):
        axes.imshow(
            value[0],
            cmap="gray",
            vmin=0,
            vmax=max(float(value.max()), 1e-12),
            interpolation="nearest",
        )
    elif value.shape[0] == 2:  # a complex image
        axes.imshow(np.hypot(*value).clip(0, 1), cmap="gray", vmin=0, vmax=1)
    elif value.shape[0] == 1:
        axes.imshow(value[0].clip(0, 1), cmap="gray", vmin=0, vmax=1)
    else:
        axes.imshow(value.transpose(1, 2, 0).clip(0, 1))
