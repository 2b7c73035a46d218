"""`pnp run --again RECORD`: repeats the run of a record, if what it was made of is the same."""

from __future__ import annotations

import argparse
import filecmp
import json
import shlex
from pathlib import Path
from typing import Any

from pnp.commands.actions import load_plugins
from pnp.commands.arguments import add_changes, add_common, add_run
from pnp.commands.batch import Batch
from pnp.commands.inputs import pipeline_and_images
from pnp.commands.parsing import Parser
from pnp.commands.run import multiple
from pnp.errors import PnpError, tell
from pnp.files import check_file
from pnp.provenance import changed_files, changed_pipeline, changed_versions

FOLDER = "again"
"""The folder of results without `--out`."""
NEEDED = ("command", "input", "given", "document", "files", "folder")
"""What a record holds that can be repeated."""


def repeat(args: argparse.Namespace) -> int:
    """Repeat the run of a record; the exit status is 0 if the image is the same, else 1.

    Raises:
        PnpError: The input, the weights or the pipeline are not those of the record.
    """
    if args.words:
        raise PnpError(
            f"--again {args.again} repeats one run, with the image and the options of its record; "
            f"leave {args.words[0]} out"
        )
    record = read_record(args.again)
    _refuse(args.again, changed_files(record))
    out = Path(args.out or FOLDER)
    if out.resolve() == Path(args.again).resolve().parent:
        raise PnpError(
            f"--again {args.again}: the result would replace the one that it is compared with; "
            "choose another folder with --out"
        )
    repeated = recorded_arguments(record, str(out))
    repeated.debug = args.debug
    load_plugins(repeated)
    batch = Batch(repeated)
    made, document = batch.restorer.made, batch.restorer.pipeline.spec.document.plain()
    _refuse(args.again, changed_pipeline(record, document, made))
    for difference in changed_versions(record, made):
        tell(f"warning: {difference}; the result may differ")
    done, failure = batch.restore(record["input"])
    if failure:
        raise PnpError(failure)
    print(done)
    ending = Path(record["files"]["image"]).suffix
    image = Path(f"{batch.stem(record['input'])}_{multiple(record)}{ending}")
    return _compare(Path(args.again).parent / Path(record["files"]["image"]).name, image)


def read_record(path: str) -> dict[str, Any]:
    """A record of `pnp run`; PnpError if it is none."""
    check_file(path, "name the record (.json) of a run", f"--again {path}")
    try:
        record = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as e:
        raise PnpError(f"--again {path}: cannot be read: {e.strerror or e}") from e
    except ValueError:
        record = None
    missing = [key for key in NEEDED if not isinstance(record, dict) or key not in record]
    if missing:
        reason = f"it has no '{missing[0]}'" if isinstance(record, dict) else "it is no JSON"
        raise PnpError(
            f"--again {path}: this is no record of pnp run that can be repeated ({reason}); "
            "pnp run writes one beside each result"
        )
    assert isinstance(record, dict)
    return record


def recorded_arguments(record: dict[str, Any], out: str) -> argparse.Namespace:
    """The arguments of the run, for the one image of the record, with another folder."""
    parser = Parser(prog="pnp run")
    for add in (add_common, add_changes, add_run):
        add(parser)
    command = shlex.split(record["command"])
    args = parser.parse_args(command[2:])  # without "pnp run"
    name, _ = pipeline_and_images(args.words)
    if name is None:  # the command chose pipeline and scale
        name, args.scale = record["pipeline"], record["given"]["s"]
    args.dtype = record.get("dtype", args.dtype)
    args.words, args.jobs = [name, record["input"]], 1
    args.out, args.overwrite, args.command_line = out, True, command[1:]
    return args


def _refuse(path: str, differences: list[str]) -> None:
    """PnpError if what the run was made of is not the same."""
    if differences:
        listed = "\n".join(f"    {difference}" for difference in differences)
        raise PnpError(f"--again {path}: the run cannot be repeated:\n{listed}")


def _compare(earlier: Path, image: Path) -> int:
    """Print whether two images are the same, byte for byte; 1 if they are not."""
    if not earlier.is_file():
        print(f"  {earlier} is not there to be compared")
        return 0
    if image.is_file() and filecmp.cmp(earlier, image, shallow=False):
        print(f"  byte for byte the same as {earlier}")
        return 0
    tell(f"{image} differs from {earlier}")
    return 1
