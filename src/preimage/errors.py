"""What goes wrong, in words a person can act on.

A message is one or two lines: what was expected, what was got, what to do.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class PreimageError(Exception):
    """The input or the machine is at fault; the command line leaves with :attr:`exit_code` 1.

    Unlike :class:`UsageError`, the request itself made sense.

    >>> raise PreimageError("fox.jpg: no such file")
    Traceback (most recent call last):
        ...
    preimage.errors.PreimageError: fox.jpg: no such file
    """

    exit_code = 1


class UsageError(PreimageError):
    """Wrong use: an unknown model, layer or option value; :attr:`exit_code` is 2.

    >>> UsageError.exit_code
    2
    """

    exit_code = 2


def one_line(text: object, limit: int = 120) -> str:
    """Foreign words made fit to stand in a message: the first line, printable, not too long.

    Args:
        text: another library's error, or a name out of a file; what it holds is not trusted.
        limit: letters to keep.

    >>> one_line("bad header\\x1b[31m\\nTraceback ...")
    'bad header?[31m'
    """
    line = (str(text).strip().splitlines() or [""])[0][:limit]
    return "".join(letter if letter.isprintable() else "?" for letter in line)


def counted(count: object, one: str, several: str | None = None) -> str:
    """A number with its noun.

    Args:
        count: a whole number.
        one: the noun for one thing.
        several: for any other number of them; ``one`` with an s if not said.

    >>> counted(1, "photo"), counted(2, "photo"), counted(0, "class", "classes")
    ('1 photo', '2 photos', '0 classes')
    """
    return f"{count} {one if count == 1 else several or one + 's'}"


def nearest(name: str, known: Iterable[str], n: int = 5) -> str:
    """The names most like a mistyped one, as the end of an "unknown X" message.

    Letter case is ignored. When nothing is near, the first ``n`` known names are listed instead,
    so that the reader always learns what would have been right.

    Args:
        name: what was typed.
        known: the names that exist.
        n: how many to offer at most.

    Returns:
        ``"did you mean: a, b?"``, ``"known: a, b, ..."``, or ``"none are known"``.

    >>> nearest("rellu3", ["conv1", "relu1", "relu3"])
    'did you mean: relu3, relu1?'
    >>> nearest("zzz", ["conv1", "relu1"])
    'known: conv1, relu1'
    """
    names = list(dict.fromkeys(known))
    if not names:
        return "none are known"
    by_lower = {candidate.lower(): candidate for candidate in reversed(names)}
    # A name typed in part is the beginning of what was meant, however long the rest is.
    begun = [key for key in by_lower if len(name) > 2 and key.startswith(name.lower())]
    close = [*get_close_matches(name.lower(), list(by_lower), n=n, cutoff=0.6), *begun]
    close = list(dict.fromkeys(close))[:n]
    if close:
        return f"did you mean: {', '.join(by_lower[key] for key in close)}?"
    return f"known: {', '.join(names[:n])}{', ...' if len(names) > n else ''}"


def is_out_of_memory(error: Exception) -> bool:
    """Whether memory ran out: PyTorch has an error of its own for a GPU, and none for the CPU.

    >>> is_out_of_memory(MemoryError()), is_out_of_memory(RuntimeError("shapes differ"))
    (True, False)
    """
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or "can't allocate memory" in str(error)
    )
