"""The report of a comparison: its texts, and the page in a real browser."""

import json
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path

import pytest
import torch

import pnp
from pnp.cli import main
from pnp.images import write_image

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """A comparison of two pipelines, one of them blind, on two images, with everything kept."""
    folder = tmp_path_factory.mktemp("report")
    (folder / "images").mkdir()
    generator = torch.Generator().manual_seed(0)
    for name in ("a", "b & <c>"):
        noise = torch.rand(1, 3, 8, 9, generator=generator)
        pixels = torch.nn.functional.interpolate(noise, (64, 72), mode="bicubic").clamp(0, 1)
        write_image(folder / "images" / f"{name}.png", pixels)
    (folder / "small.yaml").write_text(
        "about: A <small> comparison & more\ndata: {folder: images}\n"
        "kernels: {groups: {iso.: ['gaussian:1'], motion: ['motion:1']}}\n"
        "scales: [2]\nsigmas: [1%]\nprotocol: usrnet\nmetrics: [psnr, ssim]\ncite: [ates2023ikrnet]\n"
        "methods:\n"
        "  bicubic: {pipeline: bicubic}\n"
        "  tv, told: {pipeline: hqs-tv, set: {repeat: 3}, given: [k, sigma]}\n"
        "  blind: {pipeline: blind-classical, set: {stages.0.repeat: 3, stages.1.repeat: 2}}\n"
        "published: {Somebody: [99.5]}\n"
    )
    compared = pnp.compare(folder / "small.yaml", out=folder / "out", device="cpu", keep=2)
    assert not compared.failures
    return folder / "out"


def test_the_page_holds_everything_and_needs_no_network(measured, capsys):
    assert main(["report", str(measured)]) == 0
    page = measured / "report.html"
    assert capsys.readouterr().out.strip() == str(page)
    text = page.read_text()
    assert not re.search(r"(src|href)=\"(?!data:)", text) and "://" not in text.replace(
        "http://www.w3.org", ""
    ).replace("https://doi.org", "")
    shown = unescape(text)
    for expected in (
        "A <small> comparison & more",
        pnp.protocols.protocol("usrnet").digest,
        "tv, told",
        "b & <c>",
        "true kernel",
        "2 images are too few to tell",
        "Somebody",
        f"pnp compare {measured}/comparison.yaml -o {measured}",
        "@article{ates2023ikrnet",
    ):
        assert expected in shown, expected
    assert text.count("<svg") >= 4  # curves of PSNR and of the kernel


def test_tables_as_markdown_and_latex(measured, tmp_path, capsys):
    assert main(["report", str(measured), "--format", "markdown"]) == 0
    markdown = capsys.readouterr().out
    assert "| method | iso. | motion | average |" in markdown and "*published*" in markdown
    ours = markdown.split("*published*")[0]
    assert "Somebody" not in ours
    tables = re.findall(r"(?:^\|.*\n)+\n(.*)", ours, re.MULTILINE)
    digest = pnp.protocols.protocol("usrnet").digest
    assert len(tables) >= 4 and all(digest in below for below in tables[1:])  # under each table
    target = tmp_path / "tables.tex"
    assert main(["report", str(measured), "--format", "latex", "-o", str(target)]) == 0
    latex = target.read_text()
    assert latex.count(r"\begin{table}") == latex.count(r"\end{table}") == 3
    assert latex.count(digest) == 2 and r"\toprule" in latex


def test_what_is_no_comparison_is_one_message(tmp_path, capsys):
    assert main(["report", str(tmp_path)]) == 1
    assert "there is no comparison in this folder" in " ".join(capsys.readouterr().err.split())
    (tmp_path / "comparison.yaml").write_text(
        "about: A\ndata: {folder: scikit-image}\nscales: [2]\nsigmas: [0]\n"
        "methods: {x: {pipeline: hqs-tv, given: [k]}}\n"
    )
    assert main(["report", str(tmp_path)]) == 1
    assert "nothing was measured yet" in " ".join(capsys.readouterr().err.split())


def test_rows_of_another_pipeline_are_shown_as_stale(measured, tmp_path, capsys):
    folder = tmp_path / "stale"
    shutil.copytree(measured, folder)
    path = folder / "comparison.yaml"
    path.write_text(path.read_text().replace("repeat: 3}, given", "repeat: 4}, given"))
    assert main(["report", str(folder), "--format", "markdown"]) == 0
    text = capsys.readouterr().out
    assert "tv, told (stale): another set now" in text and "| tv, told (stale) |" in text
    assert "bicubic (stale)" not in text


