"""`pnp train`: the arguments of the command, and what it prints."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import time
from pathlib import Path

from pnp import training
from pnp.training.recipe import Recipe


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
            print(f"{told}; --minutes M or --steps N end it and write the weights", file=sys.stderr)
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
            print(told, file=sys.stderr)
            return 130
        print(f"{out}/weights.safetensors: written, described in {out}/weights.yaml; to use it:")
        print(f"  {usage(recipe, f'{out}/weights.safetensors')}")
    if args.ship is not None:
        print(f"{training.ship(out, args.ship)}: added to the package")
    return 0


def usage(recipe: Recipe, weights: str) -> str:
    """The command that runs the pipeline of a recipe with the trained weights.

    A pipeline that is written out in the recipe has no name: then the line of a module.
    """
    spec, written = recipe.spec, recipe.document.value["pipeline"]
    symbols = dict.fromkeys(name.partition(".")[0] for name in recipe.train)
    if written.is_map:
        modules = (spec.modules[symbol] for symbol in symbols)
        return ", ".join(f"{m.symbol}: {{{m.role}: {m.name}, weights: {weights}}}" for m in modules)
    base, *overlays = written.plain() if written.is_list else [written.value]
    changes = recipe.document.value.get("set")
    made = changes.value.items() if changes is not None else ()
    texts = [f"{key}={json.dumps(node.plain(), separators=(',', ':'))}" for key, node in made]
    if all(spec.modules[symbol].weights is None for symbol in symbols):
        texts.append(f"weights={weights}")
    else:
        texts += [f"modules.{symbol}.weights={weights}" for symbol in symbols]
    options = [f"--with {overlay}" for overlay in overlays]
    options += [f"--set {shlex.quote(text)}" for text in texts]
    needed = {g.name for g in spec.given if g.default is None}
    options += ["-k KERNEL"] * ("k" in needed) + ["--sigma LEVEL"] * ("sigma" in needed)
    return " ".join(["pnp run", base, "IMAGE", *options])
