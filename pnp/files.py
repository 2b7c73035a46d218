"""Results: hidden until they are complete, never written over a given file; their names, folders.

A file is written inside a hidden folder `.pnp-XXXXXXXX` beside its final place and then renamed.
The folder is locked for as long as the process lives, so that a later command recognises and
removes what a killed one left.
"""

from __future__ import annotations

import json
import math
import os
import re
import secrets
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import IO, Any

from pnp.errors import PnpError

try:
    import fcntl
except ImportError:  # Windows, where a file that is open cannot be deleted
    fcntl = None  # type: ignore[assignment]

_HIDDEN = re.compile(r"\.pnp-[0-9a-f]{8}")


class _Waiting:
    """The complete files of a `together` block, under their temporary and their final names."""

    def __init__(self, stack: ExitStack):
        self.stack = stack
        self.files: list[tuple[Path, Path]] = []


_waiting: ContextVar[_Waiting | None] = ContextVar("waiting", default=None)


@contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """Write a file atomically: the block writes to a temporary name, which is then renamed.

        with atomic("out/result.json") as temporary:
            temporary.write_text(text)

    The temporary name has the suffix of `path`, because writers derive the format from it.  An
    existing file stays until the new one is complete.

    Raises:
        PnpError: The operating system reports an error (no such folder, no space ...).
    """
    path, waiting = Path(path), _waiting.get()
    with _reported(path), ExitStack() as own:
        stack = own if waiting is None else waiting.stack
        temporary = stack.enter_context(hidden_folder(path.parent)) / f"new{path.suffix}"
        yield temporary
        if waiting is None:
            _publish([(temporary, path)])
        else:
            waiting.files.append((temporary, path))


@contextmanager
def together() -> Iterator[None]:
    """Files that are written by `atomic` in this block appear at its end, all of them or none.

        with together():
            write_image("out/photo.png", x)
            write_json("out/photo.json", record)

    Raises:
        PnpError: One of the files cannot be written; earlier files of these names are unchanged.
    """
    with ExitStack() as stack:
        waiting = _Waiting(stack)
        token = _waiting.set(waiting)
        try:
            yield
        finally:
            _waiting.reset(token)
        _publish(waiting.files)


@contextmanager
def hidden_folder(parent: Path) -> Iterator[Path]:
    """A locked hidden folder for files that are not complete yet; it is removed at the end."""
    folder, lock = _make_hidden(parent)
    try:
        yield folder
    finally:
        lock.close()
        shutil.rmtree(folder, ignore_errors=True)


def remove_leftovers(parent: str | Path) -> None:
    """Remove the hidden folders in `parent` that were left by processes that were killed."""
    for folder in Path(parent).glob(".pnp-*"):
        if not _HIDDEN.fullmatch(folder.name) or not folder.is_dir():
            continue
        try:
            if fcntl is None:
                (folder / "lock").unlink(missing_ok=True)
                shutil.rmtree(folder, ignore_errors=True)
            else:
                with (folder / "lock").open("a") as lock:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(folder, ignore_errors=True)
        except OSError:  # the process that made it is still alive
            continue


def _make_hidden(parent: Path) -> tuple[Path, IO[str]]:
    """A new hidden folder and its lock.

    Until it is locked, another process may take the folder for a leftover; then another is made.
    """
    while True:
        folder = parent / f".pnp-{secrets.token_hex(4)}"
        folder.mkdir()
        try:
            lock = (folder / "lock").open("a")
        except FileNotFoundError:
            continue
        except OSError:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        if _lock(lock) and (folder / "lock").exists():
            return folder, lock
        lock.close()


def _lock(file: IO[str]) -> bool:
    """Lock a file; False if another process has locked it."""
    try:
        if fcntl is not None:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks: nothing there is taken for a leftover
        return True
    return True


def _publish(files: list[tuple[Path, Path]]) -> None:
    """Rename complete files to their final names; if one cannot be, undo those before it.

    The last is renamed first: the record, by which the next run knows the other files, should the
    process be killed here.
    """
    done: list[tuple[Path, Path]] = []
    try:
        for temporary, path in reversed(files):
            with _reported(path):
                if path.is_dir():
                    raise OSError("there is a folder of this name")
                earlier = temporary.with_name("earlier")
                if len(files) > 1 and path.exists():
                    _copy(path, earlier)
                os.replace(temporary, path)
            done.append((path, earlier))
    except BaseException:
        for path, earlier in reversed(done):
            if earlier.exists():
                os.replace(earlier, path)
            else:
                path.unlink(missing_ok=True)
        raise


