from __future__ import annotations

import numpy as np

from preimage import encode, representation


def test_a_code_is_written_as_it_is(run, photo):
    answer = run("encode", photo, "--layer", "block01", "--out", "new/code.npy", "--json")
    code = np.load("new/code.npy")
    phi = representation("efficientnet-lite0", "block01")
    assert np.array_equal(code, encode(phi, photo)[0].numpy())
    assert code.dtype == np.float32
    assert answer.json["representation"]["code_shape"] == list(code.shape) == [16, 112, 112]
    assert len(answer.json["code"]["sha256"]) == 64


def test_overwrite_replaces_a_code(run, photo):
    for words in ((), ("--overwrite",)):
        answer = run("encode", photo, "--layer", "pool", "--out", "code.npy", *words)
        assert answer.code == 0
    assert "1280 numbers" in answer.out
