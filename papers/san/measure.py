"""What the recipes measure on people whom no training saw: attribute, matching, picture quality."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from sfumato.attack.tools.scores import (
    area,
    draw_weights,
    interval,
    psnr,
    ssim,
    two_sided,
    weighted_area,
)
from sfumato.attack.verify import tar_at_far
from sfumato.data.imageset import MISSING, ImageSet
from sfumato.data.pixels import as_uint8
from sfumato.data.sets.lfw import Pairs
from sfumato.device import device_of
from sfumato.intervals import wilson_interval
from sfumato.protect.release.noise import secret_draws
from sfumato.protect.san.classifiers import balanced_rows
from sfumato.protect.san.config import Drawn
from sfumato.protect.san.model import SemiAdversarial

Scores = Callable[[Tensor], Tensor]
_SECRET = b"seed %d of a recipe"  # a release's is from the operating system
_BATCH = 128


@dataclass(frozen=True, slots=True)
class Witness:
    """A classifier or a matcher, and what training knew of it."""

    scores: Scores
    role: str
    """`seen` in training, `unseen`, or `retrained` on the outputs by an adversary."""


def grey(images: ImageSet, channels: int) -> Tensor:
    """Return images as floats, with the protector's number of channels."""
    floats = images.floats()
    if channels == 1 and floats.shape[1] == 3:
        weights = torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)
        floats = (floats * weights).sum(1, keepdim=True)
    return floats


def outputs_of(net: SemiAdversarial) -> tuple[Drawn, ...]:
    """Return what a network learned to draw."""
    return ("SM", "OP") if net.output == "coin" else ("SM", "NT", "OP")


@dataclass(frozen=True, slots=True)
class Shown:
    """Pictures to protect: floats as the protector takes them, true values, and who is on them."""

    images: Tensor
    labels: Tensor
    """`(n, 1)`"""
    people: tuple[str, ...]

    @classmethod
    def of(cls, images: ImageSet, private: str, channels: int) -> Shown:
        """Return pictures of a set that has the label `identity`."""
        names = images.classes["identity"]
        people = tuple(names[value] for value in images.label("identity").tolist())
        return cls(grey(images, channels), images.label(private)[:, None], people)


@torch.no_grad()
def versions(net: SemiAdversarial, shown: Shown, *, seed: int) -> dict[str, Tensor]:
    """Return the pictures as they are, all outputs, and what `release` gives, in 8 bits.

    They are drawn on the network's device and returned on the CPU.
    """
    device = device_of(net)
    outputs = outputs_of(net)
    made: dict[str, list[Tensor]] = {name: [] for name in ("original", *outputs, "release")}
    coins = _coins(net, shown, seed).split(_BATCH)
    parts = zip(shown.images.split(_BATCH), shown.labels.split(_BATCH), coins, strict=True)
    for x, y, coin in parts:
        made["original"].append(x)
        x, y = x.to(device), y.to(device)
        for output in outputs:
            made[output].append(net.draw(x, y, output).cpu())
        released = net.toward(x, coin.to(device)) if net.output == "coin" else net(x)
        made["release"].append(released.cpu())
    # What leaves is a PNG: fine structure below one level of 256 must not count.
    return {name: as_uint8(torch.cat(parts)) / 255 for name, parts in made.items()}


def _coins(net: SemiAdversarial, shown: Shown, seed: int) -> Tensor:
    """Return what a release draws for each picture, the same for all pictures of a person."""
    found: dict[str, Tensor] = {}
    for picture, person in zip(as_uint8(shown.images), shown.people, strict=True):
        if person not in found:
            with secret_draws(_SECRET % seed, picture, person):
                found[person] = net.coins(1)
    return torch.cat([found[person] for person in shown.people])


def judged_rows(labels: Tensor, count: int, *, seed: int) -> Tensor:
    """Draw as many pictures of each value as there are, up to `count` in all."""
    return balanced_rows(labels[:, None], count, seed=seed)


def attribute_auc(
    witnesses: Mapping[str, Witness], pictures: Mapping[str, Tensor], shown: Shown
) -> tuple[dict[str, Any], dict[str, dict[str, Tensor]]]:
    """Return each classifier's area under the ROC curve on each version, and its scores.

    `interval` is that of `release` in 95 % of draws of the people.
    """
    areas: dict[str, Any] = {}
    scores: dict[str, dict[str, Tensor]] = {}
    truth = shown.labels[:, 0]
    names = {person: number for number, person in enumerate(dict.fromkeys(shown.people))}
    people = torch.tensor([names[person] for person in shown.people])
    for name, witness in witnesses.items():
        scores[name] = {version: witness.scores(images) for version, images in pictures.items()}
        areas[name] = {"role": witness.role} | {
            version: area(found[truth == 1], found[truth == 0])
            for version, found in scores[name].items()
        }
        areas[name]["interval"] = list(_interval(scores[name]["release"], truth, people))
    return areas, scores


