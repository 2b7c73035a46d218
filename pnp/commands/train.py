"""`pnp train`: a recipe carried out, on the minutes that there are."""

from __future__ import annotations

import argparse
import os
import sys
import time
from dataclasses import replace
from pathlib import Path

import yaml

from pnp.errors import PnpError
from pnp.training.recipe_reader import load_recipe
from pnp.training.shipping import ship
from pnp.training.trainer import train


def train_files(args: argparse.Namespace) -> int:
    """The command `pnp train`; exit status 130 when a signal ended it."""
    began = time.monotonic() - age_of_process()
    for name in ("minutes", "steps"):
        if getattr(args, name) is not None and not getattr(args, name) > 0:
            raise PnpError(f"--{name} is {getattr(args, name):g}, but should be above 0")
    changes = list(args.assignments)
    changes += [f"start={args.start}"] if args.start else []
    recipe = load_recipe(args.recipe, changes)
    if args.final:
        recipe = replace(recipe, schedule=replace(recipe.schedule, final=True))
    out = args.out or f"runs/{recipe.name}"
    done = args.ship and not args.resume and (Path(out) / "weights.safetensors").is_file()
    if not done:
        limits = {"minutes": args.minutes, "steps": args.steps}
        trainer = train(
            recipe, out, args.data, device=args.device, resume=args.resume, began=began, **limits
        )
        if not trainer.main:
            return 0
        if trainer.signal:
            print(
                f"stopped at step {trainer.step} ({trainer.signal}); --resume goes on",
                file=sys.stderr,
            )
            return 130
        name = args.ship or recipe.name
        print(f"{out}/weights.safetensors: written; its entry in a manifest:\n")
        print(yaml.safe_dump({name: trainer.entry}, sort_keys=False), end="")
    if args.ship:
        print(f"{ship(out, args.ship)}: shipped")
    return 0


def age_of_process() -> float:
    """Seconds since this process started, so that a limit in minutes counts the start-up too."""
    try:
        started = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
        return time.clock_gettime(time.CLOCK_BOOTTIME) - started / os.sysconf("SC_CLK_TCK")
    except (OSError, AttributeError, ValueError, IndexError):
        return time.process_time()  # no such file here; the processor's time is most of it
