"""The page of results: tables of all comparisons in a folder, from their CSV files."""

from __future__ import annotations

import os
from pathlib import Path
from statistics import median

from pnp.comparing import tables
from pnp.comparing.comparison import METRICS_OF_KERNELS, Comparison
from pnp.comparing.identity import identity_of, stale_column
from pnp.comparing.reader import read_comparison
from pnp.comparing.rows import IDENTITY, Results
from pnp.comparing.statistics import differences, trained_on
from pnp.comparing.tables import Table, markdown, noise
from pnp.document import read_file
from pnp.errors import PnpError
from pnp.files import atomic, make_folder
from pnp.language.reader import PIPELINES
from pnp.protocols import Protocol, protocol

HEAD = """\
# Results

<!-- Made by `python benchmarks/results_page.py` from the CSV files in benchmarks/results/.
Do not edit. -->

## How to read the tables

- Every number is a mean over images, and over the kernels of a column.
  The single values are the rows of the CSV file named above each table, and the description named
  with it states what was measured.
  `pnp compare benchmarks/NAME.yaml -o benchmarks/results/NAME` measures missing rows, and resumes
  after a stop.
- **The protocol** states how the observation was simulated and which border PSNR omits; the digits
  behind its name are a hash of all of it.
  Numbers of different protocols, image sets or kernels cannot be compared: each of them can change
  PSNR by tenths of a decibel or more.
- **PSNR** is in dB, over all colours together, on results rounded to 8 bits; higher is better.
  **PSNR of the luma** uses Y = 16 + (65.481 R + 128.553 G + 24.966 B)/255; for the same image it is
  one or two decibels higher.
- **Given** lists the true values that a method receives: k, the kernel; sigma, the noise level.
  Methods that receive more should do better.
- The best number of a column is **bold**.
  A table contains only methods for which all observations were measured.
  Rows that end in *published* are numbers of other authors, quoted in the description; we did not
  measure them.
- **Stale** rows were measured with a pipeline or weights that have changed since.
- **Seconds** are the median for one image of the set: on a CPU, processor time with the stated
  number of threads, on a machine with other load; on a GPU, wall time.
  For speed see [Benchmarks](../benchmarks/README.md).
- **State of the code** is the commit in git.
  Weights are identified by the first digits of their SHA-256."""


def write_page(folder: Path, page: Path) -> None:
    """Write the page with the comparisons described in `folder`, in the order of their names."""
    parts = [HEAD]
    for path in sorted(folder.glob("*.yaml")):
        if {"data", "extends"} & set(read_file(path).value):
            comparison = read_comparison(path)
            results = Results(folder / "results" / comparison.name)
            parts.append("\n\n".join(section(comparison, results, page.parent)))
    make_folder(page.parent)
    with atomic(page) as temporary:
        temporary.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def section(comparison: Comparison, results: Results, beside: Path) -> list[str]:
    """The paragraphs of a comparison in Markdown; links are relative to the folder `beside`."""
    results = results.within(comparison)
    images = sorted({row["image"] for row in results.rows.values()})
    done = [m for m in comparison.methods if tables.complete(comparison, results, m, images)]
    parts = [f"## {comparison.about}", circumstances(comparison, results, images, beside)]
    parts += _left_out(comparison, results, done, len(images))
    if not done:
        return [*parts, *_references(comparison)]
    notes = notes_of(comparison, results, done)
    parts.append(_methods(comparison, results, done, notes, beside))
    average = ", average over kernels" if comparison.kernels else ""
    under = under_table(comparison)

    def shown(table: Table) -> str:
        table.notes |= {m: f" {note.partition(':')[0]}" for m, note in notes.items()}
        return f"{table.markdown()}\n\n{under}"

    for metric in comparison.metrics:
        parts += [
            f"### {tables.TITLES[metric]}{average}",
            shown(tables.overview(comparison, results, done, metric)),
        ]
    for scale in comparison.scales if comparison.kernels else ():
        for sigma in comparison.sigmas:
            border = protocol(comparison.protocol).border(scale)
            for metric in comparison.metrics:
                columns = tables.groups_and_average(comparison), tables.single_kernels(comparison)
                made = [tables.by_kernels(results, done, scale, sigma, metric, c) for c in columns]
                parts.append(f"### {tables.TITLES[metric]} at x{scale}, noise {noise(sigma)}")
                if metric not in METRICS_OF_KERNELS:
                    parts.append(f"Without a border of {border} pixels.")
                parts += [shown(table) for table in made]
    return [*parts, *_differences(comparison, results, done), *_references(comparison)]


