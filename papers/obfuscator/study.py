"""Tables 2 and 3 and Figs. 3 to 5, and the frontier that the paper does not have."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, cast

from jaxtyping import Float
from torch import Tensor

from papers.obfuscator import attacks, figures
from papers.obfuscator.parties import Parties, parties
from papers.recipe import Results, Run, frozen
from papers.stages import Stage, Stages
from papers.workers import Job, do_ahead
from sfumato.device import resolve_device
from sfumato.fit import History
from sfumato.nets.reconstructors import RECONSTRUCTORS
from sfumato.protect.fitted import Fitted
from sfumato.protect.obfuscator.config import ObfuscatorConfig
from sfumato.protect.obfuscator.fit import fit_obfuscator
from sfumato.protect.obfuscator.model import Obfuscator

_EVERY = ("generator", *RECONSTRUCTORS)
_PLAIN, _DEFAULT, _BOUNDED = "no protection", "bottleneck", "bounded"


@dataclass(frozen=True)
class Attacked:
    """One obfuscator under fresh attackers: what each reaches, and what it draws."""

    by: Mapping[str, Mapping[str, Any]]
    drawn: Mapping[str, Float[Tensor, "n c h w"]]

    @property
    def best(self) -> str:
        """The network that is best on held-out pictures of the adversary."""
        return max(self.by, key=lambda network: float(self.by[network]["validated"]))

    def document(self) -> dict[str, Any]:
        """Return the best network's figures, and every network's PSNR."""
        return {**self.by[self.best], "networks": {n: f["psnr"] for n, f in self.by.items()}}


class Study:
    """One recipe's run; finished parts of it are kept and not computed again."""

    def __init__(self, run: Run, settings: Mapping[str, Any]) -> None:
        self.run, self.settings = run, settings
        self.parties = parties(run, settings)
        self.duels, self.alone = duels(settings), alone(settings)
        for name in self.names:
            run.fits(name, self.config(name))
        # Its key has the pictures that were just read, and every setting.
        self.stages = Stages.of(run, settings)
        self._fitted: dict[str, Fitted[Obfuscator]] = {}

    def config(self, name: str) -> ObfuscatorConfig:
        """Return the settings with which one obfuscator is trained, but for where and by whom."""
        return config_of(self.settings, name)

    @property
    def names(self) -> list[str]:
        """Every obfuscator of the recipe, in the order of its tables."""
        bottlenecks = [name for name in self.alone if name != _PLAIN]
        return [_PLAIN, *self.duels, *bottlenecks]

    def needs(self) -> dict[Job, list[Job]]:
        """Return all parts, those that take longest first, each with the parts that it needs."""
        fits: dict[Job, list[Job]] = {("fitted", name): [] for name in self.alone}
        fits |= {("fitted", name): [("fitted", _PLAIN)] for name in self.duels}
        attacks_ = [("attacked", name, by) for name in self.names for by in self.networks(name)]
        rest = [("others", _PLAIN), ("others", _DEFAULT), ("retrained", _DEFAULT), *attacks_]
        return fits | {job: [("fitted", job[1])] for job in rest}

    def networks(self, name: str) -> Sequence[str]:
        """Return who attacks an obfuscator: everybody, but for most points of the frontier."""
        every = name in (_PLAIN, _DEFAULT, *self.duels)
        return _EVERY if every else cast("Sequence[str]", self.settings["frontier_networks"])

    def fitted(self, name: str) -> Fitted[Obfuscator]:
        """Return one obfuscator, trained where it is not yet."""
        if name not in self._fitted:
            duel = name in self.duels
            party = self.parties.part(self.settings["paper_images"]) if duel else self.parties
            warm = self.fitted(_PLAIN) if duel else None
            found = self._fit(name, party, warm)
            found.protector.to(resolve_device(self.run.device))  # where it releases
            self._fitted[name] = found
        return self._fitted[name]

    def attacked(self, name: str, *networks: str) -> Attacked:
        """Attack one of them with networks trained anew."""
        made, settings = self.fitted(name).protector, self.settings["attack"]
        if name == _DEFAULT:
            settings = settings | self.settings.get("default_attack", {})
        by, drawn = {}, {}
        for network in networks:

            def draw(_: Path, network: str = network) -> Stage:
                return attacks.draw(self.run, self.parties, made, settings, network)

            document, tensors = self.stages.keep(f"attack-{name}-{network}", draw)
            by[network], drawn[network] = document, tensors["drawn"]
            reached = document["psnr"]["value"]
            _say(f"{network} draws from {name}: {reached:.2f} dB, {document['epochs']} epochs")
        return Attacked(by, drawn)

    def others(self, name: str) -> dict[str, Any]:
        """Return what other attacks make of its maps."""
        made = self.fitted(name).protector
        return self.stages.document(
            f"others-{name}", lambda: attacks.others(self.run, self.parties, made, self.settings)
        )

    def retrained(self, name: str) -> float:
        """Return the accuracy of a classifier trained on its released maps alone."""
        made = self.fitted(name).protector
        document = self.stages.document(
            f"retrained-{name}",
            lambda: {"accuracy": attacks.retrain(self.run, self.parties, made)},
        )
        return float(document["accuracy"])

    def _fit(
        self, name: str, party: Parties, warm: Fitted[Obfuscator] | None = None
    ) -> Fitted[Obfuscator]:
        def make(checkpoint: Path) -> Stage:
            config = replace(
                self.config(name),
                seed=self.run.seed,
                device=self.run.device,
                checkpoint=checkpoint,
            )
            fitted = fit_obfuscator(
                party.keeper, utility=party.utility, config=config, check=party.victims, warm=warm
            )
            return _packed(fitted)

        fitted = _unpacked(*self.stages.keep(f"fit-{name}", make))
        _say(f"{name}: accuracy {100 * fitted.accuracies[-1]:.2f} %")
        return fitted


