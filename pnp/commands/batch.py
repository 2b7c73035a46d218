"""`pnp run` on several images: finished ones are skipped, a bad file does not stop the others."""

from __future__ import annotations

import argparse
import multiprocessing
import os
import shlex
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import redirect_stderr
from copy import copy
from pathlib import Path
from typing import Any

from tqdm import tqdm

from pnp.commands.inputs import (
    DEFAULT,
    FOLDER,
    SCALES,
    check_foreign,
    find_images,
    finished,
    hash_of,
    identity,
    names_of,
    other_files,
    pipeline_and_images,
    usual_scale,
)
from pnp.commands.run import Options, check_traced, given_files, restore_file, result_files, silent
from pnp.errors import PnpError, printable, tell
from pnp.files import check_results, make_folder
from pnp.kspace import observation
from pnp.provenance import checksums
from pnp.reduction import as_reduction
from pnp.replay import read_state
from pnp.restoration import Restorer


def restore_files(args: argparse.Namespace) -> int:
    """Restore images and folders of images; the exit status is 1 if one of them failed."""
    batch = Batch(args)
    failed = 0
    several = len(batch.images) > 1
    for done, failure in tqdm(
        batch.run(),
        desc="images",
        unit="image",
        total=len(batch.images),
        disable=silent() or not several,
    ):
        if done:
            tqdm.write(printable(done))
        if failure:
            tell(failure)
            failed += 1
    if failed and several:
        tell(f"{failed} of {len(batch.images)} images could not be restored")
    return 1 if failed else 0


