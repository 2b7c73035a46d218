"""Every kind of the table of bad inputs gets its answer; nothing is lost; the page is the table."""

import contextlib
import shlex
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from bad_files import PIXELS, TAPS, npy, picture
from bad_inputs import PAGE, WRITE, Content, Kind, page
from bad_kinds import AREAS
from PIL import Image

import pnp
from pnp.cli import _log_on_stderr, main
from pnp.registry import REGISTRIES

KINDS = {f"{area.title}: {kind.given}": kind for area in AREAS for kind in area.kinds}
COMMON: dict[str, Content] = {
    "photo.png": picture(PIXELS),
    "k.npy": npy(TAPS),
    "tv.yaml": "extends: hqs-tv\nrepeat: 1\nmodules: {P: {iterations: 1}}\n",
    "fill.yaml": "extends: inpaint-tv\nrepeat: 1\nmodules: {P: {iterations: 1}}\n",
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working folder; modules that plugins register are forgotten."""
    monkeypatch.chdir(tmp_path)
    for registry in REGISTRIES.values():
        registry.names()
        monkeypatch.setattr(registry, "_classes", dict(registry._classes))
    return tmp_path


def make(kind: Kind) -> None:
    for name, content in {**COMMON, **kind.files}.items():
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            path.write_bytes(content)
        elif isinstance(content, str):
            path.write_text(content, encoding="utf-8", newline="")
        else:
            content(path)


def state(root: Path) -> dict[str, object]:
    """What there is below a folder: the content of small files, the size of large ones."""
    found: dict[str, object] = {}
    for path in sorted(root.rglob("*")):
        small = path.is_file() and path.stat().st_size < 10**6
        if not path.is_dir():
            found[str(path)] = path.read_bytes() if small else path.lstat().st_size
    return found


def answer(kind: Kind) -> int:
    """The exit status of a command; of Python, 0 or 1 with the message on stderr."""
    if not kind.python:
        with contextlib.suppress(SystemExit):
            return main(shlex.split(kind.call))
        return 2
    try:
        with _log_on_stderr():
            eval(kind.call, {"pnp": pnp, "torch": torch, "np": np, "Image": Image, "Path": Path})
    except pnp.PnpError as e:
        print(pnp.errors.fitted(str(e)), file=sys.stderr)
        return 1
    return 0


@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor")
@pytest.mark.parametrize("name", KINDS)
def test_each_kind_gets_its_answer(name, folder, capsys):
    kind = KINDS[name]
    make(kind)
    before = state(folder)
    status = answer(kind)
    out, err = capsys.readouterr()
    after = state(folder)
    assert "Traceback" not in err and "unexpected error" not in err, err
    assert all(len(line) <= 200 for line in err.splitlines()), err
    assert before.items() <= after.items(), "a given file was changed"
    assert all(Path(made).is_file() for made in kind.made), out + err
    if kind.answer == "refused":
        assert status in (1, 2), out
        assert kind.says in " ".join(err.split()), err
        assert after == before, "something was written"
    elif kind.answer == "accepted":
        assert status == 0 and kind.says in out, out + err
    elif kind.answer == "accepted with a note":
        assert status == 0 and kind.says in err, out + err
    else:
        assert status == 1 and kind.says in err, err
    assert not list(folder.rglob(".pnp-*"))


def test_there_are_many_kinds_and_no_two_alike():
    assert len(KINDS) >= 150
    assert len(KINDS) == sum(len(area.kinds) for area in AREAS)
    assert all(kind.says or kind.answer == "accepted" for kind in KINDS.values())


def test_the_page_is_the_table():
    assert PAGE.read_text(encoding="utf-8") == page(AREAS), f"{PAGE} is old; write it: {WRITE}"
