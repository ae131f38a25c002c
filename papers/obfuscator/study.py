"""Tables 2 and 3 and Figs. 3 to 5, and the frontier that the paper does not have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from papers.obfuscator import figures
from papers.recipe import Results, Run
from sfumato.attack.decoder import ReconstructionConfig
from sfumato.attack.reconstruct import ReconstructionAttack
from sfumato.attack.views import ask
from sfumato.data.imageset import ImageSet
from sfumato.data.sources import load
from sfumato.data.splits import split_images
from sfumato.nets.reconstructors import RECONSTRUCTORS
from sfumato.protect.obfuscator import Obfuscator
from sfumato.protect.obfuscator_config import ObfuscatorConfig
from sfumato.protect.obfuscator_fit import Fitted, certified_rate, fit_obfuscator
from sfumato.types import Finding, Knowledge, Releases

_SHOWN = 8


@dataclass(frozen=True, kw_only=True)
class Parties:
    """The keeper of the maps, an adversary with other files, and the victims."""

    keeper: ImageSet
    adversary: ImageSet
    victims: ImageSet
    utility: str


@dataclass(frozen=True, kw_only=True)
class Attacked:
    """One obfuscator under fresh attackers: what they reach, and what they draw."""

    psnr: Finding
    ssim: Finding
    drawn: Float[Tensor, "n c h w"]


def study(run: Run, settings: Mapping[str, Any]) -> Results:
    """Train every obfuscator of a recipe, attack it anew, and draw the figures."""
    parties = _parties(run, settings)
    common = dict(settings["network"]) | {"seed": run.seed, "device": _device(run)}
    plain = _fit(parties, common | settings["plain"] | {"objective": "none"})
    paper = {
        name: _fit(_part(parties, settings["paper_images"]), common | settings["paper"]
                   | {"objective": "psnr", "reconstructors": (name,)})
        for name in RECONSTRUCTORS
    }  # fmt: skip
    rate = {
        lam: _fit(parties, common | settings["rate"] | {"objective": "rate", "lam": lam})
        for lam in settings["lambdas"]
    }
    default = rate[settings["default_lambda"]]
    hard = settings["attack"]
    attacked = {
        "plain": _attack(run, parties, plain, hard, ("generator", *RECONSTRUCTORS)),
        "default": _attack(run, parties, default, hard, ("generator", *RECONSTRUCTORS)),
    }
    inverted = {
        name: {
            by: _attack(run, parties, fitted, settings["matrix_attack"], (by,))
            for by in RECONSTRUCTORS
        }
        for name, fitted in paper.items()
    }
    frontier = _frontier(run, parties, rate, attacked, settings)
    floors = attacked["default"].psnr.details["floors"]
    results: Results = {
        "counts": {
            "keeper": len(parties.keeper),
            "adversary": len(parties.adversary),
            "victims": len(parties.victims),
        },
        "warmup_accuracy": plain.warmup_accuracy,
        "paper_warmup_accuracy": {name: fit.warmup_accuracy for name, fit in paper.items()},
        "paper_accuracy": {name: fit.accuracies[-1] for name, fit in paper.items()},
        "accuracy": default.accuracies[-1],
        "certified_nats": certified_rate(default, parties.victims),
        "map": list(default.obfuscator.map_shape),
        "bytes_a_picture": _bytes(default.obfuscator),
        "psnr_matrix": {
            by: {name: inverted[name][by].psnr.value for name in paper} for by in RECONSTRUCTORS
        },
        "psnr_floor": {name: floor["psnr"] for name, floor in floors.items()},
        "ssim_floor": {name: floor["ssim"] for name, floor in floors.items()},
        "attacked": {
            name: {"psnr": _document(found.psnr), "ssim": _document(found.ssim)}
            for name, found in attacked.items()
        },
        "frontier": frontier,
        "accuracies": {
            "rate": list(default.accuracies),
            **{name: list(fit.accuracies) for name, fit in paper.items()},
        },
    }
    shown = parties.victims.subset(range(_SHOWN)).floats()
    figures.accuracy(run, {name: list(fit.accuracies) for name, fit in paper.items()})
    figures.pictures(
        run,
        "fig4",
        shown,
        {f"{n} draws from a map against {n}": inverted[n][n].drawn[:_SHOWN] for n in paper},
    )
    figures.pictures(
        run,
        "fig5",
        shown,
        {
            "no protection": attacked["plain"].drawn[:_SHOWN],
            "the paper's objective, attacked anew": _best(inverted["simrec"]).drawn[:_SHOWN],
            "the bottleneck, attacked anew": attacked["default"].drawn[:_SHOWN],
        },
    )
    figures.frontier(run, frontier, results["psnr_floor"], results)
    return results


def _parties(run: Run, settings: Mapping[str, Any]) -> Parties:
    total = settings["images"] + settings["adversary"]
    train = load(
        settings["data"], split=settings["train_split"], data_dir=run.data_dir, size=32,
        count=total, seed=run.seed,
    )  # fmt: skip
    keeper, adversary = split_images(
        train, (settings["images"] / total, settings["adversary"] / total), seed=run.seed
    )
    if settings["test_split"]:
        victims = load(
            settings["data"], split=settings["test_split"], data_dir=run.data_dir, size=32,
            count=settings["victims"], seed=run.seed,
        )  # fmt: skip
    else:
        share = settings["victims"] / len(keeper)
        keeper, victims = split_images(keeper, (1 - share, share), seed=run.seed)
    return Parties(
        keeper=run.uses(keeper),
        adversary=run.uses(adversary),
        victims=run.uses(victims),
        utility=settings["utility"],
    )


def _part(parties: Parties, count: int) -> Parties:
    keeper = parties.keeper.subset(range(min(count, len(parties.keeper))))
    return Parties(
        keeper=keeper,
        adversary=parties.adversary,
        victims=parties.victims,
        utility=parties.utility,
    )


def _fit(parties: Parties, settings: Mapping[str, Any]) -> Fitted:
    config = ObfuscatorConfig(**settings)
    return fit_obfuscator(parties.keeper, parties.utility, config, check=parties.victims)


def _attack(
    run: Run,
    parties: Parties,
    fitted: Fitted,
    settings: Mapping[str, Any],
    networks: tuple[str, ...],
) -> Attacked:
    """Train attackers from scratch on the adversary's own releases; the best of them counts."""
    made = fitted.obfuscator
    attack = ReconstructionAttack(
        seeds=tuple(range(run.seed, run.seed + settings["seeds"])),
        config=ReconstructionConfig(
            networks=networks,
            epochs=settings["epochs"],
            patience=settings["patience"],
            restarts=settings["restarts"],
            batch_size=settings["batch_size"],
            width=settings["width"],
            scale=settings["scale"],
            lr=2e-3,
            device=_device(run),
        ),
        metric="psnr",
        label=parties.utility,
    )
    knowledge = Knowledge(
        images=parties.adversary.floats(), labels=parties.adversary.labels, query=made.release
    )
    images = parties.victims.floats()
    with torch.random.fork_rng():
        torch.manual_seed(run.seed)  # the noise of this release, so that a run can be repeated
        artist = attack.learn(knowledge)
        victim = Releases(
            protector=made.name,
            tensor=ask(made.release, images),
            images=images,
            labels=parties.victims.labels,
        )
        found = attack.apply(artist, victim, knowledge)
        drawn = artist.draw(victim)[0]
    return Attacked(psnr=found, ssim=_as_ssim(found), drawn=drawn)


