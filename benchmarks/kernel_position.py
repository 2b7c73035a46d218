"""What the position of a kernel is worth, which no observation shows: figures of docs/training.md.

    python benchmarks/kernel_position.py

For the motion kernels of `blind.yaml` without noise, PSNR of `usrnet-mini` with the true kernel,
and with the true kernel after its centre of mass has been moved to the middle (by the phase of its
Fourier transform, so that its shape stays).  A blind method that finds the shape exactly, and puts
its kernels in the middle, has the second.
"""

from pathlib import Path
from statistics import fmean

import torch
from torch import Tensor
from tqdm import tqdm

import pnp
from pnp.comparing.observing import Observer
from pnp.comparing.reader import read_comparison
from pnp.kernels import centre_of_mass, resize_kernel
from pnp.metrics import psnr

SIDE = 33
"""The support, wide enough for what leaves that of the file."""


def moved_to_the_middle(k: Tensor) -> Tensor:
    """The kernel with its centre of mass in the middle; some taps are slightly negative."""
    k = resize_kernel(k, SIDE).double()
    down, right = centre_of_mass(k)[0]
    f = torch.fft.fftfreq(SIDE, dtype=k.dtype)
    phase = torch.exp(2j * torch.pi * (f[:, None] * down + f * right))
    return torch.fft.ifft2(torch.fft.fft2(k) * phase).real.float()


@torch.no_grad()
def main() -> None:
    comparison = read_comparison(Path(__file__).with_name("blind.yaml"), ["sigmas=[0]"])
    observe, pipeline = Observer(comparison), pnp.load("usrnet-mini").prepare(torch.bfloat16)
    found: dict[tuple[int, str], list[float]] = {}
    for case in tqdm([c for c in comparison.cases() if c.kernel in comparison.groups["motion"]]):
        seen = observe(case)
        for name, k in {"true": seen.k, "moved": moved_to_the_middle(seen.k)}.items():
            x = pipeline(y=seen.y, s=case.scale, k=k, sigma=case.sigma).x
            border = observe.protocol.border(case.scale)
            value = float(psnr(x.clamp(0, 1), seen.truth, border=border))
            found.setdefault((case.scale, name), []).append(value)
    for (s, name), values in found.items():
        print(f"x{s}, {name}: {fmean(values):.2f} dB ({len(values)} observations)")


if __name__ == "__main__":
    main()
