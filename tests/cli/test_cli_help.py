from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

import preimage
from preimage.cli.main import SECTIONS, cli
from preimage.cli.reference import reference
from preimage.recipes import MAXIMIZATION_PRESETS, PRESETS
from preimage.recipes.caricature import CARICATURES
from preimage.recipes.template import PRESETS as OF_TEMPLATES
from preimage.recipes.texture import TEXTURES

PAGE = Path(__file__).parents[2] / "docs" / "cli.md"


def commands(group: click.Group = cli) -> Iterator[click.Command]:
    for command in group.commands.values():
        if isinstance(command, click.Group):
            yield from commands(command)
        else:
            yield command


PRESETS_OF = {
    "invert": {entry.name for entry in PRESETS},
    "caricature": set(CARICATURES),
    "maximize": {entry.name for entry in MAXIMIZATION_PRESETS},
    "template": set(OF_TEMPLATES),
    "texture": set(TEXTURES),
    "style": set(TEXTURES),
}


def test_every_preset_can_be_typed_and_is_in_the_help():
    typed = {
        command.name: set(option.metavar.split("|"))
        for command in commands()
        for option in command.params
        if option.name == "preset" and "|" in option.metavar
    }
    assert typed == PRESETS_OF


def test_help_lists_every_command_by_section(run):
    answer = run("--help")
    assert (answer.code, answer.err) == (0, "")
    for title, listed in SECTIONS:
        assert f"\n{title}:\n" in answer.out
        assert all(f"\n  {command.name} " in answer.out for command in listed)


def test_no_words_are_a_request_for_help(run):
    assert run().out == run("--help").out


def test_version(run):
    assert run("--version").out == f"preimage {preimage.__version__}\n"


def test_help_and_wrong_use_do_not_wait_for_pytorch():
    program = (
        "import sys; from preimage.cli.main import main\n"
        "for words in '--help', 'invert --help', '--version', 'invert --seed -1':\n"
        "    main(words.split())\n"
        "assert 'torch' not in sys.modules and 'numpy' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)


@pytest.mark.parametrize("command", list(commands()), ids=lambda command: command.name)
def test_every_command_prints_json_and_explains_its_options(command):
    options = {parameter.name: parameter for parameter in command.params}
    assert "as_json" in options
    assert all(p.help for p in options.values() if isinstance(p, click.Option))
    assert command.help


def test_the_reference_is_current():
    assert PAGE.read_text(encoding="utf-8") == reference(), "run: make docs"
