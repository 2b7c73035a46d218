"""Files that state or unpack to too much are refused before memory is taken; images: test_formats.py."""

import io
import struct
import zipfile
import zlib

import numpy as np
import pytest
from scipy.io import savemat

from pnp import limits
from pnp.cli import main
from pnp.document import read_file
from pnp.errors import PnpError
from pnp.images import read_image
from pnp.kernel_files import read_kernel, read_kernels
from pnp.language.reader import PIPELINES
from pnp.limits import LARGEST_TEXT
from pnp.masks import read_mask

KERNEL = np.full((3, 3), 1 / 9)


@pytest.fixture
def unread(monkeypatch):
    """Reading an array fails the test."""

    def read(*arguments, **options):
        pytest.fail("the file was read")

    monkeypatch.setattr(np, "load", read)
    monkeypatch.setattr("scipy.io.loadmat", read)


@pytest.fixture
def small(monkeypatch):
    """The same limit, of 1 MB, so that the test is fast."""
    monkeypatch.setattr(limits, "LARGEST_UNPACKED", 1_000_000)


def header(shape, descr="<f8", version=1):
    file = io.BytesIO()
    write = getattr(np.lib.format, f"write_array_header_{version}_0")
    write(file, {"descr": descr, "fortran_order": False, "shape": shape})
    return file.getvalue()


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("reader", [read_kernel, read_image, read_mask])
def test_an_array_that_states_more_than_its_file_holds(tmp_path, unread, reader, version):
    (tmp_path / "a.npy").write_bytes(header((3, 3, 10**9), version=version) + bytes(100))
    with pytest.raises(PnpError, match=r"a.npy: the header states 7.2e\+04 MB, but there are"):
        reader(tmp_path / "a.npy")


def test_an_archive_of_arrays_that_unpacks_to_too_much(tmp_path, unread, small):
    np.savez_compressed(tmp_path / "a.npz", first=KERNEL, second=np.zeros((10, 400, 400)))
    assert (tmp_path / "a.npz").stat().st_size < 20_000
    for reader in (read_kernel, read_kernels):
        with pytest.raises(PnpError, match=r"a.npz: the file of .* MB unpacks to 12\.8 MB or more"):
            reader(tmp_path / "a.npz")


def test_an_archive_whose_array_states_more_than_it_holds(tmp_path, unread):
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("k.npy", header((3, 3, 10**9)) + bytes(100))
    with pytest.raises(PnpError, match=r"a.npz: the header states 7.2e\+04 MB"):
        read_kernel(tmp_path / "a.npz")


def matlab(*elements, order="<", version=0x0100):
    """A MATLAB file of elements (type, content)."""
    mark = b"IM" if order == "<" else b"MI"
    head = b"MATLAB 5.0 MAT-file".ljust(124) + struct.pack(f"{order}H", version) + mark
    tags = (struct.pack(f"{order}II", kind, len(data)) + data for kind, data in elements)
    return head + b"".join(tags)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("pieces", [1, 3])
def test_a_MATLAB_file_that_unpacks_to_too_much(tmp_path, unread, small, order, pieces):
    packed = zlib.compress(bytes(5_000_000 // pieces))
    content = matlab((14, bytes(80)), *[(15, packed)] * pieces, order=order)
    (tmp_path / "a.mat").write_bytes(content)
    with pytest.raises(PnpError, match=r"a.mat: the file of .* MB unpacks to \d"):
        read_kernel(tmp_path / "a.mat")


def test_a_real_MATLAB_file_that_unpacks_to_too_much(tmp_path, unread, small):
    savemat(tmp_path / "a.mat", {"k": KERNEL, "z": np.zeros((400, 400))}, do_compression=True)
    with pytest.raises(PnpError, match=r"a.mat: .* unpacks to"):
        read_kernel(tmp_path / "a.mat")


@pytest.mark.parametrize("form", ["4", "5"])
@pytest.mark.parametrize("compressed", [False, True])
def test_MATLAB_files_of_the_usual_size_are_read(tmp_path, small, form, compressed):
    if form == "4" and compressed:
        pytest.skip("version 4 is not compressed")
    options = {"do_compression": compressed} if form == "5" else {}
    savemat(tmp_path / "a.mat", {"k": KERNEL}, format=form, **options)
    assert np.allclose(read_kernel(tmp_path / "a.mat"), KERNEL)


def test_a_file_of_MATLAB_7_3_that_unpacks_to_too_much(tmp_path, small):
    h5py = pytest.importorskip("h5py", reason="files of MATLAB 7.3 need h5py")
    with h5py.File(tmp_path / "a.mat", "w", userblock_size=512) as file:
        file.create_dataset("k", (4000, 4000), "f8", compression="gzip")
    head = b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM"
    with (tmp_path / "a.mat").open("r+b") as opened:
        opened.write(head)
    with pytest.raises(PnpError, match=r"a.mat: .* unpacks to"):
        read_kernel(tmp_path / "a.mat")


@pytest.mark.parametrize("line", ["key{i}: 1", "- {i}", "modules: {i}", "# {i}"])
def test_a_document_that_is_too_long_is_refused_unread(tmp_path, monkeypatch, line, capsys):
    monkeypatch.setattr("pnp.document.read_text", lambda *a: pytest.fail("the file was parsed"))
    text = "\n".join(line.replace("{i}", str(i)) for i in range(200_000))
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(PnpError, match=r"a.yaml: the file has \d.* MB, but the limit is 100 kB"):
        read_file(tmp_path / "a.yaml")
    for command in (["check"], ["show"], ["train"]):
        assert main([*command, str(tmp_path / "a.yaml")]) == 1
        assert "the limit is 100 kB" in capsys.readouterr().err


def test_documents_of_the_package_are_far_from_the_limit():
    for name in PIPELINES.names():
        assert PIPELINES.find(name)[0].stat().st_size < LARGEST_TEXT / 10
