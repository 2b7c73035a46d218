"""`pnp train`: the arguments of the command, and what it prints."""

from __future__ import annotations

import argparse
import shlex
import time
from pathlib import Path

from pnp import training
from pnp.errors import tell
from pnp.training.recipe import Recipe

_OPTIONS = {"s": "-s SCALE", "k": "-k KERNEL", "sigma": "--sigma LEVEL", "mask": "--mask FILE"}


def train_files(args: argparse.Namespace) -> int:
    """Run `pnp train`; the exit status is 130 if a signal stopped it."""
    began = time.monotonic()  # before `training` imports PyTorch, which counts as training time
    if args.ship is not None:
        training.check_weights_name(args.ship)
    changes = [*args.assignments, *([f"start={args.start}"] if args.start else [])]
    recipe = training.load_recipe(args.recipe, changes, args.overlays)
    out = args.out or f"runs/{recipe.name}"
    done = args.ship and not args.resume and (Path(out) / "weights.safetensors").is_file()
    if not done:
        if not (args.minutes or args.steps or recipe.minutes or recipe.steps):
            told = "no limit is set: it trains until it is stopped (Ctrl-C keeps its state)"
            tell(f"{told}; --minutes M or --steps N end it and write the weights")
        trainer = training.train(
            recipe,
            out,
            args.data,
            minutes=args.minutes,
            steps=args.steps,
            final=args.final,
            device=args.device,
            resume=args.resume,
            began=began,
            licence=args.licence,
        )
        if not trainer.fabric.is_global_zero:
            return 0
        if signal := trainer.interrupt.name:
            told = f"stopped at step {trainer.step} ({signal}); --resume continues"
            tell(told)
            return 130
        print(f"{out}/weights.safetensors: written, described in {out}/weights.yaml; to use it:")
        print(f"  {usage(recipe, out)}")
    if args.ship is not None:
        print(f"{training.ship(out, args.ship)}: added to the package")
    return 0


def usage(recipe: Recipe, out: str) -> str:
    """The command that runs the pipeline of a training run.

    A pipeline that restores no image, or needs the ground truth, gives the lines of its modules.
    """
    spec = recipe.spec
    needed = [g.name for g in spec.given if g.default is None and g.name != "y"]
    if "x" in spec.returns and set(needed) <= set(_OPTIONS):
        return " ".join(["pnp run", shlex.quote(out), "IMAGE", *(_OPTIONS[v] for v in needed)])
    modules = (spec.modules[symbol] for symbol in symbols_of(recipe))
    weights = f"{out}/weights.safetensors"
    return ", ".join(f"{m.symbol}: {{{m.role}: {m.name}, weights: {weights}}}" for m in modules)


def symbols_of(recipe: Recipe) -> list[str]:
    """The modules that a recipe trains."""
    return list(dict.fromkeys(name.partition(".")[0] for name in recipe.train))