PROBE = """
<script>
window.addEventListener("load", () => {
  const errors = window.probeErrors, of = (table) =>
    Array.from(table.tBodies[0].rows).map((row) => row.cells[0].textContent.trim());
  const table = document.querySelector("table.sortable"), heads = table.querySelectorAll("th button");
  const found = {before: of(table)};
  const last = heads.length - 1;
  heads[last].click(); found.falling = of(table); found.sort = table.querySelectorAll("th")[last].ariaSort;
  heads[last].click(); found.rising = of(table);
  const set = (id, value, event) => {
    const one = document.getElementById(id); one.value = value; one.dispatchEvent(new Event(event));
  };
  const images = ["under", "over"].map((id) => document.getElementById(id));
  set("left", "bicubic", "change"); set("right", "ground truth", "change");
  found.differ = images[0].src !== images[1].src;
  set("split", "25", "input"); found.clip = document.getElementById("layer").style.clipPath;
  found.edge = document.getElementById("edge").style.left;
  set("zoom", "4", "input"); found.transforms = images.map((image) => image.style.transform);
  document.getElementById("view").dispatchEvent(
    new WheelEvent("wheel", {deltaY: -1, clientX: 40, clientY: 400, cancelable: true}));
  found.wheel = images.map((image) => image.style.transform);
  const cases = document.getElementById("case");
  cases.selectedIndex = 1; cases.dispatchEvent(new Event("change"));
  found.shown = Array.from(document.querySelectorAll(".case")).map((one) => !one.hidden);
  found.kept = document.getElementById("left").value;
  found.width = [document.documentElement.scrollWidth, document.documentElement.clientWidth];
  Promise.all(images.map((image) => image.decode())).then(() => {
    found.loaded = images.map((image) => image.naturalWidth);
    found.network = performance.getEntriesByType("resource").map((entry) => entry.name)
      .filter((name) => !name.startsWith("data:"));
    found.errors = errors;
    const pre = document.createElement("pre");
    pre.id = "probe"; pre.textContent = JSON.stringify(found); document.body.append(pre);
  });
});
</script>
"""
WATCH = """
<script>
window.probeErrors = [];
window.addEventListener("error", (e) => window.probeErrors.push(String(e.message)), true);
for (const name of ["error", "warn"]) console[name] = (...words) => window.probeErrors.push(words.join(" "));
</script>
"""


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed: apt install chromium")
@pytest.mark.parametrize("width", [1280, 400])
def test_the_page_works_in_a_browser(measured, tmp_path, width):
    """It loads without network, sorts, slides, zooms in step, and shows no error on the console."""
    page = Path(pnp.report(measured, out=tmp_path / "report.html"))
    text = (
        page.read_text().replace("<head>", f"<head>{WATCH}").replace("</body>", f"{PROBE}</body>")
    )
    page.write_text(text)
    command = [
        *(str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"),
        *("--host-resolver-rules=MAP * ~NOTFOUND", f"--window-size={width},1000"),
        *("--virtual-time-budget=10000", f"--user-data-dir={tmp_path / 'profile'}", page.as_uri()),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    match = re.search(r'<pre id="probe">(.*?)</pre>', done.stdout, re.DOTALL)
    assert match, done.stderr
    found = json.loads(unescape(match[1]))
    assert found["errors"] == [] and found["network"] == []
    assert found["before"][0] == "bicubic" and found["sort"] == "descending"
    assert found["falling"] == found["rising"][::-1] and found["falling"][0] == "tv, told"
    assert found["differ"] and found["clip"] == "inset(0px 0px 0px 25%)" and found["edge"] == "25%"
    assert found["transforms"][0] == found["transforms"][1] and "scale(4)" in found["transforms"][0]
    assert found["wheel"][0] == found["wheel"][1] and "scale(5)" in found["wheel"][0]
    assert found["shown"][:2] == [False, True] and found["kept"] == "bicubic"
    assert found["loaded"] == [72, 72]
    assert found["width"][0] <= found["width"][1], "the page is wider than the window"