def _interval(scores: Tensor, truth: Tensor, people: Tensor) -> tuple[float, float]:
    def areas(weights: Tensor) -> Tensor:
        ones = truth == 1
        return weighted_area(scores[ones], scores[~ones], weights[:, ones], weights[:, ~ones])

    return interval(areas, draw_weights(len(truth), groups=people))


def readable(areas: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return the same areas two-sided, as an adversary reads them: 0.125 is as good as 0.875."""
    return {
        name: {key: _turned(value) for key, value in found.items()} for name, found in areas.items()
    }


def _turned(value: Any) -> Any:  # noqa: ANN401 - a role, an area, or an interval
    if isinstance(value, float):
        return two_sided(value)
    if isinstance(value, str):
        return value
    low, high = value
    ends = sorted((two_sided(low), two_sided(high)))
    return [0.5 if low < 0.5 < high else ends[0], ends[1]]


def match(
    witnesses: Mapping[str, Witness],
    probes: Mapping[str, Tensor],
    gallery: Tensor,
    rows: PairRows,
) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Match versions of the left picture of each pair with the right one, an original.

    Impostors are all left and right pictures that show two people. Returns
    areas under the curve, true acceptance rates at a false one of 1 % with the interval of that of
    `release`, and the scores P = 1 / (1 + d^2) (equation 6) of genuine and impostor pairs, for the
    figure.
    """
    areas: dict[str, Any] = {}
    rates: dict[str, Any] = {}
    curves: dict[str, Any] = {}
    for name, witness in witnesses.items():
        others = witness.scores(gallery)
        areas[name], rates[name] = {"role": witness.role}, {"role": witness.role}
        curves[name] = {}
        for version, images in probes.items():
            scores = 1 / (1 + torch.cdist(witness.scores(images), others).square())
            genuine, impostor = scores.diagonal().contiguous(), scores[rows.strangers]
            areas[name][version] = area(genuine, impostor)
            rates[name][version] = tar_at_far(genuine, impostor, 1e-2)
            curves[name][version] = (genuine, impostor)
        rates[name]["interval"] = list(wilson_interval(rates[name]["release"], len(gallery)))
    return areas, rates, curves


def quality(pictures: Mapping[str, Tensor]) -> tuple[dict[str, float], dict[str, float]]:
    """Return mean PSNR (dB) and SSIM of every version but the original."""
    original = pictures["original"]
    made = {name: images for name, images in pictures.items() if name != "original"}
    return (
        {name: float(psnr(original, images).mean()) for name, images in made.items()},
        {name: float(ssim(original, images).mean()) for name, images in made.items()},
    )


@dataclass(frozen=True, slots=True)
class PairRows:
    """Positions of two pictures of a person each, and who is who."""

    left: Tensor
    right: Tensor
    strangers: Tensor
    """`(pairs, pairs)`: do the left and the right picture show two people?"""


def official(images: ImageSet, pairs: Pairs, count: int) -> PairRows:
    """Return up to `count` official pairs of one person among these images, spread evenly."""
    position = {file: i for i, file in enumerate(images.files)}
    found = [
        (position[left], position[right])
        for left, right, same in zip(pairs.left, pairs.right, pairs.same, strict=True)
        if same and left in position and right in position
    ]
    picks = torch.linspace(0, len(found) - 1, min(count, len(found))).long()
    return _pair_rows(images, torch.tensor(found)[picks])


def _pair_rows(images: ImageSet, rows: Tensor) -> PairRows:
    left, right = rows.unbind(1)
    people = images.label("identity")
    return PairRows(left, right, people[left][:, None] != people[right])


def consecutive(images: ImageSet, private: str, count: int) -> PairRows:
    """Return up to `count` pairs of pictures of one person, half of each private value.

    A person's pictures go into pairs in their order; each is in one pair at most. The value is the
    left picture's.
    """
    people, values = images.label("identity"), images.label(private)
    by_person: dict[int, list[int]] = {}
    for i, person in enumerate(people.tolist()):
        if int(values[i]) != MISSING:
            by_person.setdefault(person, []).append(i)
    # The first pair of everybody, then the second: few pairs show many people.
    numbered = [
        (number, rows[2 * number : 2 * number + 2])
        for rows in by_person.values()
        for number in range(len(rows) // 2)
    ]
    twos = [two for _, two in sorted(numbered)]
    parts = [[two for two in twos if int(values[two[0]]) == v] for v in (0, 1)]
    half = min(count // 2, *(len(part) for part in parts))
    return _pair_rows(images, torch.tensor(parts[0][:half] + parts[1][:half]))