class Batch:
    """The images of a command, and one pipeline for all of them."""

    def __init__(self, args: argparse.Namespace):
        self.args, self.out = args, Path(args.out or FOLDER)
        name, words = pipeline_and_images(args.words)
        self.plain = name is None
        self.name = DEFAULT if name is None else name
        if not words:
            raise PnpError(f"no image is named; write: pnp run {self.name} IMAGE")
        self.images, left_out = find_images(words, self.out)
        if not self.images:
            raise PnpError(
                f"{_listed(left_out)}: results of earlier runs, which are not restored once more; "
                "to restore one, copy it into another folder"
            )
        if left_out:
            tell(f"{_listed(left_out)}: results of earlier runs, not restored")
        if others := other_files(words, self.out):
            kinds = _listed([f"{number} {ending}" for ending, number in others.items()])
            tell(f"files that are only restored if they are named: {kinds}")
        if args.reference and len(self.images) > 1:
            raise PnpError(
                "--reference is the ground truth of one image, "
                f"but {len(self.images)} images are given; restore them one at a time"
            )
        self._check_continued()
        self.restorer = self._restorer()
        self.restorer.limit.keeps_freed = True
        self.pipeline = hash_of(self.restorer)
        chosen = self.plain and args.scale is None and not self._reduced()
        self.scales = SCALES if chosen else (self.restorer.scale,)
        traced = args.trace or args.trace_also or args.trace_full
        self.also = args.trace_also if traced else None
        if self.also is not None and not self.restorer.pipeline.spec.iterations:
            raise PnpError(f"--trace: {self.name} has no iterations; leave --trace out")
        check_traced(args.trace_also, self.restorer.pipeline.spec.kinds)
        self._check_results()
        if self.plain:
            scale = " or ".join(map(str, self.scales))
            why = "" if len(self.scales) == 1 else ", as size and blur allow"
            tell(
                f"no pipeline is named: {DEFAULT}, scale {scale}{why} (-s chooses; pnp list shows "
                "other pipelines)"
            )

    def _reduced(self) -> bool:
        """Whether --reduce chooses the scale, which is 1, of a command that names none."""
        factor = as_reduction(self.args.reduce, "--reduce", possible=True)
        return self.plain and self.args.scale is None and factor not in ("auto", 1.0)

    def _check_continued(self) -> None:
        """PnpError if --from and --iteration do not say what to continue."""
        args = self.args
        if (args.continued is None) != (args.iteration is None):
            given, other = (
                ("--from", "--iteration N") if args.continued else ("--iteration", "--from TRACE")
            )
            raise PnpError(f"{given} needs {other}: a run begins at an iteration of a trace")
        if args.continued is not None and len(self.images) > 1:
            raise PnpError(
                f"--from {args.continued}: a trace is of one image, "
                f"but {len(self.images)} images are given; continue them one at a time"
            )

    def _restorer(self) -> Restorer:
        args = self.args
        resume = None if args.continued is None else read_state(args.continued, args.iteration)
        return Restorer(
            self.name,
            scale=1 if self._reduced() else args.scale,
            kernel=args.kernel,
            sigma=args.sigma,
            mask=args.mask,
            boundary=args.boundary,
            assignments=tuple(args.assignments),
            overlays=tuple(args.overlays),
            device=args.device,
            dtype=args.dtype,
            compile=args.compile,
            max_memory=args.max_memory,
            align=args.align,
            reduce=args.reduce,
            seed=args.seed,
            random_weights=args.random_weights,
            resume=resume,
            say=lambda argument: f"--{argument.replace('_', '-')}",
        )

    def _check_results(self) -> None:
        """Name the results of each image, and make their folders."""
        self.names: dict[str, tuple[Path, str]] = {}
        for folder in {found.folder for found in self.images}:
            inside = [found for found in self.images if found.folder == folder]
            for path, name in names_of(inside).items():
                self.names[path] = (self.out / folder, name)
        results = {
            path: [
                file
                for scale in self.scales
                for ending in (".png", Path(path).suffix.lower())
                for file in result_files(self._target(path, scale), ending).values()
            ]
            for path in self.names
        }
        self.given = given_files(self.args, self.name, [found.path for found in self.images])
        check_results(results, self.given)
        if not self.args.overwrite:
            check_foreign(
                file
                for path in self.names
                for scale in self.scales
                for file in result_files(self._target(path, scale), self._ending(path)).values()
            )
        for folder in {folder for folder, _ in self.names.values()}:
            make_folder(folder)

    def _ending(self, path: str) -> str:
        return Path(path).suffix.lower() if self.args.format == "same" else ".png"

    def _facts(self, path: str) -> dict[str, Any]:
        """What the record of an image tells of the command."""
        images = {found.path for found in self.images}
        read = [file for file in self.given if file[0] not in images - {path}]
        return {
            "command": shlex.join(["pnp", *self.args.command_line]),
            "folder": os.getcwd(),
            "read": checksums(read),
        }

    def _target(self, path: str, scale: int) -> Path:
        return Path(f"{self.stem(path)}_x{scale}")

    def stem(self, path: str) -> str:
        """The path of the results of an image, without their scale and endings."""
        return os.path.join(*self.names[path])  # a name may be '.', which a Path would lose

    def run(self) -> Iterator[tuple[str, str]]:
        """For each image a summary and the reason of a failure; one of them is empty."""
        jobs = min(self.args.jobs, len(self.images))
        paths = [found.path for found in self.images]
        if jobs == 1:
            yield from map(self.restore, paths)
            return
        share = max(1, (os.cpu_count() or 1) // jobs)
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(jobs, context, _prepare_worker, (self.args, share)) as pool:
            try:
                yield from pool.map(_restore_in_worker, paths)
            except BrokenProcessPool:
                raise PnpError(
                    f"--jobs {self.args.jobs}: a process was ended from outside, most often for "
                    "lack of memory; use fewer --jobs, or --max-memory; finished images are kept, "
                    "and the same command restores the others"
                ) from None
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def restore(self, path: str) -> tuple[str, str]:
        """Restore one image, unless that was done already."""
        try:
            restorer = self.restorer
            image = observation(restorer.pipeline.spec, path, restorer.given.get("mask"), path)
            scale = self.scales[0]
            if len(self.scales) > 1:
                scale = usual_scale(image.visible())
            stem, restorer = self.stem(path), _at(self.restorer, scale)
            args = self.args
            options = Options(args.reference, self.also, args.trace_full, args.format, args.compare)
            made = identity(path, self.pipeline, scale, vars(options))
            record = None if self.args.overwrite else finished(stem, made)
            if record is not None:
                return f"{path}: restored already, to {record} (--overwrite repeats it)", ""

            def check(files: Iterable[Path]) -> None:
                check_results({path: files}, self.given)
                if not self.args.overwrite:
                    check_foreign(files)

            facts = {"identity": made, **self._facts(path)}
            return restore_file(restorer, path, image, stem, options, facts, check), ""
        except PnpError as e:
            if self.args.debug:
                raise
            return "", str(e) if str(path) in str(e) else f"{path}: {e}"


_worker: Batch


def _prepare_worker(args: argparse.Namespace, threads: int) -> None:
    """Build the pipeline in a process of `--jobs`."""
    global _worker
    import torch

    from pnp.commands.actions import load_plugins

    torch.set_num_threads(threads)
    load_plugins(args)
    with open(os.devnull, "w") as nowhere, redirect_stderr(nowhere):
        _worker = Batch(args)


def _restore_in_worker(path: str) -> tuple[str, str]:
    return _worker.restore(path)


def _at(restorer: Restorer, scale: int) -> Restorer:
    """The same pipeline for results of another scale."""
    if restorer.scale == scale:
        return restorer
    other = copy(restorer)
    other.scale, other.given = scale, {**restorer.given, "s": scale}
    return other


def _listed(paths: list[str]) -> str:
    more = f" and {len(paths) - 3} more" if len(paths) > 3 else ""
    return ", ".join(paths[:3]) + more