def _copy(path: Path, to: Path) -> None:
    """A second name of a file, or a copy where the file system has no hard links."""
    try:
        os.link(path, to)
    except OSError:
        shutil.copy2(path, to)


@contextmanager
def _reported(path: Path) -> Iterator[None]:
    """Errors of the operating system as one PnpError that names the file."""
    try:
        yield
    except OSError as e:
        raise PnpError(f"{path}: cannot be written: {e.strerror or e}") from e


def write_json(path: Path, record: dict[str, Any]) -> None:
    """Write a record as JSON, atomically.

    Infinities and NaN, which JSON does not have, become null; bytes of names that are not UTF-8
    become escapes, which Python's reader and `os.fsencode` turn into the name again.
    """
    text = json.dumps(_finite(record), indent=2, ensure_ascii=False, allow_nan=False)
    with atomic(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8", errors="backslashreplace")


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def make_folder(name: str | Path) -> Path:
    """The folder for results: created if it does not exist, else without what killed runs left."""
    try:
        Path(name).mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as e:
        reason = getattr(e, "strerror", None) or e
        raise PnpError(
            f"--out {name}: the folder cannot be created: {reason}; choose another one"
        ) from e
    remove_leftovers(name)
    return Path(name)


def result_names(paths: Iterable[str]) -> dict[str, str]:
    """The base name of each input's results; PnpError if two inputs have the same one."""
    listed = list(paths)
    check_names([(path, Path(path).stem) for path in listed])
    return {path: Path(path).stem for path in listed}


def check_names(names: Iterable[tuple[str, str]]) -> None:
    """PnpError if two inputs (path, base name of the results) have the same name, also if only on
    systems that ignore case."""
    seen: dict[str, tuple[str, str]] = {}
    for path, name in names:
        if (key := name.casefold()) in seen:
            other, its_name = seen[key]
            case = "" if its_name == name else " on systems that ignore case"
            raise PnpError(
                f"the results of {other} and {path} would both be called {name}{case}; "
                "run them separately, each with its own folder (--out)"
            )
        seen[key] = path, name


def check_file(path: str | Path, cure: str = "", shown: str | None = None) -> None:
    """PnpError unless the path is a regular file; a named pipe would be waited for.

    Args:
        path: The path.
        cure: What to do.
        shown: What the message calls it, if that is not the path alone.
    """
    if not os.path.isfile(path):
        reason = "this is a folder" if os.path.isdir(path) else "there is no such file"
        raise PnpError(f"{shown or path}: {reason}{cure and '; '}{cure}")


def check_results(
    results: Mapping[str, Iterable[Path]],
    given: Iterable[tuple[str | Path, str]],
    cure: str = "choose another folder with --out",
) -> None:
    """Refuse results that would replace a file that is given, under any of its names.

    Args:
        results: For each input, the files that are made of it.
        given: Files, and what they are: ("photo.png", "observation").
        cure: What to do.

    Raises:
        PnpError: Such a result, or one whose name is too long.
    """
    roles: dict[Any, tuple[str | Path, str]] = {}
    for file, role in given:
        with suppress(OSError, ValueError):  # not a file; its reader says so
            roles.setdefault(_identity(Path(file)), (file, role))
    for source, targets in results.items():
        for target in targets:
            try:
                file, role = roles.get(_identity(target), ("", ""))
            except (OSError, ValueError) as e:
                reason = getattr(e, "strerror", None) or e
                raise PnpError(f"{target}: cannot be written: {reason}; rename {source}") from e
            if role:
                of = "" if str(file) == source else f" of {source}"
                raise PnpError(f"{file}: the result{of} would overwrite the {role}; {cure}")


def _identity(path: Path) -> tuple[int, int] | Path:
    """The same for two names of one file: symbolic and hard links, other case, '..'."""
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        with suppress(FileNotFoundError):
            os.stat(path.name)  # a name that is too long, in a folder that is not made yet
        return path.resolve()
    return found.st_dev, found.st_ino
