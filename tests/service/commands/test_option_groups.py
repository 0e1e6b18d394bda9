"""Groups of options: shown to typer one by one, handed to the command as one frozen value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from service.commands.option_groups import with_groups


@dataclass(frozen=True)
class Named:
    name: Annotated[str, typer.Option(help="A name.")]
    times: Annotated[int, typer.Option("-t", "--times", min=1)] = 1


@dataclass(frozen=True)
class Longer(Named):
    loud: Annotated[bool, typer.Option("--loud")] = False


def app_of(command):
    app = typer.Typer(rich_markup_mode=None)
    app.command()(with_groups(command))
    return app


def test_fields_are_options_and_come_back_together():
    seen = []

    def command(*, place: Annotated[str, typer.Argument()], group: Longer, last: int = 3) -> None:
        """Says nothing."""
        seen.append((place, group, last))

    result = CliRunner().invoke(app_of(command), ["here", "--name", "x", "-t", "2", "--loud"])
    assert result.exit_code == 0, result.output
    assert seen == [("here", Longer("x", 2, True), 3)]
    shown = CliRunner().invoke(app_of(command), ["--help"]).output
    assert "Says nothing." in shown
    assert "A name." in shown
    assert "--group" not in shown


def test_an_option_of_a_group_that_is_missing_or_wrong_is_refused():
    def command(*, group: Named) -> None:
        raise AssertionError(group)

    runner = CliRunner()
    assert runner.invoke(app_of(command), []).exit_code == 2
    assert runner.invoke(app_of(command), ["--name", "x", "--times", "0"]).exit_code == 2


def test_two_options_of_one_name_are_a_defect():
    def command(*, name: str, group: Named) -> None:
        raise AssertionError(name, group)

    with pytest.raises(TypeError, match="one name"):
        with_groups(command)
