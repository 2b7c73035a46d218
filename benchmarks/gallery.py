"""Draw the gallery of the README: photographs restored by the default blind pipeline.

    python benchmarks/gallery.py [FILE]

The default file is docs/img/gallery.jpg.  The photographs come with scikit-image and are in the
public domain or under CC0.  Nothing but the observation is given to the pipeline.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image, ImageDraw, ImageFont
from skimage import data
from torch import Tensor

from pnp.commands.inputs import DEFAULT
from pnp.files import atomic
from pnp.initializers import build
from pnp.kernel_files import make_kernel
from pnp.observation import add_noise, blur, downsample
from pnp.restoration import Restored, restore

PANEL = 300, 192  # width and height of a panel: one pixel of the result for each of the drawing
GAP, LINE = 6, 17
FAILED = "#a00000"


@dataclass(frozen=True)
class Case:
    """A photograph, the corner where the result begins, and what is done to the photograph.

    Without a kernel the photograph is the observation, and `corner` counts its own pixels.  The
    remarks judge the results of the present weights by eye.
    """

    photograph: str
    corner: tuple[int, int]
    scale: int
    kernel: str = ""
    noise: float = 0.0
    words: str = "as it is"
    remark: str = ""

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the observation: those of a panel at scales 1 and 2."""
        return (88, 116) if self.scale > 2 else (PANEL[1] // self.scale, PANEL[0] // self.scale)

    def pair(self) -> tuple[Tensor, Tensor | None]:
        """The observation (1, C, h, w), in 8 bits, and the ground truth, if there is one.

        The whole photograph is blurred and the observation cut from it, at a distance from its
        edges, so that pixels beyond the border of the observation count, as in a camera.
        """
        pixels = torch.from_numpy(getattr(data, self.photograph)()).float() / 255
        photograph = pixels.reshape(*pixels.shape[:2], -1).permute(2, 0, 1)[None]
        s = self.scale if self.kernel else 1
        (top, left), (height, width) = self.corner, (s * side for side in self.size)
        rows, columns = slice(top, top + height), slice(left, left + width)
        cut = photograph[..., rows, columns]
        if not self.kernel:
            return cut, None
        k = make_kernel(self.kernel)
        reach = max(k.shape[-2:]) // 2
        assert reach <= min(top, left, photograph.shape[-2] - rows.stop)
        assert reach <= photograph.shape[-1] - columns.stop
        sharp = downsample(blur(photograph, k)[..., rows, columns], s)
        y = add_noise(sharp, self.noise, torch.Generator().manual_seed(0))
        return (y.clamp(0, 1) * 255).round() / 255, cut


CASES = (
    Case("astronaut", (20, 120), 2, "motion:3", 0.01, "wide motion blur, noise 1 %"),
    Case("coffee", (60, 150), 2, "gaussian:2.4,0.9,150", 0.01, "oblique blur 2.4 x 0.9, noise 1 %"),
    Case("chelsea", (50, 100), 2, "gaussian:1.6", 0.01, "Gaussian blur 1.6, noise 1 %"),
    Case("rocket", (20, 80), 4, "gaussian:2.5", 0.01, "Gaussian blur 2.5, noise 1 %"),
    Case("coins", (20, 20), 2),
    Case(
        "chelsea",
        (50, 100),
        2,
        "gaussian:1.2",
        0.2,
        "Gaussian blur 1.2, noise 20 %",
        "Fails: the fur is gone, what is left looks painted.",
    ),
    Case(
        "chelsea",
        (50, 100),
        2,
        "motion:2",
        0.03,
        "wide motion blur, noise 3 %",
        "The outlines are single again, the fur is gone.",
    ),
    Case(
        "clock",
        (50, 50),
        1,
        words="as it is: the camera moved",
        remark="Fails: the blur is wider than the estimated kernel's 25 x 25.",
    ),
)


def main(path: Path) -> None:
    width = 3 * PANEL[0] + 2 * GAP
    height = PANEL[1] + 4 * LINE + 3 * GAP
    drawing = Image.new("RGB", (width, len(CASES) * height), "white")
    for i, case in enumerate(CASES):
        drawing.paste(row(case, width, height), (0, i * height))
    with atomic(path) as temporary:
        drawing.save(temporary, "JPEG", quality=88, optimize=True)


def row(case: Case, width: int, height: int) -> Image.Image:
    """Three panels, what was done above them, and the verdict that `pnp run` prints below."""
    y, truth = case.pair()
    restored = restore(y, DEFAULT, scale=case.scale, reference=truth)
    drawing = Image.new("RGB", (width, height), "white")
    pen = ImageDraw.Draw(drawing)
    bold, plain = ImageFont.load_default(14), ImageFont.load_default(13)
    heading = f"{case.photograph}, scale {case.scale}: {case.words}"
    pen.text((0, 0), heading, "black", bold)
    for i, (title, image) in enumerate(panels(case, y, restored).items()):
        left = i * (PANEL[0] + GAP)
        pen.text((left, LINE + 2), title, "black", plain)
        drawing.paste(picture(image), (left, 2 * LINE + 4))
    verdict = f"kernel: {restored.record['kernel']['verdict']}"
    below = 2 * LINE + 5 + PANEL[1]
    pen.text((0, below), verdict, "black", plain)
    pen.text((0, below + LINE - 2), case.remark, FAILED, plain)
    print(f"{heading}; {verdict}")
    return drawing


def panels(case: Case, y: Tensor, restored: Restored) -> dict[str, Tensor]:
    quality = restored.record["quality"]
    before, after = (
        f" {quality[name]:.1f} dB" if name in quality else ""
        for name in ("psnr_before", "psnr_after")
    )
    shown = ", here the middle" if case.scale * y.shape[-1] > PANEL[0] else ""
    return {
        f"given: {y.shape[-1]} x {y.shape[-2]} pixels{shown}": build("nearest")(y, case.scale),
        f"bicubic{before}": build("bicubic")(y, case.scale),
        f"restored{after}": restored.image,
    }


def picture(image: Tensor) -> Image.Image:
    """The middle of an image (1, C, H, W), in the size of a panel."""
    width, height = PANEL
    top, left = (image.shape[-2] - height) // 2, (image.shape[-1] - width) // 2
    middle = image[0, :, top : top + height, left : left + width].expand(3, -1, -1)
    return Image.fromarray((middle.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy())


if __name__ == "__main__":
    root = Path(__file__).parent.parent
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else root / "docs" / "img" / "gallery.jpg")
