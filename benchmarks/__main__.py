"""Runs the named benchmarks, or all."""

from __future__ import annotations

import argparse
import json
from functools import partial

import torch

from benchmarks import bank, cipher, load, release, shards, shortlist, soak, upload

BENCHMARKS = {
    "bank": bank.run,
    "cipher": cipher.run,
    "release": release.run,
    "shards": shards.run,
    "shortlist": shortlist.run,
    "upload": upload.run,
    "load": load.run,
}
SOAK = "soak"
"""Only where it is named: it runs for minutes, whatever the machine."""


def main() -> None:
    """Parse the command line, run, and end with one line of JSON."""
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"of {', '.join((*BENCHMARKS, SOAK))}"
    )
    parser.add_argument("--quick", action="store_true", help="smaller sizes, a few seconds each")
    parser.add_argument("--minutes", type=float, default=10.0, help="how long the soak is")
    parser.add_argument("--device", default="cpu", help="of `bank`: where the bank is, as cuda")
    arguments = parser.parse_args()
    known = (
        BENCHMARKS
        | {"bank": partial(bank.run, device=arguments.device)}
        | {SOAK: partial(soak.run, minutes=arguments.minutes)}
    )
    unknown = sorted(set(arguments.names) - set(known))
    if unknown:
        parser.error(f"no benchmark {unknown[0]!r}; there are: {', '.join(known)}")
    names = arguments.names or list(BENCHMARKS)
    with torch.no_grad():
        figures = {name: known[name](quick=arguments.quick) for name in names}
    print(json.dumps({"threads": torch.get_num_threads(), **figures}))


if __name__ == "__main__":
    main()
