"""MATLAB's files: the same values as SciPy reads, and nothing that a hostile file may ask for."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import scipy.io
from hypothesis import given
from hypothesis import strategies as st

from matconvnet_files import Structs, save_v5, save_v73
from preimage.errors import PreimageError
from preimage.weights import matlab
from preimage.weights.matlab import read_matlab

VALUES: dict[str, Any] = {
    "image": np.arange(24, dtype=np.float32).reshape(2, 3, 4),
    "double": np.array([[1.5, -2.0]]),
    "bytes": np.array([[1], [255]], np.uint8),
    "flag": np.array([[True, False]]),
    "name": "conv1_λ",
    "empty": [],
    "cell": ["relu", {"pad": np.array([[1.0, 2.0]])}, np.zeros((2, 2))],
    "one": {"a": "x", "b": {"c": np.array([[3.0]])}},
    "several": Structs([{"name": "a", "value": np.ones((1, 2))}, {"name": "b", "value": "text"}]),
}


def same(found: Any, wanted: Any) -> bool:
    if isinstance(wanted, np.ndarray):
        return (
            isinstance(found, np.ndarray)
            and found.shape == wanted.shape
            and np.array_equal(found, wanted)
        )
    if isinstance(wanted, dict):
        return found.keys() == wanted.keys() and all(same(found[k], wanted[k]) for k in wanted)
    if isinstance(wanted, list):
        return len(found) == len(wanted) and all(map(same, found, wanted))
    return bool(found == wanted)


def problem(path: Path) -> str | None:
    """What is said of a file, if it is refused."""
    try:
        read_matlab(path)
    except PreimageError as error:
        return str(error)
    return None


@pytest.mark.parametrize("save", [save_v5, save_v73])
def test_every_kind_of_value_is_read(tmp_path: Path, save: Any) -> None:
    found = read_matlab(save(tmp_path / "x.mat", VALUES))
    assert found.keys() == VALUES.keys()
    for name, wanted in VALUES.items():
        assert same(found[name], wanted), name


@pytest.mark.parametrize("compress", [True, False])
def test_numbers_are_those_that_scipy_reads(tmp_path: Path, compress: bool) -> None:
    rng = np.random.default_rng(0)
    shapes = [(1, 1), (3, 5), (2, 3, 4, 5), (7, 0)]
    types = (np.int8, np.uint16, np.int32, np.float32, np.float64)
    values = {
        f"x{i}_{np.dtype(t).name}": rng.normal(scale=9, size=shape).astype(t)
        for i, shape in enumerate(shapes)
        for t in types
    }
    path = tmp_path / "x.mat"
    scipy.io.savemat(path, values, do_compression=compress)
    found, theirs = read_matlab(path), scipy.io.loadmat(path)
    for name in values:
        np.testing.assert_array_equal(found[name], theirs[name])


def test_what_has_no_numbers_is_none(tmp_path: Path) -> None:
    path = tmp_path / "x.mat"
    scipy.io.savemat(path, {"z": np.array([1j]), "s": scipy.sparse.eye(3).tocsc(), "x": 1.0})
    found = read_matlab(path)
    assert (found["z"], found["s"]) == (None, None)
    assert found["x"] == 1


def test_a_missing_file_and_one_of_another_kind(tmp_path: Path) -> None:
    with pytest.raises(PreimageError, match="no such file"):
        read_matlab(tmp_path / "missing.mat")
    other = tmp_path / "other.mat"
    for content in (b"", b"hello", b"MATLAB 5.0 MAT-file", b"\x89PNG\r\n\x1a\n" + bytes(500)):
        other.write_bytes(content)
        with pytest.raises(PreimageError, match=r"expected a MATLAB file of version 5, 7 or 7\.3"):
            read_matlab(other)


@pytest.mark.parametrize("save", [save_v5, save_v73])
def test_a_file_cut_short_anywhere_is_refused(tmp_path: Path, save: Any) -> None:
    whole = save(tmp_path / "x.mat", VALUES).read_bytes()
    cut = tmp_path / "cut.mat"
    for length in range(130, len(whole) - 1, max(len(whole) // 60, 1)):
        cut.write_bytes(whole[:length])
        message = problem(cut)
        if message is None:  # cut between two variables: what came before is whole
            assert save is save_v5
            assert all(same(value, VALUES[name]) for name, value in read_matlab(cut).items())
        else:
            assert message.startswith(str(cut))


@pytest.mark.parametrize("compress", [True, False])
@given(data=st.data())
def test_damaged_bytes_end_in_one_message(
    tmp_path_factory: pytest.TempPathFactory, compress: bool, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("damaged")
    content = bytearray(save_v5(folder / "x.mat", VALUES, compress).read_bytes())
    for _ in range(4):
        place = data.draw(st.integers(128, len(content) - 1))
        content[place] = data.draw(st.integers(0, 255))
    path = folder / "damaged.mat"
    path.write_bytes(content)
    assert len((problem(path) or "none").splitlines()) == 1


# Files that ask for more than they may.


def element(kind: int, data: bytes) -> bytes:
    return struct.pack("<II", kind, len(data)) + data + bytes(-len(data) % 8)


def header() -> bytes:
    return b"MATLAB 5.0 MAT-file".ljust(124) + struct.pack("<H", 0x0100) + b"IM"


def array(flags: int, shape: tuple[int, ...], rest: bytes, name: bytes = b"x") -> bytes:
    body = element(6, struct.pack("<II", flags, 0)) + element(5, struct.pack("<2i", *shape))
    return element(14, body + element(1, name) + rest)


def test_cells_nested_without_end_are_refused(tmp_path: Path) -> None:
    value = array(6, (0, 0), element(9, b""))
    for _ in range(5000):
        value = array(1, (1, 1), value)
    path = tmp_path / "deep.mat"
    path.write_bytes(header() + value)
    with pytest.raises(PreimageError, match="nested at most 24 deep"):
        read_matlab(path)


def test_cells_promised_but_not_there_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.mat"
    path.write_bytes(header() + array(1, (1 << 30, 1 << 30), b""))
    with pytest.raises(PreimageError, match="ends early"):
        read_matlab(path)


def test_numbers_promised_but_not_there_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.mat"
    path.write_bytes(header() + array(6, (1 << 20, 1 << 10), element(9, bytes(16))))
    with pytest.raises(PreimageError, match=r"1,073,741,824 numbers promised, 2"):
        read_matlab(path)


def test_a_deflated_variable_that_unfolds_to_too_much_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(matlab, "FREE_BYTES", 1 << 20)
    zeros = array(6, (1 << 20, 1), element(9, bytes(8 << 20)))
    path = tmp_path / "bomb.mat"
    path.write_bytes(header() + struct.pack("<II", 15, len(p := zlib.compress(zeros, 9))) + p)
    assert path.stat().st_size < 10_000
    with pytest.raises(PreimageError, match="more than a file of this size can hold"):
        read_matlab(path)


def hdf5(path: Path) -> h5py.File:
    return h5py.File(path, "w")


def test_an_hdf5_bomb_is_refused_before_memory_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "bomb.mat"
    with hdf5(path) as file:
        side = 1 << 20  # 4 TB of single numbers, none of them stored
        file.create_dataset("x", shape=(side, side), dtype="<f4", chunks=(1024, 1024))
    assert path.stat().st_size < 10_000
    with pytest.raises(PreimageError, match=r"4,398,046,511,104 bytes is more than"):
        read_matlab(path)


def test_many_small_hdf5_bombs_are_refused_too(tmp_path: Path) -> None:
    path = tmp_path / "bomb.mat"
    with hdf5(path) as file:
        for i in range(8):
            file.create_dataset(f"x{i}", shape=(4096, 1024), dtype="<f4", chunks=(64, 64))
    with pytest.raises(PreimageError, match="more than a file of this size can hold"):
        read_matlab(path)


def test_hdf5_links_to_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(bytes(80))
    for name, make in {
        "external": lambda f: f.__setitem__("x", h5py.ExternalLink("secret", "/x")),
        "soft": lambda f: f.__setitem__("x", h5py.SoftLink("/y")),
        "stored": lambda f: f.create_dataset(
            "x", (10,), "<f8", external=[(str(tmp_path / "secret"), 0, 80)]
        ),
    }.items():
        path = tmp_path / f"{name}.mat"
        with hdf5(path) as file:
            make(file)
        with pytest.raises(PreimageError, match="expected data in the file itself"):
            read_matlab(path)


def test_hdf5_references_in_a_circle_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "circle.mat"
    with hdf5(path) as file:
        cell = file.create_dataset("x", (1,), dtype=h5py.ref_dtype)
        cell.attrs["MATLAB_class"] = np.bytes_("cell")
        cell[0] = cell.ref
    with pytest.raises(PreimageError, match="nested at most 24 deep"):
        read_matlab(path)


def test_hdf5_references_that_multiply_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(matlab, "MAX_VALUES", 2000)
    path = tmp_path / "tree.mat"
    with hdf5(path) as file:
        below = file.create_dataset("x", data=np.zeros(1)).ref
        for level in range(20):
            cell = file.create_dataset(f"c{level}", (10,), dtype=h5py.ref_dtype)
            cell.attrs["MATLAB_class"] = np.bytes_("cell")
            cell[:] = 10 * [below]
            below = cell.ref
    with pytest.raises(PreimageError, match="at most 2,000 values"):
        read_matlab(path)
