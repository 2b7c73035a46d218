"""The parser of the command line: what it says of unknown options, words and numbers.

`argparse` names none of the options or ranges that would be right, and its messages differ between
versions of Python.
"""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from pnp.errors import fitted, hint, nearest

WRITTEN = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".bmp", ".npy")
"""Endings of images; `pnp.images`, which knows all of them, takes long to import."""
_CHOICE = re.compile(r"argument (.+): invalid choice: (.*) \(choose from (.*)\)")


class Parser(argparse.ArgumentParser):
    """An `ArgumentParser` whose errors say what would be right."""

    def error(self, message: str) -> NoReturn:
        if match := _CHOICE.fullmatch(message):
            argument, value, listed = match.groups()
            choices = [choice.strip("'") for choice in listed.split(", ")]
            if argument == "COMMAND":
                known = hint(value.strip("'"), choices, "commands")
                message = f"there is no command {value}; {known}"
            else:
                message = f"{argument} is {value}, but must be one of {', '.join(choices)}"
        super().error(fitted(message, 180))

    def refuse(self, unknown: list[str], command: str | None) -> NoReturn:
        """Exit with status 2 and what is wrong with arguments that belong to no option."""
        own = "pnp" if command is None else f"pnp {command}"
        option = next((text for text in unknown if text.startswith("-")), None)
        if option is None:
            cure = f"files are given together, before or after the options; see {own} --help"
            self.error(f"unexpected argument '{unknown[0]}'; {cure}")
        near = nearest(option.partition("=")[0], self._options(command))
        self.error(f"{own} has no option {option}; {near or f'{own} --help lists them'}")

    def refuse_empty(self, args: argparse.Namespace) -> None:
        """Exit with status 2 if an argument is empty, which would name the current folder."""
        for action in self._actions_of(args.command):
            value = getattr(args, action.dest, None)
            if value == "" or (isinstance(value, list) and "" in value):
                named = action.option_strings[-1] if action.option_strings else action.metavar
                self.error(f"{named} is empty; is a variable of the shell not set?")

    def _options(self, command: str | None) -> list[str]:
        return [o for action in self._actions_of(command) for o in action.option_strings]

    def _actions_of(self, command: str | None) -> list[argparse.Action]:
        parser: argparse.ArgumentParser = self
        for action in self._actions:
            if command is not None and isinstance(action, argparse._SubParsersAction):
                parser = action.choices[command]
        return parser._actions


def whole(name: str, low: int, high: int = 10**9) -> Callable[[str], int]:
    """The type of a whole number from `low` to `high`; messages call it `name`."""

    def read(text: str) -> int:
        number = int(text) if re.fullmatch("[0-9]{1,20}", text) else -1
        if not low <= number <= high:
            raise argparse.ArgumentTypeError(
                f"the {name} is '{text}', but it must be a whole number from {low} to {high}"
            )
        return number

    return read


def folder(text: str) -> str:
    """The type of a folder of results, which is none if it has the ending of an image."""
    if Path(text).suffix.lower() in WRITTEN and not Path(text).is_dir():
        raise argparse.ArgumentTypeError(
            f"'{text}' would be a folder, because names are made of those of the images; "
            "write a folder, for example -o results"
        )
    return text


def positive(name: str) -> Callable[[str], float]:
    """The type of a finite number above 0; messages call it `name`."""

    def read(text: str) -> float:
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if not 0 < number < math.inf:
            raise argparse.ArgumentTypeError(
                f"the {name} is '{text}', but it must be a number above 0"
            )
        return number

    return read