def _as_ssim(found: Finding) -> Finding:
    """Return the same attack judged by structural similarity."""
    score = found.details["scores"]["ssim"]
    low, high = score["interval"]
    return Finding(
        attack=found.attack,
        protector=found.protector,
        metric="ssim",
        value=score["value"],
        floor=found.details["floors"]["mean"]["ssim"],
        ceiling=1.0,
        interval=(low, high),
        seeds=found.seeds,
    )


def _frontier(
    run: Run,
    parties: Parties,
    rate: Mapping[float, Fitted],
    attacked: Mapping[str, Attacked],
    settings: Mapping[str, Any],
) -> list[dict[str, Any]]:
    points = []
    for lam, fitted in rate.items():
        found = (
            attacked["default"]
            if lam == settings["default_lambda"]
            else _attack(run, parties, fitted, settings["attack"], ("simrec", "generator"))
        )
        points.append(
            {
                "lambda": lam,
                "accuracy": fitted.accuracies[-1],
                "certified_nats": certified_rate(fitted, parties.victims),
                "psnr": found.psnr.value,
                "psnr_interval": list(found.psnr.interval),
                "ssim": found.ssim.value,
                "best_attacker": found.psnr.details["decoders"],
            }
        )
    return points


def _best(attacks: Mapping[str, Attacked]) -> Attacked:
    return max(attacks.values(), key=lambda found: found.psnr.value)


def _bytes(made: Obfuscator) -> dict[str, int]:
    channels, height, width = made.shape
    maps, rows, columns = made.map_shape
    return {"picture": channels * height * width, "map": maps * rows * columns}


def _document(found: Finding) -> dict[str, Any]:
    return asdict(found) | {"leakage": found.leakage}


def _device(run: Run) -> str:
    return "cpu" if run.device == "cpu" else "auto"
