"""`pnp train`: the arguments of the command, and what it prints."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import yaml

from pnp import training


def train_files(args: argparse.Namespace) -> int:
    """Run `pnp train`; the exit status is 130 if a signal stopped it."""
    began = time.monotonic()  # before `training` imports PyTorch, which counts as training time
    changes = [*args.assignments, *([f"start={args.start}"] if args.start else [])]
    recipe = training.load_recipe(args.recipe, changes, args.overlays)
    out = args.out or f"runs/{recipe.name}"
    done = args.ship and not args.resume and (Path(out) / "weights.safetensors").is_file()
    if not done:
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
        )
        if not trainer.fabric.is_global_zero:
            return 0
        if signal := trainer.interrupt.name:
            told = f"stopped at step {trainer.step} ({signal}); --resume continues"
            print(told, file=sys.stderr)
            return 130
        print(f"{out}/weights.safetensors: written; its entry for the manifest:\n")
        print(yaml.safe_dump({args.ship or recipe.name: trainer.entry}, sort_keys=False), end="")
    if args.ship:
        print(f"{training.ship(out, args.ship)}: added to the package")
    return 0
