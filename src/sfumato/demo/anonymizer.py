"""The anonymiser's part of the demo: drawn people who keep their expression and lose their face."""

from __future__ import annotations

from dataclasses import replace

import torch

from sfumato.attack.tools.assess import Parts, read_labels
from sfumato.attack.tools.learners import LearnerConfig
from sfumato.data.options import SourceOptions
from sfumato.data.sets.characters import FACE, CharactersConfig, load_characters
from sfumato.data.sheet import contact_sheet
from sfumato.data.splits import split_images
from sfumato.demo.section import Advance, Figure, Picture, Section
from sfumato.protect.baselines import Unprotected
from sfumato.protect.prototypes.config import PrototypesConfig
from sfumato.protect.prototypes.fit import fit_prototypes
from sfumato.protect.release.pictures import as_pictures
from sfumato.types import Protector

STEPS = 3

_PEOPLE = 6
_EACH = 200
_SIDE = 24
_PAIRS = 24
_EXPRESSIONS = 7
_LEARNER = LearnerConfig(learners=("conv",), restarts=1, epochs=10, patience=4, device="cpu")
# The faces are aligned, so that views need to differ in little.
_FIT = PrototypesConfig.preset("drawn", batch_size=210, precision="no", device="cpu")


def anonymizer_demo(*, seed: int, advance: Advance = lambda _: None) -> Section:
    """Hide who is shown; fresh networks then try to read who, and with which expression."""
    drawn = CharactersConfig(
        identities=_PEOPLE, count=_PEOPLE * _EACH, rotate=0.0, move=0.0, zoom=0.0, light=0.0
    )
    options = SourceOptions(size=_SIDE, channels=1, seed=seed, box=FACE)
    everyone = load_characters(options, drawn)
    world = Parts(*split_images(everyone, [0.7, 0.1, 0.2], seed=seed))
    config = replace(_FIT, seed=seed)
    made = fit_prototypes(world.train, private="identity", config=config).protector
    advance("anonymiser trained, without knowing the expressions")
    before = _read(world, Unprotected(), seed)
    advance("originals attacked")
    released = made.for_collection(
        everyone.floats(), everyone.labels, everyone.classes, kept=("expression",), seed=seed
    )
    after = _read(world, released, seed)
    advance("releases attacked")
    return Section(
        slug="anonymizer",
        title="Anonymised pictures",
        sentence=(
            "Six drawn people share the same few pictures, each the mean of ten originals or more: "
            f"a network trained on the releases names who is shown in "
            f"{100 * after['identity']:.0f} % (originals {100 * before['identity']:.0f} %, a guess "
            f"{100 / _PEOPLE:.0f} %), and reads the expression, the label that is released along, "
            f"in {100 * after['expression']:.0f} % (a guess {100 / _EXPRESSIONS:.0f} %)."
        ),
        figures=(
            _figure("who is shown, originals", before["identity"], "low", _PEOPLE),
            _figure("who is shown, releases", after["identity"], "low", _PEOPLE),
            _figure("expression, originals", before["expression"], "high", _EXPRESSIONS),
            _figure("expression, releases", after["expression"], "high", _EXPRESSIONS),
        ),
        pictures=(_pairs(world, released),),
    )


def _figure(label: str, value: float, wanted: str, values: int) -> Figure:
    return Figure(
        label=label, value=value, wanted="low" if wanted == "low" else "high", chance=1 / values
    )


def _read(parts: Parts, protector: Protector, seed: int) -> dict[str, float]:
    """Return the accuracy of fresh networks that learned on the releases of the same people."""
    tries = {key: [_LEARNER] for key in ("identity", "expression")}
    correct = read_labels(protector, parts, tries, seed=seed)
    return {label: float(right.float().mean()) for label, right in correct.items()}


def _pairs(world: Parts, made: Protector) -> Picture:
    originals = world.test.subset(range(_PAIRS)).floats()
    pairs = torch.stack([originals, made.release(originals)], 1).flatten(0, 1)
    return Picture(
        caption="24 pictures that the training had never seen, each followed by its release.",
        png=contact_sheet(as_pictures(pairs, made.name), columns=12, side=64),
    )
