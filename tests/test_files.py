from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from preimage import files
from preimage.errors import PreimageError
from preimage.files import replacing, sha256_of_file


def test_a_block_that_ends_well_leaves_one_whole_file(tmp_path: Path) -> None:
    with replacing(tmp_path / "a.txt") as temporary:
        assert temporary.suffix == ".txt"
        assert temporary.parent == tmp_path
        temporary.write_text("new")
        assert not (tmp_path / "a.txt").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_a_block_that_raises_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("old")

    def fail_halfway() -> None:
        with replacing(tmp_path / "a.txt") as temporary:
            temporary.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_halfway()
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]
    assert (tmp_path / "a.txt").read_text() == "old"


def test_a_missing_folder(tmp_path: Path) -> None:
    with (
        pytest.raises(PreimageError, match=r"a\.txt: cannot be written \(no such file"),
        replacing(tmp_path / "missing" / "a.txt"),
    ):
        pass


def test_a_folder_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "a.txt").mkdir()
    with pytest.raises(PreimageError, match="cannot be written"), replacing(tmp_path / "a.txt"):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


@pytest.mark.skipif(os.name != "posix", reason="permission bits are POSIX's")
def test_the_file_has_ordinary_permissions(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    with replacing(tmp_path / "a.txt"):
        pass
    assert (tmp_path / "a.txt").stat().st_mode == (tmp_path / "plain").stat().st_mode


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=100))
def test_digests(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a").write_bytes(content)
    assert sha256_of_file(tmp_path / "a") == hashlib.sha256(content).hexdigest()


def test_digests_over_several_chunks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "CHUNK_BYTES", 7)
    (tmp_path / "a").write_bytes(b"0123456789" * 10)
    assert sha256_of_file(tmp_path / "a") == hashlib.sha256(b"0123456789" * 10).hexdigest()


def test_the_digest_of_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(PreimageError, match="missing: cannot be read"):
        sha256_of_file(tmp_path / "missing")