def notes_of(comparison: Comparison, results: Results, methods: list[str]) -> dict[str, str]:
    """What must be known of a method's numbers: stale, or trained on images of this comparison."""
    stale = stale_methods(comparison, results, methods)
    notes = {m: f"({tables.STALE}): another {column} now" for m, column in stale.items()}
    for method in methods:
        seen = trained_on(comparison, results, method)
        if seen:
            count = f"(trained on {len(seen)} of these images)"
            notes[method] = f"{count}: {', '.join(seen[:8])}" + (" ..." if len(seen) > 8 else "")
    return notes


def _differences(comparison: Comparison, results: Results, done: list[str]) -> list[str]:
    """The paired differences to the baseline."""
    metric = comparison.metrics[0]
    found = differences(comparison, results, done, metric)
    if not found:
        return []
    header = [
        "method",
        "difference",
        "95 % interval",
        "wins",
        "images",
        "conclusion",
        "worst images",
    ]
    lines = [
        [
            d.method,
            f"{tables.scaled(d.mean, metric):+.2f}",
            "-"
            if d.low is None or d.high is None
            else f"{tables.scaled(d.low, metric):+.2f} to {tables.scaled(d.high, metric):+.2f}",
            str(d.wins),
            str(d.images),
            d.conclusion,
            ", ".join(f"{i} ({tables.scaled(v, metric):+.2f})" for i, v in d.worst) or "-",
        ]
        for d in found
    ]
    return [
        f"### Differences to {found[0].baseline}, {tables.TITLES[metric]}",
        "Positive is better; images are the unit, and intervals are bootstrapped over them.",
        markdown(header, lines, numbers=(1, 2, 3, 4)),
        under_table(comparison),
    ]


def under_table(comparison: Comparison) -> str:
    """What stands under each table."""
    return f"Protocol `{comparison.protocol}` {protocol(comparison.protocol).digest}."


def stale_methods(comparison: Comparison, results: Results, methods: list[str]) -> dict[str, str]:
    """Methods whose rows are of another pipeline or other weights than now, and what differs.

    Of a method whose weights are not at hand nothing is said.
    """
    found = {}
    for name in methods:
        try:
            if not comparison.methods[name].has_weights():
                continue
            now = identity_of(comparison, comparison.methods[name])
        except PnpError:
            found[name] = "pipeline"
            continue
        columns = [stale_column(row, now, IDENTITY) for row in results.of(name)]
        differing = [c for c in columns if c is not None]
        if differing:
            found[name] = differing[0]
    return found


def _references(comparison: Comparison) -> list[str]:
    """The published tables, apart from ours."""
    parts = []
    for title, table in tables.published(comparison):
        parts += [f"### {title}, {tables.PUBLISHED}", table.markdown()]
    return parts


def circumstances(comparison: Comparison, results: Results, images: list[str], beside: Path) -> str:
    """What was measured on, as a list in Markdown."""
    rules = protocol(comparison.protocol)
    borders = ", ".join(f"{rules.border(s)} at x{s}" for s in comparison.scales)
    omitted = ", in pixels: " + borders if rules.border_power is not None else ": none"
    data, blur = comparison.data, comparison.kernels
    every = "" if data.every == 1 else f", every {_ordinal(data.every)} image"
    groups = ", ".join(f"{name} {_ranges(group)}" for name, group in comparison.groups.items())
    named = f"`{blur.file}` ({groups})" if blur and blur.file else groups
    crop = f", the central {data.crop} x {data.crop} pixels" if data.crop else ""
    links = [f"[rows]({_link(p, beside)})" for p in _row_files(results)]
    lines = [
        f"- Images: `{data.folder}`{every} ({len(images)} images{crop}).",
        f"- Kernels: {named}." if blur else "- No blur.",
        f"- Protocol `{comparison.protocol}` {rules.digest} ({rules.about}): "
        f"{preparation(rules, comparison)}.",
        f"- Border omitted{omitted}.",
        f"- {', '.join([f'[Description]({_link(comparison.path, beside)})', *links])}.",
    ]
    return "\n".join(lines)


