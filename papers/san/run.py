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
from papers.san.worlds import World, celeba, characters, lfw
from papers.stages import Stages
from sfumato.data.assemble import conform
from sfumato.data.imageset import ImageSet
from sfumato.data.options import SourceOptions
from sfumato.data.pixels import as_uint8
from sfumato.data.splits import with_at_least
from sfumato.device import resolve_device
from sfumato.fit.config import FitConfig
from sfumato.fit.outputs import outputs
from sfumato.nets.classifiers import ConvClassifier
from sfumato.protect.fitted import Fitted
from sfumato.protect.san.classifiers import train_classifier
from sfumato.protect.san.config import SanConfig
from sfumato.protect.san.fit import fit_san
from sfumato.protect.san.matcher import train_matcher
from sfumato.protect.san.model import SemiAdversarial
from sfumato.protect.san.prototypes import binary_labels, labelled

_STRANGER_SEED = 1_000  # no classifier of the ensemble has it
_STRANGER_WIDTH = 12
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
        return _measured(run, world, made, settings, config, trained, other)

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
    config: SanConfig,
    trained: nn.Module,
    other: nn.Module | None,
) -> Results:
    net = made.protector.to(resolve_device(run.device))
    judged, unlabelled = labelled(world.judged, (world.private,))
    truth = judged.label(world.private)
    rows = of.judged_rows(truth, settings["judged"], seed=run.seed)
    shown = of.grey(judged.subset(rows), config.channels)
    truth = truth[rows]
    pictures = of.versions(net, shown, truth[:, None])
    classifiers = _readers(run, world, net, settings, config)
    areas, scores = of.attribute_auc(classifiers, pictures, truth)
    pairs = (
        of.consecutive(judged, world.private, settings["pairs"])
        if world.pairs is None
        else of.official(judged, world.pairs, settings["pairs"])
    )
    labels = judged.label(world.private)[pairs.left][:, None]
    probes = of.versions(net, of.grey(judged.subset(pairs.left), config.channels), labels)
    gallery = of.grey(judged.subset(pairs.right), config.channels)
    matchers = _matchers(world, trained, other)
    match_areas, rates, pair_scores = of.match(matchers, probes, gallery, pairs)
    ratio, similarity = of.quality(pictures)
    own_guess = (outputs(net, shown, through=net.guess)[:, 0] == truth).float().mean()
    roles = {name: witness.role for name, witness in classifiers.items()}
    figures.draw_all(run, world, made, roles, scores, pictures, truth, pair_scores)
    return {
        "private": world.private,
        "attribute_auc": areas,
        "attribute_auc_two_sided": of.readable(areas),
        "match_auc": match_areas,
        "tar_at_far_1e-2": rates,
        "psnr": ratio,
        "ssim": similarity,
        "own_guess_accuracy": float(own_guess),
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


def _readers(
    run: Run,
    world: World,
    net: SemiAdversarial,
    settings: Mapping[str, Any],
    config: SanConfig,
) -> dict[str, Witness]:
    """Return the protector's own classifier, strangers, and some retrained on the outputs."""
    train, _ = labelled(world.train, (world.private,))
    few = train.subset(
        of.judged_rows(train.label(world.private), settings["retrain_images"], seed=run.seed + 1)
    )
    labels = binary_labels(few, (world.private,))
    x = of.grey(few, config.channels)
    # Only the paper trains against it; ours asks an ensemble, and this one guesses what to hide.
    role = "seen" if config.network == "paper" else "unseen"
    classifiers = {"own classifier": Witness(_logits(net.classifier), role)}
    if world.models is not None:
        classifiers["face-api Xception"] = Witness(
            published.face_api_gender(world.models / "face-api"), "unseen"
        )
        classifiers["dlib gender"] = Witness(published.dlib_gender(world.models / "dlib"), "unseen")
    if world.models is not None and published.has_faceres(world.models):
        classifiers["faceres"] = Witness(published.faceres_gender(world.models / "human"), "unseen")
    taught = {
        "fresh network": ("unseen", "original"),
        "fresh network, taught OP": ("retrained", "OP"),
        "fresh network, taught NT": ("retrained", "NT"),
    }
    drawn = of.versions(net, x, labels)
    for i, (name, (role, version)) in enumerate(taught.items()):
        classifier = _taught(run, drawn[version], labels, settings, f"stranger-{i}")
        classifiers[name] = Witness(_logits(classifier), role)
    return classifiers


def _taught(
    run: Run, images: Tensor, labels: Tensor, settings: Mapping[str, Any], name: str
) -> nn.Module:
    torch.manual_seed(run.seed + _STRANGER_SEED)
    channels, height, width = images.shape[1:]
    classifier = ConvClassifier(channels, (height, width), 1, width=_STRANGER_WIDTH)
    stage = FitConfig(
        epochs=settings["retrain_epochs"],
        seed=run.seed + _STRANGER_SEED,
        device=run.device,
        batch_size=64,
        checkpoint=Stages.of(run, settings).folder / f"{name}.ckpt",
    )
    train_classifier(classifier, as_uint8(images), labels, stage, title=name)
    return classifier


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


def _logits(net: nn.Module) -> of.Scores:
    return lambda images: outputs(net, images)[:, 0]


def _embedded(net: nn.Module) -> of.Scores:
    return lambda images: outputs(net, images, batch_size=64)


RECIPES: dict[str, Recipe] = {
    "lfw": _recipe(lfw),
    "characters": _recipe(characters),
    "celeba": _recipe(celeba),
}
