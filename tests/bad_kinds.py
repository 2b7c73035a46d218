"""The table of bad inputs: images, kernels, masks, options. `bad_documents.py` has the others."""

from __future__ import annotations

import gzip
import os

import numpy as np
from bad_documents import COMPARISONS, DOCUMENTS, PLUGINS, RECIPES, WEIGHTS
from bad_files import (
    DEEP,
    PAGE,
    PIXELS,
    POINTER,
    TAPS,
    animation,
    bmp_header,
    chunk,
    folder,
    hole,
    link_to,
    matlab,
    npy,
    npy_header,
    npz,
    pages,
    picture,
    png_header,
    program,
    rotated,
    tiff,
    zip_bomb,
    zipped,
)
from bad_headers import HEADERS
from bad_inputs import Area, Content, Kind, note, ok

FIVE = np.dstack([PIXELS, PIXELS[..., :2]])
CUT = "the image cannot be read; is it damaged or cut off?"
UNKNOWN = "this is not an image of a known format (PNG, TIFF, JPEG"
HUGE = "but the limit is 100 megapixels"
RAW = "this is a camera's raw file"
LATIN = os.fsdecode(b"caf\xe9")


def image(given: str, says: str, content: Content, name: str = "a.png") -> Kind:
    """A file that is no good image."""
    return Kind(given, f"run bicubic {name} -s 2", says, {name: content})


def read(given: str, content: Content, name: str = "a.png") -> Kind:
    """A file that is read."""
    made = f"restored/{name.rpartition('.')[0]}_x2.png"
    return ok(given, f"run bicubic {name} -s 2", "48 x 48", made, files={name: content})


