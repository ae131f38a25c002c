"""The recipes of the paper `san`; settings are in `recipes/`, equations in the README."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from papers.recipe import Recipe, Results, Run
from papers.san import figures, published
from papers.san import measure as of
from papers.san.expression import load_expression
from papers.san.measure import Witness
from papers.san.probes import train_probe
from papers.san.readers import readers
from papers.san.worlds import World, celeba, characters, lfw
from papers.stages import Stages
from sfumato.data.assemble import conform
from sfumato.data.imageset import ImageSet
from sfumato.data.options import SourceOptions
from sfumato.data.splits import with_at_least
from sfumato.device import resolve_device
from sfumato.fit.config import FitConfig
from sfumato.fit.outputs import outputs
from sfumato.protect.fitted import Fitted
from sfumato.protect.san.classifiers import train_classifier
from sfumato.protect.san.config import SanConfig
from sfumato.protect.san.fit import fit_san
from sfumato.protect.san.matcher import train_matcher
from sfumato.protect.san.model import SemiAdversarial
from sfumato.protect.san.prototypes import labelled

_NAMED_IMAGES = 4  # pictures of a person from which a matcher of our own can learn


def _recipe(make: Callable[[Run, Mapping[str, Any]], World]) -> Recipe:
    def recipe(run: Run, settings: Mapping[str, Any]) -> Results:
        world = make(run, settings)
        config = config_of(settings)
        run.fits("san", config)
        state = Stages.of(run, settings).folder
        config = replace(config, seed=run.seed, device=run.device, checkpoint=state)
        trained, other = _two_matchers(run, world, settings, config)
        known = _known(run, world, settings, config, trained)
        made = fit_san(
            world.train, private=world.private, matcher=trained, config=config, known=known
        )
        made.protector.save_pretrained(run.out / "artifacts" / run.name)
        return _measured(run, world, made, settings, trained, other)

    recipe.__doc__ = make.__doc__
    return recipe


def config_of(settings: Mapping[str, Any]) -> SanConfig:
    """Return a recipe's settings of the network: a preset, or the defaults, and its changes."""
    changes = settings.get("san", {})
    if "preset" in settings:
        return SanConfig.preset(settings["preset"], **changes)
    return SanConfig(**changes)


def _two_matchers(
    run: Run, world: World, settings: Mapping[str, Any], config: SanConfig
) -> tuple[nn.Module, nn.Module | None]:
    """Return the matcher that training knows; where it is of our own, also one that it does not."""
    if world.models is not None:
        return published.Matcher(world.models / "face-api"), None
    *known, stranger = (
        _matcher(run, world, settings, config, seed=run.seed + i, name=f"matcher-{i}")
        for i in range(settings["own_matchers"] + 1)
    )
    return _Together(known), stranger


class _Together(nn.Module):
    """Several matchers side by side: what keeps all their embeddings keeps a stranger's sooner."""

    def __init__(self, matchers: list[nn.Module]) -> None:
        super().__init__()
        self.matchers = nn.ModuleList(matchers)

    def forward(self, images: Tensor) -> Tensor:
        """Return all embeddings, one after the other."""
        return torch.cat([matcher(images) for matcher in self.matchers], 1)


def _matcher(
    run: Run, world: World, settings: Mapping[str, Any], config: SanConfig, *, seed: int, name: str
) -> nn.Module:
    """Train a matcher of our own on the training people, grey or RGB as the protector is."""
    people = _as_taken(with_at_least(world.train, "identity", _NAMED_IMAGES), config.channels)
    stage = FitConfig(
        epochs=settings["own_matcher_epochs"],
        seed=seed,
        device=run.device,
        batch_size=64,
        checkpoint=Stages.of(run, settings).folder / f"{name}.ckpt",
    )
    return train_matcher(people, "identity", stage, width=8 + 4 * (seed - run.seed))