def study(run: Run, settings: Mapping[str, Any]) -> Results:
    """Train every obfuscator of a recipe, attack it anew, and draw the figures."""
    work = Study(run, settings)
    do_ahead(partial(Study, run, settings), work.needs(), device=run.device)
    made = {name: work.fitted(name) for name in work.names}
    attacked = {name: work.attacked(name, *work.networks(name)) for name in work.names}
    against = list(work.duels)
    victims, default = work.parties.victims, made[_DEFAULT]
    floors = attacked[_DEFAULT].by[attacked[_DEFAULT].best]["floors"]
    results: Results = {
        "counts": {
            "keeper": len(work.parties.keeper),
            "adversary": len(work.parties.adversary),
            "victims": len(victims),
        },
        "warmup_accuracy": made[_PLAIN].accuracies[-1],
        "paper_accuracy": {name: made[name].accuracies[-1] for name in against},
        "accuracy": default.accuracies[-1],
        "retrained_accuracy": work.retrained(_DEFAULT),
        "nats": default.protector.certificate,
        "map": list(default.protector.map_shape),
        "bytes_a_picture": _bytes(default.protector),
        "psnr_matrix": {
            by: {
                name: attacked[name].by[by]["psnr"]["value"]
                for name in (*against, _DEFAULT, _PLAIN)
            }
            for by in _EVERY
        },
        "psnr_floor": {name: floor["psnr"] for name, floor in floors.items()},
        "ssim_floor": {name: floor["ssim"] for name, floor in floors.items()},
        "attacked": {name: found.document() for name, found in attacked.items()},
        "other_attacks": {name: work.others(name) for name in (_PLAIN, _DEFAULT)},
        "frontier": [_point(name, made[name], attacked[name]) for name in made],
        "accuracies": {name: list(fitted.accuracies) for name, fitted in made.items()},
    }
    _draw(run, work, attacked, results)
    return results


