"""Many small enrollments: the other recipes' people and classes, cut into groups of pictures."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from papers.docl import cifar10, faces, mnist
from papers.docl.mobilenet import load_mobilenet
from papers.docl.worlds import features_of
from papers.recipe import Run
from sfumato.data.order import random_order
from sfumato.features.backbone import Backbone
from sfumato.filter.bank.bank import Bank
from sfumato.filter.enrolled import EnrolledUsers, enroll_all
from sfumato.filter.enrollment import Enrollment
from sfumato.filter.oneclass import OneClassConfig
from sfumato.progress import track

TRAINING = OneClassConfig.preset("plain")
"""Of 3,301 enrollments: views would be two million extractions."""
_FOLDS = 2
_BACKBONE = "0" * 64
_TESTS = 200  # pictures of a class that are uploaded, at most
_RECIPES = Path(__file__).parent / "recipes"


@dataclass(frozen=True)
class Pictures:
    """Features by person or class, and of uploads: of the same ones, and of others."""

    private: list[Tensor]
    uploads: Tensor
    strangers: Tensor


def pictures(run: Run, name: str) -> Pictures:
    """Return the features of one of the other recipes, at its full settings."""
    settings = tomllib.loads((_RECIPES / f"{name}.toml").read_text())["full"]
    if name == "faces":
        return _faces(run, settings)
    if name == "cifar10":
        backbone = load_mobilenet(settings["size"])
        kinds = cifar10.things_of(run, "train", settings["images"])
        others = cifar10.things_of(run, "test", settings["tests"])
        return _extracted(backbone, kinds, others, None)
    digits = mnist.digits_of(run, settings)
    clothes = mnist.features_of(settings, run.uses(mnist.images_of(run, "fashion-mnist", "test")))
    return _extracted(digits.backbone, digits.train, digits.tests, clothes[:1000])


def _extracted(
    backbone: Backbone,
    train: Sequence[Tensor],
    tests: Sequence[Tensor],
    strangers: Tensor | None,
) -> Pictures:
    uploads = torch.cat([features_of(backbone, x[:_TESTS]) for x in tests])
    nobody = torch.zeros(0, uploads.shape[1])
    private = [features_of(backbone, x) for x in train]
    return Pictures(private, uploads, nobody if strangers is None else strangers)


def groups(private: Sequence[Tensor], settings: Mapping[str, Any]) -> list[Tensor]:
    """Cut each class into groups of `pictures`, `most` of them, none of fewer than `least`."""
    found = []
    for x in private:
        parts = [part for part in x.split(settings["pictures"]) if len(part) >= settings["least"]]
        found += parts[: settings.get("most")]
    return found


def crowded_bank(rows: Sequence[Tensor], settings: Mapping[str, Any]) -> Bank:
    """Let every group enroll, cross-fitted; return them as a bank that keeps a shortlist."""
    config = TRAINING
    bank = Bank.empty(rows[0].shape[1], config.hidden, backbone=_BACKBONE, reach=0.0)
    for start in track(range(0, len(rows), settings["chunk"]), "enrolling"):
        chosen = rows[start : start + settings["chunk"]]
        users = enroll_all(chosen, config, folds=_FOLDS, seed=1000 * start)
        for i, x in enumerate(chosen):
            bank.add(str(start + i), _enrollment(users, i, len(x)))
    return bank


def _enrollment(users: EnrolledUsers, i: int, count: int) -> Enrollment:
    return Enrollment(
        **{name: tensor[i] for name, tensor in users.net.named_parameters()},
        code_mean=users.code_mean[i],
        code_covariance=users.code_covariance[i],
        mu=float(users.mu[i]),
        sigma=float(users.sigma[i]),
        calibration="cross-fitted",
        count=count,
        backbone=_BACKBONE,
    )


def _faces(run: Run, settings: Mapping[str, Any]) -> Pictures:
    people = faces.people_of(run, "face", settings)
    private, uploads = [], []
    for i, x in enumerate(people.rows.values()):
        mixed = x[random_order(len(x), i)]
        cut = max(1, len(x) // 4)
        uploads.append(mixed[:cut])
        private.append(mixed[cut:])
    return Pictures(private, torch.cat(uploads), people.unseen)
