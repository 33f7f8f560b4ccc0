from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as nps

from preimage.errors import PreimageError
from preimage.weights.readers import MAX_DEPTH, NestedArrays, read_numpy_pickle, read_torch

SAME_FOLDER = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
NUMBERS = st.sampled_from(["<f4", ">f4", "<f8", "<f2", "|u1", "<i4", ">i8", "|b1", "<c8"])
ARRAYS = NUMBERS.flatmap(
    lambda dtype: nps.arrays(
        dtype, nps.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)
    )
)
TREES = st.recursive(
    st.dictionaries(st.text(max_size=5), ARRAYS, max_size=3),
    lambda children: st.dictionaries(st.text(max_size=5), children, max_size=3),
    max_leaves=5,
)


def refusal(file: Path) -> str | None:
    try:
        read_numpy_pickle(file)
    except PreimageError as error:
        return str(error)
    return None


def same(got: object, expected: object) -> bool:
    if isinstance(expected, dict):
        return (
            isinstance(got, dict)
            and list(got) == list(expected)
            and all(same(got[name], expected[name]) for name in expected)
        )
    assert isinstance(got, np.ndarray)
    assert isinstance(expected, np.ndarray)
    return (
        got.shape == expected.shape
        and got.dtype == expected.dtype
        and np.ascontiguousarray(got).tobytes() == np.ascontiguousarray(expected).tobytes()
    )


@SAME_FOLDER
@given(tree=TREES, protocol=st.integers(2, 5))
def test_whatever_numpy_pickles_comes_back(
    tmp_path: Path, tree: NestedArrays, protocol: int
) -> None:
    file = tmp_path / "w.ckpt"
    file.write_bytes(pickle.dumps(tree, protocol=protocol))
    assert same(read_numpy_pickle(file), tree)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_memory_order_is_respected_and_arrays_are_writable(tmp_path: Path, protocol: int) -> None:
    file = tmp_path / "w.ckpt"
    array = np.asfortranarray(np.arange(12.0).reshape(3, 4))
    file.write_bytes(pickle.dumps({"kernel": array}, protocol=protocol))
    got = read_numpy_pickle(file)["kernel"]
    assert isinstance(got, np.ndarray)
    np.testing.assert_array_equal(got, array)
    got[0, 0] = 5.0


def test_names_of_old_numpy_are_understood(tmp_path: Path) -> None:
    file = tmp_path / "w.ckpt"
    pickled = pickle.dumps({"bias": np.ones(3, np.float32)}, protocol=3)
    file.write_bytes(pickled.replace(b"numpy._core.multiarray", b"numpy.core.multiarray"))
    assert same(read_numpy_pickle(file), {"bias": np.ones(3, np.float32)})


