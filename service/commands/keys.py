"""``lesion-search keys``: the API keys that the service asks for."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from service.commands.options import JsonFlag
from service.console import answer, answer_json, say
from service.http.guards.keys import Role, add_key, read_keys, revoke_key

KeysOption = Annotated[
    Path,
    typer.Option("--keys", envvar="LESION_SEARCH_KEYS", help="The file of keys, mode 0600."),
]
NameArgument = Annotated[
    str, typer.Argument(help="Name of the person or program that holds the key.")
]


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    group = typer.Typer(help="API keys of the service.", no_args_is_help=True)
    group.command("add")(add)
    group.command("list")(list_keys)
    group.command("revoke")(revoke)
    app.add_typer(group, name="keys")


def add(
    name: NameArgument,
    keys: KeysOption,
    role: Annotated[
        Role, typer.Option(help="read: search and look; write: also change the index.")
    ] = Role.READ,
    as_json: JsonFlag = False,
) -> None:
    """Make a key and show it, once; the file holds its hash alone."""
    secret = add_key(keys, name, role)
    if as_json:
        answer_json({"name": name, "role": role.value, "key": secret})
    else:
        answer(secret)
        say("this is the only time the key is shown: hand it over and keep no copy")


def list_keys(keys: KeysOption, as_json: JsonFlag = False) -> None:
    """List the keys: names, roles, when they were made and revoked."""
    shown = [
        {name: value for name, value in asdict(key).items() if name != "sha256"}
        for key in read_keys(keys)
    ]
    if as_json:
        answer_json({"keys": shown})
        return
    table = Table("name", "role", "created", "revoked")
    for key in shown:
        table.add_row(*(str(value or "") for value in key.values()))
    answer(table)


def revoke(name: NameArgument, keys: KeysOption, as_json: JsonFlag = False) -> None:
    """Revoke a key; services that run refuse it from the next request on."""
    revoke_key(keys, name)
    if as_json:
        answer_json({"name": name, "revoked": True})
    else:
        say(f"key {name} is revoked")