def _draw(
    run: Run, work: Study, attacked: Mapping[str, Attacked], results: Mapping[str, Any]
) -> None:
    shown = work.parties.victims.subset(range(attacks.SHOWN)).floats()
    figures.accuracy(run, {name: results["accuracies"][name] for name in RECONSTRUCTORS})
    figures.pictures(
        run,
        "fig4",
        shown,
        {f"{n} draws from a map against {n}": attacked[n].drawn[n] for n in RECONSTRUCTORS},
    )
    titles = {
        _PLAIN: "no protection",
        "simrec": "the paper's objective",
        _BOUNDED: "the same, errors counted down to the mean picture only",
        _DEFAULT: "the bottleneck",
    }
    figures.pictures(
        run,
        "fig5",
        shown,
        {
            f"{title}; {attacked[name].best}, trained anew": attacked[name].drawn[
                attacked[name].best
            ]
            for name, title in titles.items()
            if name in attacked
        },
    )
    figures.frontier(run, results["frontier"], results["psnr_floor"])


def duels(settings: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return settings of those that share one warm-up: the paper's four, and the bounded one."""
    shared = {"map_channels": None} | settings["warm"] | settings["rounds"]
    paper = shared | {"objective": "psnr"} | settings["paper"]
    found = {name: paper | {"reconstructors": (name,)} for name in RECONSTRUCTORS}
    if "bounded" in settings:
        found[_BOUNDED] = shared | {"objective": "bounded"} | settings["bounded"]
    return found


def alone(settings: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return settings of those that need nobody else: without protection, and the bottlenecks."""
    rate = settings.get("rate", {})
    found = {_PLAIN: {"map_channels": None} | settings["warm"] | {"objective": "none"}}
    found[_DEFAULT] = rate
    for cut, lam in settings["others"]:
        name = f"{_DEFAULT}, cut {cut}, lambda {lam:g}"
        found[name] = rate | {"cut": cut, "lam": float(lam)}
    return found


def config_of(settings: Mapping[str, Any], name: str) -> ObfuscatorConfig:
    """Return how a recipe trains one obfuscator: its preset, changed for the recipe and for it."""
    part = (duels(settings) | alone(settings))[name]
    changes = frozen(settings.get("network", {})) | frozen(part)
    if "preset" in settings:
        return ObfuscatorConfig.preset(settings["preset"], **changes)
    return ObfuscatorConfig(**changes)


def _point(name: str, fitted: Fitted[Obfuscator], attacked: Attacked) -> dict[str, Any]:
    made, best = fitted.protector, attacked.by[attacked.best]
    return {
        "name": name,
        "objective": made.objective,
        "cut": made.cut,
        "map": list(made.map_shape),
        "accuracy": fitted.accuracies[-1],
        "nats": made.certificate,
        "psnr": best["psnr"]["value"],
        "psnr_interval": best["psnr"]["interval"],
        "ssim": best["ssim"]["value"],
        "best_attacker": attacked.best,
    }


def _packed(fitted: Fitted[Obfuscator]) -> Stage:
    document = {
        "settings": fitted.protector.settings,
        "histories": {name: asdict(history) for name, history in fitted.histories.items()},
        "trained": fitted.trained,
        "checked": fitted.checked,
    }
    return document, dict(fitted.protector.state_dict())


def _unpacked(document: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Fitted[Obfuscator]:
    made = Obfuscator(**document["settings"])
    made.load_state_dict(dict(tensors))
    return Fitted(
        protector=made.eval(),
        histories={name: History(**kept) for name, kept in document["histories"].items()},
        trained=document["trained"],
        checked=document["checked"],
    )


def _bytes(made: Obfuscator) -> dict[str, int]:
    channels, height, width = made.shape
    maps, rows, columns = made.map_shape
    return {"picture": channels * height * width, "map": maps * rows * columns}


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