class Touch:
    """Pickled, it asks the reader to write a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
def test_code_is_refused_and_not_run(tmp_path: Path, protocol: int) -> None:
    file, trace = tmp_path / "w.ckpt", tmp_path / "was_run"
    pickled = pickle.dumps({"bias": Touch(trace)}, protocol=protocol)
    file.write_bytes(pickled)
    with pytest.raises(PreimageError, match=r"w\.ckpt: expected NumPy arrays alone"):
        read_numpy_pickle(file)
    assert not trace.exists()
    pickle.loads(pickled)
    assert trace.exists(), "the trap itself must work"


def test_the_refused_name_is_given(tmp_path: Path) -> None:
    file = tmp_path / "w.ckpt"
    file.write_bytes(b"\x80\x02cos\nsystem\nX\x04\x00\x00\x00trueR.")
    with pytest.raises(PreimageError, match=r"got os\.system; refused, nothing was run"):
        read_numpy_pickle(file)


def test_a_refused_name_cannot_play_with_the_terminal(tmp_path: Path) -> None:
    file = tmp_path / "w.ckpt"
    pickled = pickle.dumps({"bias": Touch(tmp_path)}, protocol=4)
    name = "Path.touch"
    file.write_bytes(pickled.replace(name.encode(), b"\x1b[31m\nok."[: len(name)]))
    with pytest.raises(PreimageError) as caught:
        read_numpy_pickle(file)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    "name", ["numpy.load", "numpy.core.multiarray.scalar", "builtins.eval", "numpy.ndarray.tofile"]
)
def test_other_names_of_numpy_are_refused(tmp_path: Path, name: str) -> None:
    module, _, function = name.rpartition(".")
    file = tmp_path / "w.ckpt"
    file.write_bytes(f"\x80\x02c{module}\n{function}\n.".encode("latin1"))
    with pytest.raises(PreimageError, match="refused"):
        read_numpy_pickle(file)


RECORDS = np.zeros(2, [("a", "f4")])


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (np.array([{}], dtype=object), "objects|opcode|type O"),
        (RECORDS, "records|opcode"),
        (np.array(["text"]), "type"),
        (np.array(["2020-01-01"], dtype="M8[D]"), "type|opcode"),
        ("text", "expected a dict of arrays, got str"),
        ({3: np.ones(1)}, "names of arrays"),
        ([np.ones(1)], "opcode EMPTY_LIST"),
        (1.5, "opcode BINFLOAT"),
        (np.float32(3), "refused"),
    ],
)
def test_other_values_are_refused(tmp_path: Path, value: object, said: str) -> None:
    file = tmp_path / "w.ckpt"
    file.write_bytes(pickle.dumps({"bias": value}, protocol=2))
    with pytest.raises(PreimageError, match=said):
        read_numpy_pickle(file)


def test_a_bare_array_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "w.ckpt"
    file.write_bytes(pickle.dumps(np.ones(3)))
    with pytest.raises(PreimageError, match="expected a dict of arrays, got an array"):
        read_numpy_pickle(file)


def test_bytes_that_do_not_fit_the_shape_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "w.ckpt"
    pickled = pickle.dumps({"bias": np.arange(7, dtype=np.uint8)}, protocol=3)
    file.write_bytes(pickled.replace(b"K\x07\x85", b"K\x09\x85"))
    with pytest.raises(PreimageError, match=r"expected \(9,\) x 1 bytes, got 7"):
        read_numpy_pickle(file)


def test_endless_nesting_is_refused(tmp_path: Path) -> None:
    tree: dict[str, object] = {}
    for _ in range(MAX_DEPTH + 1):
        tree = {"deeper": tree}
    file = tmp_path / "w.ckpt"
    file.write_bytes(pickle.dumps(tree))
    with pytest.raises(PreimageError, match="inside each other"):
        read_numpy_pickle(file)


def test_a_short_file_cannot_stand_for_endless_arrays(tmp_path: Path) -> None:
    tree: dict[str, object] = {"array": np.ones(1)}
    for _ in range(MAX_DEPTH - 1):
        tree = {str(index): tree for index in range(8)}
    file = tmp_path / "w.ckpt"
    file.write_bytes(pickle.dumps(tree))
    with pytest.raises(PreimageError, match="at most 100000 arrays"):
        read_numpy_pickle(file)


def test_lengths_past_the_end_reserve_no_memory(tmp_path: Path) -> None:
    file = tmp_path / "w.ckpt"
    for pickled in (
        b"\x80\x05\x96" + (1 << 40).to_bytes(8, "little") + b"x.",
        b"\x80\x02Nr" + (1 << 31).to_bytes(4, "little") + b".",
    ):
        file.write_bytes(pickled)
        with pytest.raises(PreimageError):
            read_numpy_pickle(file)


@SAME_FOLDER
@given(data=st.data())
def test_damage_ends_in_one_message(tmp_path: Path, data: st.DataObject) -> None:
    whole = pickle.dumps({"Conv_0": {"kernel": np.ones((2, 3), np.float32)}}, protocol=4)
    damaged = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    file = tmp_path / "w.ckpt"
    file.write_bytes(bytes(damaged[: data.draw(st.integers(0, len(whole)))]))
    message = refusal(file)
    assert message is None or message.startswith(str(file))
    assert message is None or len(message.splitlines()) == 1


def test_a_missing_file(tmp_path: Path) -> None:
    for read in (read_numpy_pickle, read_torch):
        with pytest.raises(PreimageError, match="missing: cannot be read"):
            read(tmp_path / "missing")


def test_torch_state_dict_comes_back(tmp_path: Path) -> None:
    file = tmp_path / "w.pth"
    torch.save({"a.weight": torch.arange(6.0).reshape(2, 3)}, file)
    assert torch.equal(read_torch(file)["a.weight"], torch.arange(6.0).reshape(2, 3))


def test_torch_file_with_code_is_refused_and_not_run(tmp_path: Path) -> None:
    file, trace = tmp_path / "w.pth", tmp_path / "was_run"
    torch.save({"a": Touch(trace)}, file)
    with pytest.raises(PreimageError, match=r"w\.pth: expected a PyTorch state dict"):
        read_torch(file)
    assert not trace.exists()


@pytest.mark.parametrize("value", [torch.ones(1), {"a": 3}, {1: torch.ones(1)}, ["a"]])
def test_torch_file_of_something_else_is_refused(tmp_path: Path, value: object) -> None:
    file = tmp_path / "w.pth"
    torch.save(value, file)
    with pytest.raises(PreimageError, match="expected a dict of tensors by name"):
        read_torch(file)


def test_torch_file_of_noise_is_refused_in_one_line(tmp_path: Path) -> None:
    file = tmp_path / "w.pth"
    for content in (b"", b"not a checkpoint", b"PK\x03\x04" + bytes(200)):
        file.write_bytes(content)
        with pytest.raises(PreimageError) as caught:
            read_torch(file)
        assert len(str(caught.value).splitlines()) == 1
