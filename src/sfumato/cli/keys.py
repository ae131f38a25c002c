"""`sfumato features keys`: a ring of keys in an encrypted file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sfumato.cli.options import AsJson, finish

if TYPE_CHECKING:
    from sfumato.cipher.keys import KeyRing

app = typer.Typer(no_args_is_help=True, help="Keep a ring of keys in an encrypted file.")

Ring = Annotated[Path, typer.Option("--keys", help="The key ring's file.")]
RingFile = Annotated[Path, typer.Argument(help="The key ring's file.")]
Passphrase = Annotated[
    str,
    typer.Option(
        prompt=True,
        hide_input=True,
        envvar="SFUMATO_PASSPHRASE",
        help="Unlocks the key ring. Asked for, or taken from the environment; keep it out of "
        "the shell's history.",
    ),
]


@app.command()
def create(path: RingFile, passphrase: Passphrase, as_json: AsJson = False) -> None:
    """Make a ring with one key."""
    from sfumato.cipher.keyfile import create_ring

    _show(path, create_ring(path, passphrase), as_json)


@app.command("list")
def list_(path: RingFile, passphrase: Passphrase, as_json: AsJson = False) -> None:
    """Show the ring's key ids and what each is for."""
    from sfumato.cipher.keyfile import load_ring

    _show(path, load_ring(path, passphrase), as_json)


@app.command()
def add(path: RingFile, passphrase: Passphrase, as_json: AsJson = False) -> None:
    """Add a key that opens; hand the ring to all who open, then promote it."""
    from sfumato.cipher.keyfile import change_ring

    _show(path, change_ring(path, passphrase, lambda ring: ring.add()), as_json)


KeyId = Annotated[str, typer.Argument(help="Key id, as `list` shows it.")]


@app.command()
def promote(path: RingFile, key: KeyId, passphrase: Passphrase, as_json: AsJson = False) -> None:
    """Seal with this key from now on; the former one still opens."""
    from sfumato.cipher.keyfile import change_ring

    chosen = _key_id(key)
    _show(path, change_ring(path, passphrase, lambda ring: ring.promote(chosen)), as_json)


@app.command()
def retire(path: RingFile, key: KeyId, passphrase: Passphrase, as_json: AsJson = False) -> None:
    """Erase this key for good; what it sealed cannot be opened any more."""
    from sfumato.cipher.keyfile import change_ring

    chosen = _key_id(key)
    _show(path, change_ring(path, passphrase, lambda ring: ring.retire(chosen)), as_json)


def _key_id(text: str) -> bytes:
    from sfumato.errors import KeyRingError

    try:
        return bytes.fromhex(text)
    except ValueError as error:
        raise KeyRingError(f"expected a key id of 32 hexadecimal digits, got {text!r}") from error


def _show(path: Path, ring: KeyRing, as_json: bool) -> None:
    entries = {entry.id.hex(): entry.state.value for entry in ring.entries}
    lines = [f"{state:8} {key}" for key, state in entries.items()]
    finish({"file": str(path), "keys": entries}, "\n".join(lines), as_json=as_json)