IMAGES = (
    Kind("no such file", "run bicubic a.png -s 2", "a.png: there is no such file"),
    Kind("an address", "run bicubic https://x.org/a.png -s 2", "there is no such file"),
    Kind("an empty name", "run bicubic '' -s 2", "IMAGE is empty; is a variable of the shell"),
    image("a link to nothing", "there is no such file", link_to("nothing.png")),
    image("a folder called a.png", "a.png: there are no images in this folder", folder),
    image("a named pipe", "there is no such file", os.mkfifo),
    image("an empty file", "the file is empty", b""),
    image("text", UNKNOWN, "not a picture"),
    image("random bytes", UNKNOWN, np.random.default_rng(1).bytes(500)),
    image("zeros", UNKNOWN, bytes(500)),
    image("a PNG that is cut off", CUT, picture()[:300]),
    image("a PNG of 16 bits that is cut off", CUT, tiff(DEEP)[:300], "a.tif"),
    image("a JPEG that is cut off", CUT, picture(form="JPEG")[:400], "a.jpg"),
    image("a WebP that is cut off", CUT, picture(form="WEBP")[:100], "a.webp"),
    image("a PNG without its first chunk", UNKNOWN, picture()[:8]),
    image(
        "a PNG whose pixels are damaged",
        CUT,
        picture().replace(b"IDAT", b"IDAT\0\0\0\0", 1),
    ),
    image(
        "a PNG of 16 bits whose pixels are damaged",
        CUT,
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", (24).to_bytes(4, "big") * 2 + bytes([16, 2, 0, 0, 0]))
        + chunk(b"IDAT", b"no zlib")
        + chunk(b"IEND", b""),
    ),
    image("a size of 0 pixels", UNKNOWN, png_header(0, 5)),
    image("an EPS called .png (a program for Ghostscript)", UNKNOWN, "%!PS-Adobe-3.0 EPSF-3.0\n"),
    image("a PDF called .png", UNKNOWN, picture(form="PDF")),
    image("an SVG called .png", UNKNOWN, "<svg xmlns='http://www.w3.org/2000/svg'/>"),
    image("an icon called .png", UNKNOWN, picture(form="ICO")),
    image("a TGA called .png", UNKNOWN, picture(form="TGA")),
    image("an archive of arrays", UNKNOWN, npz(a=PIXELS)),
    image("a photograph of an iPhone", UNKNOWN, b"\0\0\0\x18ftypheic" + bytes(99), "a.heic"),
    image("a film called .png", UNKNOWN, b"\0\0\0\x18ftypmp42" + bytes(99)),
    image("a page of an error of a server", "this is a web page", PAGE),
    image("a pointer of Git LFS", "git lfs pull fetches it", POINTER),
    image("a pointer of git-annex", "git annex get fetches it", "/annex/objects/MD5E-s9--0.png\n"),
    image("a PNG in a gzip archive", UNKNOWN, gzip.compress(picture(), mtime=0)),
    image("a width of 20 digits", "cannot be read", b"P6\n99999999999999999999 2\n255\n"),
    image(
        "dates in an array", "the range of datetime64[s]", npy(np.zeros((8, 8), "M8[s]")), "a.npy"
    ),
    image("a raw file of a camera, by its name", RAW, b"MM\0*\0\0\0\x08" + bytes(500), "a.nef"),
    image("a raw file, by its content", RAW, b"II*\0\x10\0\0\0CR\2\0" + bytes(500), "a.tif"),
    image(
        "a TIFF that begins with a thumbnail",
        "is a thumbnail",
        pages(PIXELS, PIXELS, subfiletype=1),
        "a.tif",
    ),
    image("a PNG that states 169 megapixels", HUGE, png_header(13000, 13000)),
    image("a PNG of 16 bits that states 169 megapixels", HUGE, png_header(13000, 13000, 16)),
    image("a BMP that states 200 megapixels", HUGE, bmp_header(20000, 10000)),
    image(
        "an array of 200 megapixels",
        HUGE,
        hole(npy_header((10000, 20000), "|u1")[:128], 200_000_128),
        "a.npy",
    ),
    image(
        "an array that states more than there is",
        "the header states 7.2e+04 MB",
        npy_header((3, 3, 10**9)),
        "a.npy",
    ),
    image(
        "a JPEG in CMYK",
        "the colours are CMYK, and their conversion to RGB depends on the profile; convert it to sRGB",
        picture(form="JPEG", mode="CMYK"),
        "a.jpg",
    ),
    image(
        "a TIFF in CMYK",
        "the colours are CMYK, and their conversion to RGB depends on the profile; convert it to sRGB",
        picture(form="TIFF", mode="CMYK"),
        "a.tif",
    ),
    image(
        "a TIFF in CMYK of 16 bits",
        "16 bits and kind SEPARATED",
        tiff(np.dstack([DEEP, DEEP[..., :1]]), "separated"),
        "a.tif",
    ),
    image("a TIFF in Lab", "the colours are LAB", tiff(PIXELS, "cielab"), "a.tif"),
    image(
        "a TIFF of whole numbers of 32 bits",
        "the range of uint32 numbers is unknown",
        tiff(DEEP.astype(np.uint32)),
        "a.tif",
    ),
    image("floats on 0-255", "divide by 255 or 65535", npy(PIXELS * 1.0), "a.npy"),
    image("floats on [-1, 1]", "take x / 2 + 0.5", npy(PIXELS / 127.5 - 1), "a.npy"),
    image(
        "floats with NaN",
        "the image holds NaN or infinite values",
        npy(np.full((9, 9), np.nan)),
        "a.npy",
    ),
    image(
        "floats with an infinite value",
        "NaN or infinite",
        tiff(np.full((9, 9), np.inf, np.float32), "minisblack"),
        "a.tif",
    ),
    image("channels first", "channels last", npy(np.zeros((3, 24, 24))), "a.npy"),
    image("a TIFF of five channels", "this TIFF has 5 channels", tiff(FIVE), "a.tif"),
    image(
        "a PPM of 16 bits, cut off",
        CUT,
        b"P6 24 24 65535\n" + bytes(99),
        "a.ppm",
    ),
    image(
        "a PPM with a value above its largest",
        "a value of the PPM is above its largest, 1000",
        b"P3 1 1 1000 7 1001 8\n",
        "a.ppm",
    ),
    image("five channels", "C at most 4", npy(np.zeros((24, 24, 5))), "a.npy"),
    image("one dimension", "an image is (H, W) or (H, W, C)", npy(np.zeros(24)), "a.npy"),
    image("a batch", "an image is (H, W) or (H, W, C)", npy(np.zeros((2, 24, 24, 3))), "a.npy"),
    image("no pixels", "but its shape is (0, 24)", npy(np.zeros((0, 24))), "a.npy"),
    image(
        "complex numbers",
        "the range of complex128 numbers is unknown",
        npy(np.zeros((9, 9), complex)),
        "a.npy",
    ),
    image("text in an array", "numbers is unknown", npy(np.full((9, 9), "a")), "a.npy"),
    image("Python objects in an array", CUT, npy(np.full((9, 9), None), True), "a.npy"),
    image(
        "whole numbers of 64 bits",
        "the range of int64 numbers is unknown",
        npy(np.zeros((9, 9), int)),
        "a.npy",
    ),
    image("a pickle called .npy", CUT, program(), "a.npy"),
    Kind(
        "one damaged image of three",
        "run bicubic a.png b.png c.png -s 2",
        "1 of 3 images could not be restored",
        {"a.png": picture(), "b.png": b"", "c.png": picture()},
        "refused, the others are restored",
        ("restored/a_x2.png", "restored/c_x2.png"),
    ),
    read("grey", picture(PIXELS[..., 0])),
    read("grey with alpha", picture(mode="LA")),
    read("RGBA", picture(mode="RGBA")),
    read("transparent everywhere", picture(np.dstack([PIXELS, 0 * PIXELS[..., :1]]))),
    read("a palette", picture(mode="P")),
    read("black and white, 1 bit", picture(mode="1")),
    read("16 bits", picture(DEEP[..., 0])),
    read("a TIFF of 16 bits", tiff(DEEP), "a.tif"),
    read("a TIFF of floats", tiff((PIXELS / 255).astype(np.float32)), "a.tif"),
    read("an array of bool", npy(PIXELS[..., 0] > 99), "a.npy"),
    read("a JPEG in YCbCr", picture(form="JPEG", mode="YCbCr"), "a.jpg"),
    read("a wrong suffix", picture(form="JPEG")),
    read("no suffix of an image", picture(), "a.xyz"),
    read("a damaged profile", picture(icc_profile=b"no profile")),
    read("damaged EXIF", picture(form="JPEG", exif=b"Exif\0\0nothing"), "a.jpg"),
    ok(
        "a photograph on its side (EXIF)",
        "run bicubic a.jpg -s 2",
        "40 x 48",
        "restored/a_x2.png",
        files={"a.jpg": rotated()},
    ),
    ok(
        "an orientation that does not exist",
        "run bicubic a.jpg -s 2",
        "48 x 40",
        "restored/a_x2.png",
        files={"a.jpg": rotated(99)},
    ),
    ok(
        "one pixel",
        "run bicubic a.png -s 2",
        "2 x 2",
        "restored/a_x2.png",
        files={"a.png": picture(PIXELS[:1, :1])},
    ),
    note(
        "an animation",
        "run bicubic a.gif -s 2",
        "the first of 2 frames is used",
        "restored/a_x2.png",
        files={"a.gif": animation()},
    ),
    note(
        "several pages",
        "run bicubic a.tif -s 2",
        "the first of 2",
        "restored/a_x2.png",
        files={"a.tif": pages(PIXELS, PIXELS)},
    ),
    read("a name that is not UTF-8", picture(), f"{LATIN}.png"),
    ok(
        "a name of an ending alone",
        "run bicubic ..png -s 2",
        "48 x 48",
        "restored/._x2.png",
        files={"..png": picture()},
    ),
    read("a name of 244 characters", picture(), f"{'n' * 240}.png"),
    Kind(
        "a name of 254 characters",
        f"run bicubic {'n' * 250}.png -s 2",
        "File name too long; rename",
        {f"{'n' * 250}.png": picture()},
    ),
    Kind(
        "a name that would change the terminal",
        "run bicubic a\x1b[31m.png -s 2",
        r"a\x1b[31m.png: there is no such file",
    ),
    Kind(
        "a name that begins with a dash",
        "run bicubic -a.png -s 2",
        "pnp run has no option -a.png",
        {"-a.png": picture()},
    ),
)


def kernel(given: str, says: str, content: Content, name: str = "a.npy", mark: str = "") -> Kind:
    """A file that is no good kernel."""
    return Kind(given, f"run tv.yaml photo.png -k {name}{mark}", says, {name: content})


