"""Runs the named benchmarks, or all."""

from __future__ import annotations

import argparse
import json

import torch

from benchmarks import bank, cipher, release, shortlist

BENCHMARKS = {
    "bank": bank.run,
    "cipher": cipher.run,
    "release": release.run,
    "shortlist": shortlist.run,
}


def main() -> None:
    """Parse the command line, run, and end with one line of JSON."""
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHMARKS)}")
    parser.add_argument("--quick", action="store_true", help="smaller sizes, a few seconds each")
    arguments = parser.parse_args()
    unknown = sorted(set(arguments.names) - set(BENCHMARKS))
    if unknown:
        parser.error(f"no benchmark {unknown[0]!r}; there are: {', '.join(BENCHMARKS)}")
    names = arguments.names or list(BENCHMARKS)
    with torch.no_grad():
        figures = {name: BENCHMARKS[name](quick=arguments.quick) for name in names}
    print(json.dumps({"threads": torch.get_num_threads(), **figures}))


if __name__ == "__main__":
    main()