def preparation(rules: Protocol, comparison: Comparison) -> str:
    """How the observation was made, in words."""
    parts = []
    if rules.multiple > 1:
        parts.append(f"ground truth cropped to multiples of s and {rules.multiple}")
    if rules.grey:
        parts.append("the luma of the ground truth")
    if comparison.kernels:
        how = {
            "circular": "blurred circularly",
            "circular in 8 bits": "blurred circularly in 8 bits and truncated to 8 bits",
            "reflect": "correlated with the kernel, reflected at the edges",
            "symmetric": "correlated with the kernel, mirrored at the edges",
        }
        parts.append(how[rules.blur])
    if comparison.scales != [1]:
        how = {
            "upper-left": "the upper-left pixel of every s x s block kept",
            "bicubic": "resized bicubically with antialiasing",
        }
        parts.append(how[rules.downsampling])
    if rules.saved:
        parts.append("rounded to 8 bits")
    clamping = "clamped" if rules.clamped else "not clamped"
    parts.append(f"noise added (seed 0 for every image), {clamping}")
    return ", ".join(parts)


def _row_files(results: Results) -> list[Path]:
    earlier = results.folder.with_name(f"{results.folder.name}.csv")
    return [p for p in (earlier, *sorted(results.folder.glob("rows*.csv"))) if p.is_file()]


def _left_out(comparison: Comparison, results: Results, done: list[str], images: int) -> list[str]:
    """The methods that are not in the tables, with the reasons."""
    kernels = sum(map(len, comparison.groups.values()))
    cells = len(comparison.scales) * len(comparison.sigmas) * kernels
    reasons = []
    for name, method in comparison.methods.items():
        if name in done:
            continue
        if count := len(results.of(name)):
            reasons.append(f"{name} ({count} of {cells * images} rows measured)")
        else:
            why = "not measured yet" if method.has_weights() else "no weights yet"
            reasons.append(f"{name} ({why})")
    return [f"Not in the tables: {', '.join(reasons)}."] if reasons else []


def _methods(
    comparison: Comparison, results: Results, done: list[str], notes: dict[str, str], beside: Path
) -> str:
    header = [
        "method",
        "pipeline",
        "given",
        "weights",
        "precision",
        "seconds",
        "measured on",
        "state of the code",
    ]
    lines = []
    for name in done:
        rows = results.of(name)
        first = rows[0]
        shown = _linked(comparison, name, beside) + (f" `{first['set']}`" if first["set"] else "")
        weights = f"{first['weights']} ({', '.join(first['sha256'].split())})"
        seconds = [float(row["seconds"]) for row in rows if row["seconds"]]
        where = {f"{r['machine']}, {_threads(r['threads'])}, torch {r['torch']}" for r in rows}
        dates = sorted({r["date"] for r in rows})
        when = " to ".join(dict.fromkeys((dates[0], dates[-1])))
        states = ", ".join(dict.fromkeys(r["commit"] for r in rows))
        lines.append(
            [
                f"{name} {notes[name]}" if name in notes else name,
                shown,
                ", ".join(first["given"].split()) or "-",
                weights if first["sha256"] else "-",
                first["dtype"],
                f"{median(seconds):.2g}" if seconds else "-",
                f"{'; '.join(sorted(where))}; {when}",
                states,
            ]
        )
    return markdown(header, lines, numbers=(5,))


def _linked(comparison: Comparison, name: str, beside: Path) -> str:
    """The pipeline of a method, with a link to its file if it has one."""
    method = comparison.methods[name]
    if not isinstance(method.pipeline, str) or not method.pipeline or method.base is not None:
        return method.shown
    where_named = method.document.value["pipeline"].origin.folder
    file, _ = PIPELINES.find(method.pipeline, where_named)
    return f"[{file.stem}]({_link(file, beside)})"


def _link(path: Path, beside: Path) -> str:
    return Path(os.path.relpath(path.resolve(), beside.resolve())).as_posix()


def _threads(count: str) -> str:
    return f"{count} thread{'' if count == '1' else 's'}"


def _ordinal(n: int) -> str:
    return {2: "second", 3: "third", 4: "fourth", 8: "eighth"}.get(n, f"{n}th")


def _ranges(names: list[str]) -> str:
    if all(n.isdecimal() for n in names):
        numbers = [int(n) for n in names]
        if numbers == list(range(numbers[0], numbers[-1] + 1)):
            return f"{numbers[0]}-{numbers[-1]}" if len(numbers) > 1 else str(numbers[0])
    return ", ".join(names)
