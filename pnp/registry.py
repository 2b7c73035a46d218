"""Registries: how a name in YAML becomes a class.

There are five, one for each interface.  A decorator registers a module:

    @pnp.prior("median")
    class Median(pnp.Prior): ...

Names come from three places: the files of `pnp.solvers`, `pnp.priors`, `pnp.initializers`,
`pnp.estimators`, `pnp.transforms`; entry points of installed packages (groups of the same five
names); and plugin files given with `--plugin file.py`.  A name can be registered once; a second
class with the same name is an error that states both places.  An installed package that cannot be
imported is left out, with a warning (`pnp.plugins`).
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import pkgutil
import sys
import warnings
from collections.abc import Callable, Iterable
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, TypeVar

from pnp.bibliography import check_cited
from pnp.decoders import first_line
from pnp.document import from_python
from pnp.errors import OldSpelling, Origin, PnpError, with_article
from pnp.files import check_file
from pnp.interfaces import (
    DataSolver,
    Estimator,
    Initializer,
    Module,
    Prior,
    Transform,
    signature_of,
)
from pnp.options import options_of, read_fields
from pnp.plugins import NameTaken, leave_out, missing, owner_of

T = TypeVar("T", bound=type[Module])


class Registry:
    """The modules of one interface by name; called with a name, the decorator that registers one.

    Args:
        role: The key of such a module in YAML, for example "prior".
        base: The interface, from which the classes derive.
        package: The package whose files register the built-in modules; also the name of the group
            of entry points.
    """

    def __init__(self, role: str, base: type[Any], package: str):
        self.role, self.base, self.package = role, base, package
        self._classes: dict[str, type[Module]] = {}
        self._discovered = False

    def __call__(self, name: str) -> Callable[[T], T]:
        """The decorator that registers a class under `name`."""

        def register(cls: T) -> T:
            if not isinstance(name, str) or not name:
                raise PnpError(f"{_where(cls)}: the name of a {self.role} is text, not {name!r}")
            if not (inspect.isclass(cls) and issubclass(cls, self.base)):
                role = with_article(self.role)
                needed = f"so it must derive from pnp.{self.base.__name__}"
                raise PnpError(f"{_where(cls)}: '{name}' is registered as {role}, {needed}")
            other = self._classes.get(name)
            if other is not None and _where(other) != _where(cls):
                where = f"one in {_where(other)}, one in {_where(cls)}; rename one of them"
                raise NameTaken(f"two {self.role}s are called '{name}': {where}")
            try:
                signature_of(cls)
                _check_options(options_of(cls))
                if isinstance(cls.cite, str):
                    raise PnpError(f"`cite` is a tuple; write cite = ({cls.cite!r},)")
                check_cited(cls.cite)
            except (TypeError, NameError, PnpError) as e:
                raise PnpError(f"{_where(cls)}: {self.role} '{name}': {e}") from e
            if not getattr(cls, "exact", True):
                warnings.warn(OldSpelling(_exact_is_gone(cls, name)), stacklevel=2)
            self._classes[name] = cls
            cls.registered = name
            return cls

        return register

    def names(self) -> list[str]:
        """All names, sorted."""
        self._discover()
        return sorted(self._classes)

    def get(self, name: str) -> type[Module]:
        """The class called `name`; PnpError with the nearest name if there is none."""
        current = current_role(self.role, name)
        if current != self.role:
            registry = REGISTRIES[current]
            old, new = f"{self.package}: '{name}'", f"{registry.package}.build({name!r})"
            warnings.warn(OldSpelling(f"{old} is a {current} now; write {new}"), stacklevel=3)
            return registry.get(name)
        self._discover()
        if name not in self._classes:
            raise PnpError(f"there is no {self.role} called '{name}'; {self.missing(name)}")
        return self._classes[name]

    def missing(self, name: str) -> str:
        """The cure for a name that is not registered."""
        return missing(self.package, name, self.names(), self.role + "s")

    def build(self, name: str, /, **options: Any) -> Any:
        """Construct the module called `name` with its options; PnpError with all wrong options."""
        cls = self.get(name)
        node = from_python(options, Origin(f"{self.package}.build({name!r})"))
        values, problems = read_fields(cls, node)
        if problems:
            parts = [f"{p.message}; {p.cure}" if p.cure else p.message for p in problems]
            raise PnpError(f"{name}: {'; '.join(parts)}")
        return cls(**values)

    def _discover(self) -> None:
        if self._discovered:
            return
        self._discovered = True
        try:
            self._import_all()
        except BaseException:
            self._discovered = False
            raise

    def _import_all(self) -> None:
        package = importlib.import_module(self.package)
        for module in pkgutil.iter_modules(package.__path__):
            importlib.import_module(f"{self.package}.{module.name}")
        for point in entry_points(group=self.package):
            before = {r: dict(r._classes) for r in REGISTRIES.values()}
            try:
                self._load(point)
            except NameTaken as e:
                raise PnpError(f"plugin '{point.name}' of {owner_of(point)}: {e}") from e
            except (Exception, SystemExit) as e:
                for registry, classes in before.items():
                    registry._classes = classes
                leave_out(point, e)

    def _load(self, point: EntryPoint) -> None:
        loaded = point.load()
        if (
            inspect.isclass(loaded)
            and issubclass(loaded, Module)
            and loaded not in self._classes.values()
        ):
            self(point.name)(loaded)


def _check_options(options: Iterable[str]) -> None:
    """PnpError if an option has the name of a key that every module has in YAML."""
    taken = [option for option in options if option == "weights" or option in REGISTRIES]
    if taken:
        raise PnpError(f"'{taken[0]}' is a key of every module in YAML; rename this option")


def _where(thing: Any) -> str:
    try:
        file = inspect.getsourcefile(thing)
        line = inspect.getsourcelines(thing)[1]
        return f"{file}:{line}"
    except (OSError, TypeError):
        return f"{getattr(thing, '__module__', '?')}.{getattr(thing, '__qualname__', thing)}"


solver = Registry("solver", DataSolver, "pnp.solvers")
prior = Registry("prior", Prior, "pnp.priors")
initializer = Registry("initializer", Initializer, "pnp.initializers")
estimator = Registry("estimator", Estimator, "pnp.estimators")
transform = Registry("transform", Transform, "pnp.transforms")
REGISTRIES: dict[str, Registry] = {
    r.role: r for r in (solver, prior, initializer, estimator, transform)
}

# Modules that became transforms, by their former role; to be deleted with the next release.
_TRANSFORMS_BEFORE = {
    "solver": ("flow-kernel", "kernel-corrector"),
    "prior": ("crop",),
    "initializer": ("bicubic-down",),
}


def current_role(role: str, name: str) -> str:
    """The role of a module now, given its role in a file that may be older."""
    moved = name in _TRANSFORMS_BEFORE.get(role, ()) and name not in REGISTRIES[role].names()
    return "transform" if moved else role


def _exact_is_gone(cls: type[Module], name: str) -> str:
    return (
        f"{_where(cls)}: '{name}' sets `exact`, which is no longer read: a DataSolver always "
        f"minimises its objective; derive a step that does not from pnp.Transform, and register "
        f"it by @pnp.transform"
    )


_PLUGIN = "pnp_plugin_"
"""Before the name of a plugin file: the name of its module."""


def loaded_plugins() -> list[str]:
    """The plugin files that were loaded, by their whole paths."""
    found = [m.__file__ for name, m in sys.modules.items() if name.startswith(_PLUGIN)]
    return [str(Path(file).resolve()) for file in found if file is not None]


def load_plugin(path: str | Path) -> None:
    """Run a plugin file, so that the modules in it are registered (`--plugin file.py`)."""
    path = Path(path)
    check_file(path, "name a Python file", f"--plugin {path}")
    name = f"{_PLUGIN}{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise PnpError(f"--plugin {path}: not a Python file (its name should end in .py)")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except PnpError:
        raise
    except (Exception, SystemExit) as e:
        kind = type(e).__name__
        raise PnpError(f"--plugin {path}: {kind}: {first_line(e)}; repair the file") from e