def _known(
    run: Run, world: World, settings: Mapping[str, Any], config: SanConfig, trained: nn.Module
) -> list[nn.Module]:
    """Teach the attribute to networks published for other tasks, where there are any."""
    if world.models is None or not isinstance(trained, published.Matcher):
        return []
    train, _ = labelled(world.train, (world.private,))
    labels = train.label(world.private)
    rows = of.judged_rows(labels, settings["probe_images"], seed=run.seed)
    pictures, labels = _as_taken(train.subset(rows), config.channels).images, labels[rows]
    augmentation = config.augmentation
    probe = train_probe(
        trained.net, pictures.float() / 255, labels, seed=run.seed, augmentation=augmentation
    )
    expression = load_expression(world.models / "face-api")
    stage = config.stage("expression", settings["expression_epochs"])
    title = "expression network"
    train_classifier(
        expression, pictures, labels[:, None], stage, title=title, augmentation=augmentation
    )
    return [probe, expression]


def _measured(
    run: Run,
    world: World,
    made: Fitted[SemiAdversarial],
    settings: Mapping[str, Any],
    trained: nn.Module,
    other: nn.Module | None,
) -> Results:
    net = made.protector.to(resolve_device(run.device))
    judged, unlabelled = labelled(world.judged, (world.private,))
    rows = of.judged_rows(judged.label(world.private), settings["judged"], seed=run.seed)
    shown = of.Shown.of(judged.subset(rows), world.private, net.channels)
    pictures = of.versions(net, shown, seed=run.seed)
    classifiers = readers(run, world, net, trained, settings["retrain_images"])
    areas, scores = of.attribute_auc(classifiers, pictures, shown)
    pairs = (
        of.consecutive(judged, world.private, settings["pairs"])
        if world.pairs is None
        else of.official(judged, world.pairs, settings["pairs"])
    )
    left = of.Shown.of(judged.subset(pairs.left), world.private, net.channels)
    gallery = of.grey(judged.subset(pairs.right), net.channels)
    probes = of.versions(net, left, seed=run.seed)
    match_areas, rates, pair_scores = of.match(
        _matchers(world, trained, other), probes, gallery, pairs
    )
    ratio, similarity = of.quality(pictures)
    guessed = outputs(net, shown.images, through=net.guess) == shown.labels
    roles = {name: witness.role for name, witness in classifiers.items()}
    figures.draw_all(run, world, made, roles, scores, pictures, shown.labels[:, 0], pair_scores)
    return {
        "private": world.private,
        "attribute_auc": areas,
        "attribute_auc_two_sided": of.readable(areas),
        "match_auc": match_areas,
        "tar_at_far_1e-2": rates,
        "psnr": ratio,
        "ssim": similarity,
        "own_guess_accuracy": float(guessed.float().mean()),
        "counts": {
            "train": len(world.train) - made.left_out,
            "train_without_label": made.left_out,
            "judged": len(rows),
            "judged_without_label": unlabelled,
            "pairs": len(pairs.left),
            "impostor_pairs": int(pairs.strangers.sum()),
        },
        "curves": {name: history.epochs for name, history in made.histories.items()},
    }


def _matchers(world: World, trained: nn.Module, other: nn.Module | None) -> dict[str, Witness]:
    if other is not None:
        return {
            "trained against": Witness(_embedded(trained), "seen"),
            "another": Witness(_embedded(other), "unseen"),
        }
    assert world.models is not None
    matchers = {"face-api copy of dlib's": Witness(_embedded(trained), "seen")}
    if published.has_dlib():
        matchers["dlib"] = Witness(published.dlib_matcher(), "unseen, but the seen one's source")
    if published.has_faceres(world.models):
        matchers["faceres"] = Witness(published.faceres_matcher(world.models / "human"), "unseen")
    return matchers


def _as_taken(images: ImageSet, channels: int) -> ImageSet:
    chosen = SourceOptions(channels=1 if channels == 1 else 3)
    return replace(images, images=conform(images.images, chosen))


def _embedded(net: nn.Module) -> of.Scores:
    return lambda images: outputs(net, images, batch_size=64)


RECIPES: dict[str, Recipe] = {
    "lfw": _recipe(lfw),
    "lfw-coin": _recipe(lfw),
    "lfw-colour": _recipe(lfw),
    "lfw-paper": _recipe(lfw),
    "characters": _recipe(characters),
    "celeba": _recipe(celeba),
}
