"""The obfuscator's part of the demo: digits kept as maps that classify and cannot be drawn."""

from __future__ import annotations

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from sfumato.attack.reconstruct import ReconstructionAttack, ReconstructionDetails
from sfumato.attack.tools.decoder import ReconstructionConfig
from sfumato.data.imageset import ImageSet
from sfumato.data.pixels import as_uint8
from sfumato.data.sheet import contact_sheet
from sfumato.data.sources import load
from sfumato.data.splits import split_images
from sfumato.demo.section import Advance, Figure, Picture, Section
from sfumato.nets.cuts import DEEP_CUT, PAPER_CUT
from sfumato.protect.obfuscator.config import ObfuscatorConfig
from sfumato.protect.obfuscator.fit import fit_obfuscator
from sfumato.protect.obfuscator.model import Obfuscator
from sfumato.types import Finding, Knowledge, Releases

STEPS = 4

_SIDE = 32  # pixels; VGG16 halves a picture five times
_SHARES = (0.45, 0.35, 0.2)  # owner, adversary, victims: none has another's pictures
_CONFIG = ObfuscatorConfig(
    lam=0.05, scale=0.1, map_channels=4, epochs=18, batch_size=64, precision="no", device="cpu"
)
_CUTS = {"none": PAPER_CUT, "rate": DEEP_CUT}
_ATTACKER = ReconstructionConfig(
    networks=("simrec",),
    scale=0.125,
    epochs=45,
    patience=10,
    batch_size=32,
    most_validated=64,
    device="cpu",
)
_SHOWN = 10


def obfuscator_demo(*, seed: int, advance: Advance = lambda _: None) -> Section:
    """Keep digits as maps, with and without the obfuscation, and draw them from the maps."""
    owner, adversary, victims = split_images(load("digits", size=_SIDE), list(_SHARES), seed=seed)
    plain = _fitted(owner, victims, "none", seed)
    advance("classifier cut in two, nothing hidden")
    hidden = _fitted(owner, victims, "rate", seed)
    advance("obfuscator trained")
    shown, seen = _drawn(plain, adversary, victims, seed)
    advance("pictures drawn from plain maps")
    blurred, blind = _drawn(hidden, adversary, victims, seed)
    advance("pictures drawn from obfuscated maps")
    floors = {name: scores["psnr"] for name, scores in _details(blind).floors.items()}
    return Section(
        slug="obfuscator",
        title="Obfuscated maps",
        sentence=(
            f"A fresh attacker draws from an ordinary network's maps at {seen.value:.1f} dB, "
            f"and from obfuscated maps, which still tell the digit, at {blind.value:.1f} dB; the "
            f"mean picture of the right digit alone has {floors['class mean']:.1f} dB."
        ),
        figures=(
            Figure(
                label="digit read from obfuscated maps by their owner's classifier",
                value=_accuracy(hidden, victims),
                wanted="high",
                chance=0.1,
            ),
            _drawn_share("drawn from plain maps", seen, floors["class mean"]),
            _drawn_share("drawn from obfuscated maps", blind, floors["class mean"]),
        ),
        pictures=(_sheet(victims, shown, blurred),),
    )


def _fitted(owner: ImageSet, victims: ImageSet, objective: str, seed: int) -> Obfuscator:
    config = replace(_CONFIG, objective=objective, cut=_CUTS[objective], seed=seed)  # type: ignore[arg-type]
    return fit_obfuscator(owner, utility="digit", config=config, check=victims).protector


def _accuracy(made: Obfuscator, victims: ImageSet) -> float:
    found = made.classify(made.release(victims.floats()))
    return float((found == victims.label("digit")).float().mean())


def _drawn(
    made: Obfuscator, adversary: ImageSet, victims: ImageSet, seed: int
) -> tuple[Float[Tensor, "n c h w"], Finding]:
    intercepted, knowledge = Releases.of(made, victims), Knowledge.of(made, adversary)
    attack = ReconstructionAttack(seeds=(seed,), config=_ATTACKER, label="digit")
    trained = attack.learn(knowledge)
    return trained.draw(intercepted)[0], attack.apply(trained, intercepted, knowledge)


def _details(finding: Finding) -> ReconstructionDetails:
    assert isinstance(finding.details, ReconstructionDetails)  # noqa: S101 - of its attack
    return finding.details


def _drawn_share(label: str, finding: Finding, floor: float) -> Figure:
    """Return the share of the class mean's squared error that the attacker saves, at least 0."""
    saved = 1 - 10 ** ((floor - finding.value) / 10)
    return Figure(
        label=f"detail beyond the digit's class, {label}",
        value=max(0.0, saved),
        wanted="low",
        chance=0.0,
    )


def _sheet(victims: ImageSet, *drawn: Float[Tensor, "n c h w"]) -> Picture:
    rows = [victims.subset(range(_SHOWN)).floats(), *(part[:_SHOWN] for part in drawn)]
    pictures = as_uint8(torch.cat(rows))
    return Picture(
        caption="Victims' pictures; drawn from an ordinary network's maps; drawn from obfuscated "
        "maps by a fresh attacker of the same kind.",
        png=contact_sheet(pictures, columns=_SHOWN, side=56),
    )
