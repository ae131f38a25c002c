"""What every recipe shares: its settings, where results go, and how they are signed off.

A paper's `run.py` holds `RECIPES`, a dict of names to functions `(Run, settings) -> results`.
Settings come from `recipes/<recipe>.toml`, table `[full]` or `[quick]`; results go to
`results/<recipe>[-quick][-seed<N>].json` with the versions, seed, command and data that made them.
"""

from __future__ import annotations

import json
import platform
import shutil
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from itertools import combinations
from pathlib import Path
from typing import Any

import torch

from papers.clock import Clock, seconds_before
from sfumato.data.imageset import ImageSet
from sfumato.data.pixels import digests
from sfumato.device import Device
from sfumato.files import write_bytes

Results = dict[str, Any]
_OWN = ("seed", "device", "checkpoint")  # of one execution, which the results tell otherwise


@dataclass(frozen=True, kw_only=True)
class Run:
    """One execution of one recipe."""

    slug: str
    recipe: str
    quick: bool
    seed: int
    device: Device
    data_dir: Path | None
    out: Path
    data: dict[str, str] = field(default_factory=dict)
    fitted: dict[str, Any] = field(default_factory=dict)
    parts: dict[Path, float] = field(default_factory=dict)
    """Folders of finished parts, with the seconds that earlier starts of this run took."""
    parties: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Stem of this run's result and figure files; another seed's lie beside the first's."""
        seed = f"-seed{self.seed}" if self.seed else ""
        return f"{self.recipe}-quick{seed}" if self.quick else f"{self.recipe}{seed}"

    def figure(self, title: str) -> Path:
        """Return the path of a figure of this run."""
        folder = self.out / "figures"
        folder.mkdir(parents=True, exist_ok=True)
        return folder / f"{self.name}-{title}.png"

    def uses(self, images: ImageSet) -> ImageSet:
        """Record an image set's fingerprint in the results, and return it."""
        self.data[f"{images.name}/{images.split}"] = images.fingerprint()
        return images

    def apart(self, **parties: ImageSet) -> None:
        """Record who has which pictures, and how many pictures two of them share, to the pixel.

        Attackers learn on one party's, settings are chosen on another's, and the judged party's are
        read once: a test reads of every result that has this record that nobody shares a picture.
        """
        seen = {name: set(digests(images.images)) for name, images in parties.items()}
        self.parties.update(
            (name, {"pictures": len(images), "fingerprint": images.fingerprint()})
            for name, images in parties.items()
        )
        self.parties["shared"] = sum(len(a & b) for a, b in combinations(seen.values(), 2))

    def fits(self, part: str, config: Any) -> None:  # noqa: ANN401 - the config of any fit
        """Record every setting with which a part is trained: defaults may change one day."""
        values = {name: value for name, value in asdict(config).items() if name not in _OWN}
        self.fitted[part] = values

    def keeps(self, folder: Path) -> Path:
        """Record a folder of parts from which an interrupted run goes on, and return it.

        It is thrown away when the results are written.
        """
        self.parts.setdefault(folder, seconds_before(folder))
        return folder

    @property
    def command(self) -> str:
        """The command that makes these results again."""
        quick = " --quick" if self.quick else ""
        data = " --data-dir DATA" if self.data_dir else ""
        return f"sfumato paper {self.slug} --recipe {self.recipe}{quick} --seed {self.seed}{data}"


Recipe = Callable[[Run, Mapping[str, Any]], Results]


def execute(run: Run, recipe: Recipe) -> tuple[Path, Results]:
    """Run a recipe and write its results, whole or not at all; return where and what."""
    folder = Path(__file__).parent / run.slug / "recipes"
    settings = tomllib.loads((folder / f"{run.recipe}.toml").read_text())
    chosen = settings["quick" if run.quick else "full"]
    with Clock(run.parts) as clock:
        results = recipe(run, chosen)
    document = {
        "paper": run.slug,
        "recipe": run.recipe,
        "quick": run.quick,
        "seed": run.seed,
        "command": run.command,
        "settings": chosen,
        "fitted": run.fitted,
        "seconds": round(clock.seconds, 1),
        # What PyTorch computes with: mixed precision is not taken everywhere.
        "machine": f"{platform.machine()}, {torch.backends.cpu.get_cpu_capability()}",
        "versions": {name: version(name) for name in ("sfumato", "torch", "numpy")}
        | {"python": platform.python_version()},
        "data": dict(sorted(run.data.items())),
        "parties": run.parties,
        **results,
    }
    path = run.out / "results" / f"{run.name}.json"
    write_bytes(path, (json.dumps(document, indent=1) + "\n").encode())
    for folder in run.parts:
        shutil.rmtree(folder, ignore_errors=True)
    return path, document


def frozen(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings with tuples for TOML's arrays, as configurations take them."""
    return {k: tuple(v) if isinstance(v, list) else v for k, v in settings.items()}


def summary(results: Results) -> str:
    """Return the scalar figures of a result as lines of text."""
    numbers = {k: v for k, v in results.items() if isinstance(v, int | float) and k != "seed"}
    return "\n".join(f"{name:24} {value:.4g}" for name, value in numbers.items())
