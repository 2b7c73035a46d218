"""What the rows allow one to say: paired differences to a baseline, and their intervals.

The unit is the image: its observations with several kernels, scales and noise levels are not
independent, so they are averaged first.  Intervals are bootstrapped over images (`scipy.stats`).
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pnp.comparing.comparison import LOWER_IS_BETTER, WITHOUT_BEST, Comparison
from pnp.comparing.rows import Results
from pnp.errors import PnpError
from pnp.fingerprints import Fingerprint, trained_with

CONFIDENCE = 0.95
FEWEST = 5
"""With fewer images there is no interval."""
WORST = 3


@dataclass(frozen=True)
class Difference:
    """A method against the baseline, on the observations that both have."""

    method: str
    baseline: str
    metric: str
    images: int
    mean: float
    """Positive is better, also for metrics where lower is better."""
    low: float | None
    high: float | None
    """The interval that holds the mean with a confidence of 95 %; None with few images."""
    wins: int
    losses: int
    worst: tuple[tuple[str, float], ...]
    """The images that speak most against the method, and their differences."""

    @property
    def conclusion(self) -> str:
        """What may be said: better, worse, no difference, or nothing."""
        if not self.wins and not self.losses:
            return "no difference"
        if self.low is None or self.high is None:
            return f"{self.images} images are too few to tell"
        if self.low > 0:
            return "better"
        return "worse" if self.high < 0 else "no difference"


def differences(
    comparison: Comparison, results: Results, methods: Sequence[str], metric: str = "psnr"
) -> list[Difference]:
    """Each method against the baseline of the comparison, which is its first method by default,
    on the conditions of the comparison; none for a metric without a best value.
    """
    baseline = comparison.baseline or next(iter(methods), None)
    if baseline is None or baseline not in methods or metric in WITHOUT_BEST:
        return []
    results = results.within(comparison)
    found = [difference(results, m, baseline, metric) for m in methods if m != baseline]
    return [d for d in found if d is not None]


def difference(results: Results, method: str, baseline: str, metric: str) -> Difference | None:
    """One method against another; None if there is no observation on which both were measured."""
    other = {_observation(row): row[metric] for row in results.of(baseline)}
    by_image: dict[str, list[float]] = defaultdict(list)
    sign = -1 if metric in LOWER_IS_BETTER else 1
    for row in results.of(method):
        value, against = row[metric], other.get(_observation(row), "")
        if value and against:
            gained = sign * (float(value) - float(against))
            if math.isfinite(gained):
                by_image[row["image"]].append(gained)
    if not by_image:
        return None
    means = {image: math.fsum(values) / len(values) for image, values in by_image.items()}
    low, high = interval(list(means.values()))
    worst = sorted(means.items(), key=lambda pair: pair[1])[:WORST]
    return Difference(
        method=method,
        baseline=baseline,
        metric=metric,
        images=len(means),
        mean=math.fsum(means.values()) / len(means),
        low=low,
        high=high,
        wins=sum(d > 0 for d in means.values()),
        losses=sum(d < 0 for d in means.values()),
        worst=tuple((image, value) for image, value in worst if value < 0),
    )


def interval(values: Sequence[float]) -> tuple[float | None, float | None]:
    """The bootstrap interval of the mean (BCa), always the same for the same values."""
    from scipy.stats import bootstrap

    if len(values) < FEWEST:
        return None, None
    if np.ptp(values) == 0:
        return values[0], values[0]
    found = bootstrap(
        (np.asarray(values),),
        np.mean,
        confidence_level=CONFIDENCE,
        method="BCa",
        random_state=np.random.default_rng(0),
    ).confidence_interval
    return float(found.low), float(found.high)


def _observation(row: dict[str, str]) -> tuple[str, ...]:
    return tuple(row[name] for name in ("image", "kernel", "scale", "sigma"))


def trained_on(comparison: Comparison, results: Results, method: str) -> list[str]:
    """The images of the comparison that the weights of a method were trained on, as far as their
    fingerprints are known.
    """
    try:
        known = [f for weights in comparison.methods[method].files() for f in trained_with(weights)]
    except PnpError:
        return []
    if not known:
        return []
    images = {
        row["image"]: Fingerprint(row["image_sha256"], row["image_hash"])
        for row in results.of(method)
        if row["image_sha256"]
    }
    return sorted(name for name, f in images.items() if any(f.matches(k) for k in known))