def words(given: str, text: str, says: str) -> Kind:
    """Words that are no kernel."""
    return Kind(given, f"run tv.yaml photo.png -k {text}", says)


DISC = "write disc:RADIUS with a radius"
GAUSSIAN = "write gaussian:WIDTH or gaussian:WIDTH,WIDTH,DEGREES"
DAMAGED = "the kernel cannot be read; is it damaged or cut off?"
KERNELS = (
    Kind("no kernel", "run tv.yaml photo.png", "the pipeline tv.yaml needs --kernel"),
    Kind(
        "no such file",
        "run tv.yaml photo.png -k a.npy",
        "a.npy: there is no such file; in words, a kernel is",
    ),
    Kind("an empty name", "run tv.yaml photo.png -k ''", "--kernel is empty"),
    Kind(
        "a kernel for a pipeline that has none",
        "run bicubic photo.png -s 2 -k k.npy",
        "--kernel cannot be given",
    ),
    kernel("a folder", "this is a folder, not a kernel", folder),
    kernel("an empty file", DAMAGED, b""),
    kernel("a file that is cut off", DAMAGED, npy(TAPS)[:-9]),
    kernel("random bytes", DAMAGED, np.random.default_rng(1).bytes(500)),
    kernel("a pickle", DAMAGED, program()),
    kernel("a pointer of Git LFS", "git lfs pull fetches it", POINTER),
    kernel("a web page", "this is a web page", PAGE, "a.mat"),
    kernel(
        "numbers as text", "kernels are read from .npy, .npz, .mat and pictures", "1 2 1", "a.txt"
    ),
    kernel(
        "numbers as JSON", "kernels are read from .npy, .npz, .mat and pictures", "[[1]]", "a.json"
    ),
    kernel("one dimension", "but its shape is (9,)", npy(np.ones(9) / 9)),
    kernel("one number", "but its shape is ()", npy(1.0)),
    kernel("no taps", "but its shape is (0, 3)", npy(np.zeros((0, 3)))),
    kernel("a colour image", "one for all colours", npy(np.ones((9, 9, 3)) / 81)),
    kernel("all taps zero", "all taps of the kernel are zero", npy(0 * TAPS)),
    kernel("NaN", "the kernel holds NaN or infinite values", npy(TAPS * np.nan)),
    kernel("taps of 1e308", "are too large to be added", npy(np.full((3, 3), 1e308))),
    kernel("negative taps", "the kernel has negative taps", npy(-TAPS)),
    kernel(
        "taps that sum to zero", "the kernel has negative taps", npy(np.array([[1.0, 0, -1]] * 3))
    ),
    kernel(
        "complex numbers", "a kernel holds real numbers, but these are complex128", npy(TAPS + 0j)
    ),
    kernel("text in an array", "a kernel holds real numbers", npy(np.full((3, 3), "a"))),
    kernel("Python objects in an array", DAMAGED, npy(np.full((3, 3), None), True)),
    kernel("larger than the image", "larger than the image", npy(np.full((25, 25), 1 / 625))),
    kernel("an image in place of a kernel", "501 a side is the limit", npy(np.ones((502, 3)))),
    kernel("an array that states 72 GB", "the header states 7.2e+04 MB", npy_header((3, 3, 10**9))),
    kernel("an archive that unpacks to 4 GB", "unpacks to 4.29e+03 MB", zip_bomb(), "a.npz"),
    kernel("a damaged archive", DAMAGED, b"PK\3\4" + bytes(90), "a.npz"),
    kernel("an empty archive", "the file holds no array", npz(), "a.npz"),
    kernel("an archive of text", DAMAGED, zipped("a.txt", b"1 2 3"), "a.npz"),
    kernel(
        "two kernels, none chosen",
        "a.npz holds 2 kernels (k, l); choose one",
        npz(k=TAPS, l=TAPS),
        "a.npz",
    ),
    kernel("a number that does not exist", "has no kernel '3'", npz(k=TAPS, l=TAPS), "a.npz", "#3"),
    kernel("the number 0", "has no kernel '0'", npz(k=TAPS, l=TAPS), "a.npz", "#0"),
    kernel("a name that does not exist", "has no kernel 'm'", npz(k=TAPS, l=TAPS), "a.npz", "#m"),
    kernel(
        "a damaged MATLAB file",
        DAMAGED,
        b"MATLAB 5.0 MAT-file".ljust(124) + b"\0\1IM" + bytes(50),
        "a.mat",
    ),
    kernel(
        "a MATLAB file that lacks an imaginary part",
        "an array lacks some of its entries",
        matlab(k=TAPS).replace(b"\6\0\0\0\0\0\0\0\5", b"\6\x08\0\0\0\0\0\0\5"),
        "a.mat",
    ),
    kernel(
        "a MATLAB file whose numbers are of an unknown type",
        "an array lacks some of its entries",
        matlab(k=TAPS).replace(b"\x09\0\0\0\x48", b"\x99\0\0\0\x48"),
        "a.mat",
    ),
    kernel(
        "a MATLAB file that states 134 million cells",
        "an array lacks some of its entries",
        matlab(k={"a": TAPS}).replace(b"\1\0\0\0\1\0\0\0\1", b"\1\0\0\x08\1\0\0\0\1", 1),
        "a.mat",
    ),
    kernel("a MATLAB file of text", "a kernel is an array (K, L)", matlab(k="text"), "a.mat"),
    kernel("a MATLAB structure", "a kernel holds real numbers", matlab(k={"a": TAPS}), "a.mat"),
    kernel(
        "a picture with colours",
        "a picture of a kernel must be grey",
        picture(PIXELS[:9, :9]),
        "a.png",
    ),
    kernel(
        "a picture that is black",
        "all taps of the kernel are zero",
        picture(0 * PIXELS[:9, :9, 0]),
        "a.png",
    ),
    kernel(
        "a picture that was enlarged for viewing",
        "is enlarged 40 times for viewing",
        picture(PIXELS[:3, :3, 0].repeat(40, 0).repeat(40, 1)),
        "a.png",
    ),
    words("a width of 0", "gaussian:0", GAUSSIAN),
    words("a width below 0", "gaussian:-1", GAUSSIAN),
    words("two numbers", "gaussian:1,2", GAUSSIAN),
    words("a word for a width", "gaussian:wide", GAUSSIAN),
    words("NaN for a width", "gaussian:nan", GAUSSIAN),
    words("a width of 1e9", "gaussian:1e9", GAUSSIAN),
    words("a digit that is none", "gaussian:²", GAUSSIAN),
    words("a radius of 0", "disc:0", DISC),
    words("a word for a radius", "disc:big", DISC),
    words("a radius of 1e9", "disc:1e9", DISC),
    words("a superscript as seed", "motion:²", "write motion:SEED with a whole number"),
    words("a seed below 0", "motion:-1", "write motion:SEED with a whole number"),
    words("a seed of 30 digits", f"motion:{'9' * 30}", "write motion:SEED with a whole number"),
    words("a word without its number", "gaussian", "there is no such file; in words, a kernel is"),
    note(
        "taps that sum to 2",
        "run tv.yaml photo.png -k a.npy",
        "the kernel sums to 2",
        "restored/photo_x1.png",
        files={"a.npy": npy(2 * TAPS)},
    ),
    ok(
        "whole numbers",
        "run tv.yaml photo.png -k a.npy",
        "24 x 24",
        "restored/photo_x1.png",
        files={"a.npy": npy(np.ones((3, 3), int))},
    ),
    ok(
        "an even size",
        "run tv.yaml photo.png -k a.npy",
        "24 x 24",
        "restored/photo_x1.png",
        files={"a.npy": npy(np.ones((4, 2), int))},
    ),
    ok(
        "a Gaussian wider than the image",
        "run tv.yaml photo.png -k gaussian:9",
        "24 x 24",
        "restored/photo_x1.png",
    ),
)


