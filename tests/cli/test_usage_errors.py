"""Exit codes and messages of a command line that is wrong in itself; tracebacks on request only."""

from __future__ import annotations

import pytest

from modelgpt_edge.cli import COMMANDS


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["build", "--foo"], ["No such option '--foo'", "See: modelgpt-edge build --help"]),
        (["build", "--sed", "1"], ["'--sed'", "'--seed'"]),
        (["--foo"], ["'--foo'", "See: modelgpt-edge --help"]),
        (["build"], ["Missing option '--task'"]),
        (["predict"], ["Missing argument 'PACKAGE'", "See: modelgpt-edge predict --help"]),
        (["predict", "a.edge"], ["Missing argument 'ROWS'"]),
        (["verify"], ["Missing argument 'PACKAGE'"]),
        (["inspect", "a.edge", "b.edge"], ["unexpected extra argument", "b.edge"]),
    ],
)
def test_unknown_options_and_missing_arguments_are_exit_2(arguments, words, cli):
    ran = cli(*arguments)
    assert ran.code == 2
    assert ran.out == ""
    assert [word for word in words if word not in ran.err] == []


@pytest.mark.parametrize(
    ("name", "cure"),
    [
        ("predic", "Did you mean 'predict' or 'refit'?"),
        ("Build", "Did you mean 'build'?"),
        ("xyz", "Known: 'bench', 'build', 'doctor'"),
    ],
)
def test_an_unknown_command_is_exit_1_with_the_nearest(name, cure, cli):
    ran = cli(name)
    assert ran.code == 1
    assert f"seen: '{name}'" in ran.err
    assert cure in ran.err


def test_no_command_at_all_is_exit_2_with_the_help(cli):
    ran = cli()
    assert ran.code == 2
    assert ran.err.startswith("Usage: modelgpt-edge")
    assert cli("--help").code == 0


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_and_json(command, cli):
    ran = cli(command, "--help")
    assert ran.code == 0
    assert "--json" in ran.out
    assert command in cli("--help").out


@pytest.mark.parametrize("arguments", [["inspect", "nowhere.edge"], ["nonsense"], ["build", "--foo"]])
def test_a_traceback_is_shown_with_debug_only(arguments, cli):
    plain, debug = cli(*arguments), cli(*arguments, "--debug")
    assert "Traceback" not in plain.err
    assert "Traceback" in debug.err
    assert debug.err.endswith(plain.err)
    assert debug.code == plain.code


def test_what_nobody_foresaw_is_one_line_that_asks_for_a_report(cli, monkeypatch):
    def broken(*_: object) -> None:
        raise RuntimeError("the moon is full")

    monkeypatch.setattr("modelgpt_edge.targets.doctor.diagnose", broken)
    ran = cli("doctor")
    assert ran.code == 1
    assert ran.err == (
        "error: an internal error, sorry: RuntimeError: the moon is full. Run again with --debug and report it\n"
    )
    assert "Traceback" in cli("doctor", "--debug").err


def test_warnings_are_one_line_without_the_place_in_the_code(cli, monkeypatch):
    import warnings

    def warns() -> list[object]:
        warnings.warn("the battery is low", RuntimeWarning, stacklevel=2)
        return []

    monkeypatch.setattr("modelgpt_edge.targets.doctor.diagnose", warns)
    assert cli("doctor").err == "warning: the battery is low\n"