def mask(given: str, says: str, content: Content, name: str = "m.png") -> Kind:
    """A file that is no good mask."""
    return Kind(given, f"run fill.yaml photo.png --mask {name}", says, {name: content})


HOLE = np.where(np.arange(24)[:, None] * np.ones(24) < 12, 255, 0).astype(np.uint8)
MASKS = (
    Kind("no mask", "run fill.yaml photo.png", "needs --mask"),
    Kind("no such file", "run fill.yaml photo.png --mask m.png", "m.png: there is no such file"),
    Kind("an empty name", "run fill.yaml photo.png --mask ''", "--mask is empty"),
    Kind(
        "a mask for a pipeline that has none",
        "run tv.yaml photo.png -k k.npy --mask m.png",
        "so --mask cannot be given",
        {"m.png": picture(HOLE)},
    ),
    mask(
        "another size",
        "the mask has shape (1, 1, 20, 24) but y has (1, 3, 24, 24)",
        picture(HOLE[:20]),
    ),
    mask("black", "there is no known pixel", picture(0 * HOLE)),
    mask("damaged", CUT, picture(HOLE)[:50]),
    mask("NaN", "the mask holds NaN or infinite values", npy(HOLE * np.nan), "m.npy"),
    mask(
        "seven channels",
        "a mask is an array (H, W) of numbers or bool",
        npy(np.ones((24, 24, 7))),
        "m.npy",
    ),
    mask(
        "complex numbers", "a mask is an array (H, W) of numbers or bool", npy(HOLE + 0j), "m.npy"
    ),
    mask(
        "coloured labels",
        "labels, so it is unknown which of them mean known",
        picture(
            np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255]], np.uint8)[np.arange(24) % 3][
                None
            ].repeat(24, 0)
        ),
    ),
    mask(
        "black and white, and alpha",
        "both the colours and the alpha channel",
        picture(np.dstack([HOLE, HOLE, HOLE, HOLE.T])),
    ),
    ok(
        "levels 0 and 1",
        "run fill.yaml photo.png --mask m.png",
        "24 x 24",
        "restored/photo_x1.png",
        files={"m.png": picture(HOLE // 255)},
    ),
    ok(
        "white",
        "run fill.yaml photo.png --mask m.png",
        "24 x 24",
        "restored/photo_x1.png",
        files={"m.png": picture(HOLE | 255)},
    ),
    ok(
        "a hole in the alpha channel",
        "run fill.yaml photo.png --mask m.png",
        "24 x 24",
        "restored/photo_x1.png",
        files={"m.png": picture(np.dstack([PIXELS, HOLE]))},
    ),
)


def option(given: str, text: str, says: str) -> Kind:
    """An option that is wrong."""
    return Kind(given, f"run tv.yaml photo.png -k k.npy {text}", says)


LEVEL = "but should be a noise level on [0, 1]"
OPTIONS = (
    Kind(
        "a command that does not exist",
        "rum photo.png",
        "there is no command 'rum'; did you mean 'run'?",
    ),
    Kind("no images", "run", "the following arguments are required: IMAGE"),
    Kind("a pipeline alone", "run hqs-tv", "no image is named; write: pnp run hqs-tv IMAGE"),
    Kind(
        "a pipeline that does not exist",
        "run hqs-tvv photo.png",
        "there is no pipeline called 'hqs-tvv'; did you mean 'hqs-tv'?",
    ),
    Kind(
        "a file that is not there",
        "run ./mine.yaml photo.png",
        "./mine.yaml: there is no such file",
    ),
    option(
        "an option that does not exist",
        "--sacle 2",
        "pnp run has no option --sacle; did you mean '--scale'?",
    ),
    option("an option without a value", "--sigma", "expected one argument"),
    option("a scale of 0", "-s 0", "the scale is '0', but it must be a whole number from 1 to 16"),
    option("a scale of 2.5", "-s 2.5", "the scale is '2.5'"),
    option("a scale of -1", "-s -1", "the scale is '-1'"),
    option("a scale of 17", "-s 17", "the scale is '17'"),
    option(
        "a scale of 400 digits", f"-s {'9' * 400}", "but it must be a whole number from 1 to 16"
    ),
    option("an empty scale", "-s ''", "the scale is ''"),
    Kind("no scale where one is needed", "run bicubic photo.png", "needs --scale"),
    option("a word as noise", "--sigma much", LEVEL),
    option("a noise level of 0-255", "--sigma 15", "write 15/255 or 15% if that is meant"),
    option("a noise level below 0", "--sigma=-1", LEVEL),
    option("NaN as noise", "--sigma nan", LEVEL),
    option("an infinite noise level", "--sigma 1e400", LEVEL),
    option("a division by zero", "--sigma 5/0", LEVEL),
    option("more than 100 %", "--sigma 101%", LEVEL),
    option("a seed below 0", "--seed=-1", "the seed is '-1', but it must be a whole number from 0"),
    option("a seed of 30 digits", f"--seed {'9' * 30}", "but it must be a whole number from 0"),
    option("a seed of 1.5", "--seed 1.5", "the seed is '1.5'"),
    option("a seed in superscript", "--seed ²", "the seed is '²'"),
    option("a device that does not exist", "--device gpu7", "--device gpu7: cannot be used here"),
    option(
        "a GPU that does not exist", "--device cuda:99", "--device cuda:99: cannot be used here"
    ),
    option("the device meta", "--device meta", "--device meta: cannot be used here"),
    option("no jobs", "--jobs 0", "from 1 to 256"),
    option("an infinite memory", "--max-memory infGB", "write an amount of memory"),
    option("a memory of 400 digits", f"--max-memory {'9' * 400}GB", "write an amount of memory"),
    option("a word as reduction", "--reduce half", "give auto, or a factor from 1 to 16"),
    option("a reduction below 1", "--reduce 0.5", "give auto, or a factor from 1 to 16"),
    option(
        "a reduction where the kernel is given",
        "--reduce 2",
        "whose kernel is estimated are reduced",
    ),
    option("a noise level with a comma", "--sigma 0,02", "write it as 0.02, 2% or 5/255"),
    option("two noise levels", "--sigma 1%,2%", "write it as 0.02, 2% or 5/255"),
    option(
        "a format that is not written",
        "--format gif",
        "--format is 'gif', but must be one of png, same",
    ),
    option(
        "another precision",
        "--dtype fp64",
        "--dtype is 'fp64', but must be one of auto, fp32, bf16",
    ),
    option("--set without a value", "--set repeat", "--set repeat: write it as key=value"),
    option("--set without a key", "--set =3", "--set =3: write it as key=value"),
    option("a key that does not exist", "--set repaet=3", "did you mean 'repeat'?"),
    option("an empty value", "--set repeat=", "--set repeat="),
    option("no steps", "--set steps=[]", "steps is empty"),
    option("an empty module", "--set modules.P={}", "'P: {}' changes nothing"),
    option(
        "no iterations", "--set repeat=0", "repeat should be a whole number of at least 1, not 0"
    ),
    option(
        "half an iteration",
        "--set repeat=2.5",
        "repeat should be a whole number of at least 1, not 2.5",
    ),
    option(
        "1e12 iterations",
        "--set repeat=1000000000000",
        "repeat should be a whole number of at most 1000000",
    ),
    option("a module that does not exist", "--set modules.Q.x=1", "Q"),
    option("an option that the module has not", "--set modules.P.x=1", "P: there is no option 'x'"),
    option(
        "an option of the wrong type",
        "--set modules.P.strength=big",
        "P: strength is 'big', but should be a number",
    ),
    option(
        "an option out of range",
        "--set modules.P.iterations=0",
        "P: iterations is 0, but should be",
    ),
    option("a key below a number", "--set repeat.a=1", "'repeat' is a single value without 'a'"),
    option("a value that is not YAML", "--set repeat=[1", "--set repeat=[1"),
    option(
        "an overlay that does not exist", "--with nothing", "there is no pipeline called 'nothing'"
    ),
    option(
        "a trace of an unknown variable",
        "--trace-also q",
        "--trace-also q: this pipeline has no such variable",
    ),
    Kind(
        "a trace without iterations",
        "run bicubic photo.png -s 2 --trace",
        "--trace: bicubic has no iterations",
    ),
    option("a reference that is not there", "--reference r.png", "r.png: there is no such file"),
    Kind(
        "a reference of another size",
        "run tv.yaml photo.png -k k.npy --reference r.png",
        "it is 20 x 24, but photo.png at scale 1 becomes 24 x 24",
        {"r.png": picture(PIXELS[:20])},
    ),
    Kind(
        "a reference for two images",
        "run tv.yaml photo.png a.png -k k.npy --reference photo.png",
        "--reference is the ground truth of one image",
        {"a.png": picture()},
    ),
    ok(
        "a grey reference of a colour image",
        "run tv.yaml photo.png -k k.npy --reference r.png",
        "PSNR",
        "restored/photo_x1.png",
        files={"r.png": picture(PIXELS[..., 0])},
    ),
    Kind("a size of 0", "show hqs-tv --size 0x9", "--size 0x9: write height and width"),
    Kind("a size below 0", "show hqs-tv --size=-1x9", "--size -1x9: write height and width"),
    Kind("a size without a width", "show hqs-tv --size 9", "--size 9: write height and width"),
    Kind(
        "a list that does not exist",
        "list priors2",
        "there is no module called 'priors2'; `pnp list` shows all",
    ),
    Kind(
        "nothing of this name to show",
        "show scunett",
        "called 'scunett'; did you mean the prior 'scunet'?",
    ),
    Kind(
        "a difference of a pipeline and a recipe",
        "diff hqs-tv recipe:joint",
        "only things of one kind are compared",
    ),
    Kind("a citation of no pipeline", "cite nothing", "there is no pipeline called 'nothing'"),
    Kind(
        "a protocol that does not exist",
        "degrade photo.png -o out --protocol mine",
        "there is no protocol 'mine'",
    ),
    Kind(
        "a scale larger than the image",
        "degrade a.png -o out -s 16",
        "it is too small",
        {"a.png": picture(PIXELS[:9])},
    ),
    Kind("noise that is no number", "degrade photo.png -o out --sigma much", LEVEL),
    Kind(
        "pictures below 0",
        "compare tv.yaml --data images --keep -1",
        "keep is -1, but should be a whole number of at least 0",
        {"images/a.png": picture()},
    ),
    Kind(
        "every 0th image",
        "compare tv.yaml --data images --every 0",
        "every is 0, but should be a whole number of at least 1",
        {"images/a.png": picture()},
    ),
    Kind(
        "the first -1 images",
        "compare tv.yaml --data images --limit -1",
        "limit is -1, but should be a whole number of at least 0",
        {"images/a.png": picture()},
    ),
    Kind(
        "a comparison without images", "compare tv.yaml", "name a folder of images with --data DIR"
    ),
    Kind(
        "a method that does not exist",
        "compare tv.yaml --data images --only mine",
        "there is no method 'mine'",
        {"images/a.png": picture()},
    ),
    Kind("a figure that cannot be drawn", "figure 9", "only figures 7, 8, 11, 12, 13"),
    Kind(
        "a report of a folder without one",
        "report images",
        "there is no comparison in this folder",
        {"images/a.png": picture()},
    ),
)

BESIDE = {"a/photo.png": picture(), "images/photo.png": picture(), "images/photo.jpg": picture()}
FOLDERS = (
    Kind(
        "results in a file",
        "run bicubic photo.png -s 2 -o k.npy",
        "'k.npy' would be a folder, because names are made of those of the images",
    ),
    Kind(
        "results below a file",
        "run bicubic photo.png -s 2 -o k.npy/out",
        "the folder cannot be created: Not a directory",
    ),
    Kind(
        "results in a folder of a long name",
        f"run bicubic photo.png -s 2 -o {'n' * 300}",
        "File name too long",
    ),
    Kind(
        "results where nothing can be written",
        "run bicubic photo.png -s 2 -o /proc/pnp",
        "the folder cannot be created",
    ),
    Kind("results in no folder", "run bicubic photo.png -s 2 -o ''", "--out is empty"),
    Kind(
        "a folder in the place of a result",
        "run bicubic photo.png -s 2",
        "there is a folder of this name",
        {"restored/photo_x2.png/a": ""},
    ),
    Kind(
        "a folder without images",
        "run bicubic empty -s 2",
        "empty: there are no images in this folder",
        {"empty": folder},
    ),
    Kind(
        "two images of one name",
        "run bicubic photo.png a/photo.png -s 2",
        "would both be called photo; run them separately",
        BESIDE,
    ),
    Kind(
        "one image by two names",
        "run bicubic photo.png ./photo.png -s 2",
        "would both be called photo",
    ),
    Kind(
        "a result that would replace the image",
        "run bicubic a.png -s 2 -o .",
        "the result would overwrite the observation",
        {"a_x2.png": picture(), "a.png": link_to("a_x2.png")},
    ),
    Kind(
        "a result that would replace a later image",
        "run bicubic photo.png photo_x2.png -s 2 -o .",
        "would overwrite the observation",
        {"photo_x2.png": picture()},
    ),
    Kind(
        "a result that would replace the kernel",
        "run tv.yaml photo.png -k photo_x1_kernel.npy -o .",
        "would overwrite the kernel",
        {"photo_x1_kernel.npy": npy(TAPS)},
    ),
    Kind(
        "a result that would replace the mask",
        "run fill.yaml photo.png --mask photo_x1.png -o .",
        "would overwrite the mask",
        {"photo_x1.png": picture(HOLE)},
    ),
    Kind(
        "a result that would replace the reference",
        "run tv.yaml photo.png -k k.npy --reference photo_x1.png -o .",
        "would overwrite the reference",
        {"photo_x1.png": picture()},
    ),
    Kind(
        "a result that would replace the pipeline",
        "run ./photo_x2.json photo.png -s 2 -o .",
        "would overwrite the pipeline",
        {"photo_x2.json": "extends: bicubic\n"},
    ),
    Kind(
        "a simulation that would replace the image",
        "degrade photo.png photo_x2_hr.png -s 2 -o .",
        "would overwrite the ground truth",
        {"photo_x2_hr.png": picture()},
    ),
    Kind(
        "a simulation that would replace the kernel",
        "degrade photo.png -s 2 -k photo_x2_kernel.npy -o .",
        "would overwrite the kernel",
        {"photo_x2_kernel.npy": npy(TAPS)},
    ),
    Kind(
        "a simulation without a folder",
        "degrade photo.png",
        "the following arguments are required: -o/--out",
    ),
    Kind(
        "rows in a file that is no table of pnp's",
        "compare tv.yaml --data images -o out",
        "its columns are not those of this version of pnp",
        {"images/a.png": picture(), "out/rows.csv": "a,b\n1,2"},
    ),
    Kind(
        "a comparison over the file that describes another",
        "compare tv.yaml --data images -o out",
        "another comparison is there",
        {"images/a.png": picture(), "out/comparison.yaml": "about: mine\n"},
    ),
    Kind(
        "a figure over an image of its own",
        "figure 7 --small --base tv.yaml --data images -o images/a.png",
        "would overwrite the image; choose another name with --out",
        {"images/a.png": picture(), "images/b.png": picture()},
    ),
    ok(
        "an image twice", "run bicubic photo.png photo.png -s 2", "48 x 48", "restored/photo_x2.png"
    ),
    ok(
        "two images of one name in a folder",
        "run bicubic images -s 2",
        "48 x 48",
        "restored/photo.png_x2.png",
        "restored/photo.jpg_x2.png",
        files=BESIDE,
    ),
)

PYTHON = (
    Kind(
        "an image of None",
        "pnp.restore(None, 'bicubic', scale=2)",
        "an image is a path, a PIL image, a NumPy array or a tensor, not NoneType",
    ),
    Kind(
        "a Pipeline in place of its name",
        "pnp.restore(torch.rand(3, 9, 9), pnp.load('bicubic'), scale=2)",
        "pipeline is a Pipeline; give its name or its file",
    ),
    Kind("an empty name", "pnp.restore('', 'bicubic', scale=2)", "the name of the image is empty"),
    Kind("a list of lists", "pnp.restore([[0.5]], 'bicubic', scale=2)", "not list"),
    Kind(
        "a batch",
        "pnp.restore(torch.rand(2, 3, 9, 9), 'bicubic', scale=2)",
        "a batch goes to pnp.load(...)(y=...)",
    ),
    Kind(
        "channels last in a tensor",
        "pnp.restore(torch.rand(9, 9, 3), 'bicubic', scale=2)",
        "an image is a tensor (C, H, W)",
    ),
    Kind(
        "channels first in an array",
        "pnp.restore(np.zeros((3, 9, 9)), 'bicubic', scale=2)",
        "tensors are (C, H, W)",
    ),
    Kind(
        "no pixels",
        "pnp.restore(torch.rand(3, 0, 9), 'bicubic', scale=2)",
        "the image is empty, its shape is (3, 0, 9)",
    ),
    Kind(
        "NaN",
        "pnp.restore(torch.full((3, 9, 9), torch.nan), 'bicubic', scale=2)",
        "holds NaN or infinite values",
    ),
    Kind(
        "values on 0-255",
        "pnp.restore(255 * torch.rand(3, 9, 9), 'bicubic', scale=2)",
        "but images are on [0, 1]",
    ),
    Kind(
        "complex numbers",
        "pnp.restore(torch.zeros(3, 9, 9, dtype=torch.complex64), 'bicubic', scale=2)",
        "the image is complex64; give real numbers",
    ),
    Kind(
        "whole numbers of 64 bits",
        "pnp.restore(np.zeros((9, 9), int), 'bicubic', scale=2)",
        "not int64",
    ),
    Kind(
        "a tensor on the device meta",
        "pnp.restore(torch.zeros(3, 9, 9, device='meta'), 'bicubic', scale=2)",
        "the image is a meta tensor, which has no values",
    ),
    Kind(
        "a sparse tensor",
        "pnp.restore(torch.zeros(3, 9, 9).to_sparse(), 'bicubic', scale=2)",
        "the image is a sparse tensor; give a dense one",
    ),
    Kind(
        "a quantised tensor",
        "pnp.restore(torch.quantize_per_tensor(torch.zeros(3, 9, 9), 1, 0, torch.quint8), 'bicubic', scale=2)",
        "the image is quint8; give floating point numbers (.dequantize())",
    ),
    Kind(
        "a tensor of 8 bit floats",
        "pnp.restore(torch.zeros(3, 9, 9).to(torch.float8_e5m2), 'bicubic', scale=2)",
        "the image is float8_e5m2; give at least 16 bits",
    ),
    Kind(
        "a PIL image in CMYK",
        "pnp.restore(Image.new('CMYK', (9, 9)), 'bicubic', scale=2)",
        "the colours are CMYK",
    ),
    Kind("a scale of 2.5", "pnp.restore('photo.png', 'bicubic', scale=2.5)", "scale is 2.5"),
    Kind("a scale of True", "pnp.restore('photo.png', 'bicubic', scale=True)", "scale is True"),
    Kind("a seed of -1", "pnp.restore('photo.png', 'bicubic', scale=2, seed=-1)", "seed is -1"),
    Kind(
        "a seed of 30 digits",
        "pnp.restore('photo.png', 'bicubic', scale=2, seed=10**30)",
        "but should be a whole number from 0 to 4294967295",
    ),
    Kind(
        "a precision that does not exist",
        "pnp.restore('photo.png', 'bicubic', scale=2, dtype='fp64')",
        "dtype is 'fp64', but should be one of auto, fp32, bf16",
    ),
    Kind("a pipeline of no name", "pnp.restore('photo.png', '')", "there is no pipeline called ''"),
    Kind(
        "a kernel of lists of two lengths",
        "pnp.restore('photo.png', 'tv.yaml', kernel=[[1, 2], [3]])",
        "the taps are no array (K, L)",
    ),
    Kind(
        "a kernel of two kernels",
        "pnp.restore('photo.png', 'tv.yaml', kernel=np.ones((2, 3, 3)))",
        "one kernel is an array (K, L)",
    ),
    Kind(
        "a kernel that sums to zero",
        "pnp.restore('photo.png', 'tv.yaml', kernel=np.zeros((3, 3)))",
        "cannot be divided by its sum",
    ),
    Kind(
        "a kernel with NaN",
        "pnp.restore('photo.png', 'tv.yaml', kernel=np.full((3, 3), np.nan))",
        "k holds NaN or infinite values",
    ),
    Kind(
        "a noise level of 15",
        "pnp.restore('photo.png', 'tv.yaml', kernel='k.npy', sigma=15)",
        "sigma is 15, but should be a noise level on [0, 1]",
    ),
    Kind(
        "a noise level of None in text",
        "pnp.restore('photo.png', 'tv.yaml', kernel='k.npy', sigma='None')",
        "but should be a noise level",
    ),
    Kind(
        "a mask of another size",
        "pnp.restore('photo.png', 'fill.yaml', mask=np.ones((9, 9)))",
        "the mask has shape (1, 1, 9, 9) but y has (1, 3, 24, 24)",
    ),
    Kind(
        "a reference of another size",
        "pnp.restore('photo.png', 'tv.yaml', kernel='k.npy', reference=np.ones((9, 9)))",
        "it is 9 x 9",
    ),
    Kind(
        "an argument that does not exist",
        "pnp.load('bicubic')(y=torch.rand(1, 3, 9, 9), s=2, q=1)",
        "bicubic does not take 'q'; it takes y, s",
    ),
    Kind("no observation", "pnp.load('bicubic')(s=2)", "bicubic needs y; it takes y, s"),
    Kind(
        "an image without a batch",
        "pnp.load('bicubic')(y=torch.rand(3, 9, 9), s=2)",
        "it needs four dimensions, (B, C, H, W)",
    ),
    Kind(
        "two dtypes",
        "pnp.load('tv.yaml')(y=torch.rand(1, 3, 9, 9), k=torch.ones(3, 3).double() / 9)",
        "y is float32 but k is float64",
    ),
    Kind(
        "a kernel of grey levels",
        "pnp.load('tv.yaml')(y=torch.rand(1, 3, 9, 9), k=torch.full((3, 3), 255.0))",
        "the kernel sums to 2295",
    ),
    Kind(
        "three kernels for two images",
        "pnp.load('tv.yaml')(y=torch.rand(2, 3, 9, 9), k=torch.ones(3, 1, 3, 3) / 9)",
        "there are 3 kernels for 2 images",
    ),
    Kind(
        "a change that YAML cannot hold",
        "pnp.load('bicubic', repeat=object())",
        "is not a value that a pipeline can hold",
    ),
    Kind(
        "a module that does not exist",
        "pnp.priors.build('tvv')",
        "there is no prior called 'tvv'; did you mean 'tv'?",
    ),
    Kind("an option out of range", "pnp.priors.build('tv', iterations=0)", "iterations is 0"),
    Kind(
        "a weight of 0",
        "pnp.solvers.build('fft-image')(torch.rand(1, 1, 9, 9), torch.rand(1, 1, 9, 9), torch.ones(1, 1, 3, 3) / 9, 0)",
        "the weight is 0",
    ),
    Kind(
        "sizes that are not a scale apart",
        "pnp.solvers.build('fft-image')(torch.rand(1, 1, 9, 9), torch.rand(1, 1, 12, 12), torch.ones(1, 1, 3, 3) / 9, 0.1)",
        "which is not one whole scale",
    ),
    Kind(
        "images of two sizes",
        "pnp.metrics.psnr(torch.rand(1, 3, 9, 9), torch.rand(1, 3, 9, 8))",
        "the images have different shapes",
    ),
    Kind(
        "a module without annotations",
        "pnp.prior('mine')(type('Mine', (pnp.Prior,), {'forward': lambda self, x: x}))",
        "annotate its parameter 'x' with one of Image, Kernel",
    ),
    ok(
        "an image in half precision",
        "pnp.restore(torch.rand(3, 9, 9).half(), 'bicubic', scale=2)",
        "",
    ),
    ok(
        "an image that is not contiguous",
        "pnp.restore(torch.rand(9, 9, 3).permute(2, 0, 1), 'bicubic', scale=2)",
        "",
    ),
    ok(
        "an image that requires a gradient",
        "pnp.restore(torch.rand(3, 9, 9, requires_grad=True), 'bicubic', scale=2)",
        "",
    ),
)

PLANE = np.fft.fftshift(np.fft.fft2(PIXELS[..., 0] / 255)).astype(np.complex64)
ONES = np.ones(PLANE.shape)


def kspace(given: str, says: str, **arrays: np.ndarray) -> Kind:
    """k-space that is wrong."""
    return Kind(given, "run mri-tv a.npz", says, {"a.npz": npz(**arrays)})


KSPACE = (
    kspace("a mask of another size", "the mask has the shape (24, 23)", y=PLANE, mask=ONES[:, 1:]),
    kspace(
        "a mask that measures nothing", "no line of k-space was measured", y=PLANE, mask=0 * ONES
    ),
    kspace("a mask of grey levels", "other values than 0 and 1", y=PLANE, mask=0.5 * ONES),
    kspace("NaN in k-space", "k-space holds NaN or infinite values", y=PLANE * np.nan),
    kspace("real numbers", "k-space is complex, but this is float32", y=PLANE.real),
    kspace("several coils", "k-space has the shape (2, 24, 24)", y=np.stack((PLANE, PLANE))),
    kspace("zeros", "k-space is zero everywhere", y=0 * PLANE),
    kspace("zero where it was measured", "is zero wherever the mask", y=0 * PLANE, mask=ONES),
    kspace("the zero frequency in the corner", "is in the corner", y=np.fft.ifftshift(PLANE)),
    kspace("no array called y", "it holds data, but no y", data=PLANE),
    Kind("a photograph for MRI", "run mri-tv photo.png", "this pipeline takes k-space, no picture"),
    Kind(
        "k-space for a pipeline of photographs",
        "run bicubic a.npz -s 2",
        "this is not an image of a known format",
        {"a.npz": npz(y=PLANE)},
    ),
    Kind(
        "k-space that is cut off",
        "run mri-tv a.npz",
        "a.npz: cannot be read",
        {"a.npz": npz(y=PLANE)[:99]},
    ),
)
CONTINUED = (
    option("a trace without an iteration", "--from t.npz", "--from needs --iteration N"),
    option("an iteration without a trace", "--iteration 3", "--iteration needs --from TRACE"),
    option("no such trace", "--from t.npz --iteration 0", "t.npz: there is no such file"),
    Kind(
        "a result that would replace a file of another origin",
        "run bicubic photo.png -s 2 -o .",
        "photo_x2.png: this file is there already and is no result of pnp run",
        {"photo_x2.png": picture()},
    ),
    Kind(
        "a named pipe as a trace",
        "run tv.yaml photo.png -k k.npy --from t.npz --iteration 0",
        "t.npz: there is no such file",
        {"t.npz": os.mkfifo},
    ),
    Kind(
        "a named pipe as a record",
        "run --again photo_x2.json",
        "--again photo_x2.json: there is no such file",
        {"photo_x2.json": os.mkfifo},
    ),
    option(
        "a picture as a trace",
        "--from photo.png --iteration 0",
        "photo.png: this is no trace of pnp run",
    ),
    Kind(
        "a trace without states",
        "run tv.yaml photo.png -k k.npy --from t.npz --iteration 0",
        "it holds no state from which a run can continue",
        {"t.npz": npz(x=ONES)},
    ),
    Kind(
        "a trace with broken facts",
        "run tv.yaml photo.png -k k.npy --from t.npz --iteration 0",
        "t.npz: this is no trace of pnp run",
        {"t.npz": npz(**{"state/facts": np.array("{")})},
    ),
    Kind(
        "a trace with other facts",
        "run tv.yaml photo.png -k k.npy --from t.npz --iteration 0",
        "t.npz: this is no trace of pnp run",
        {"t.npz": npz(**{"state/facts": np.array("[1]")})},
    ),
)

AREAS = (
    Area("Image files", "Image files are known by their content, whatever their names.", IMAGES),
    Area("Kernels", "From files and from words.", KERNELS),
    Area("Masks", "`fill.yaml` is `inpaint-tv` with one iteration.", MASKS),
    Area("k-space", "`a.npz` holds y, and mask unless it is left out.", KSPACE),
    Area("Continued runs", "`pnp run --from TRACE --iteration N`.", CONTINUED),
    Area("Options", "Of all commands; pipelines that are changed by them.", OPTIONS),
    DOCUMENTS,
    COMPARISONS,
    RECIPES,
    WEIGHTS,
    HEADERS,
    PLUGINS,
    Area("Folders and results", "Nothing that is given is replaced.", FOLDERS),
    Area("Python", "`pnp.restore`, pipelines and modules.", PYTHON),
)
