"""Small real trainings: what the bottleneck hides from a fresh attacker, and what it keeps."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from sfumato.data.imageset import ImageSet
from sfumato.data.sources import load
from sfumato.data.splits import split_images
from sfumato.errors import ArtifactError, ConfigError, DataError
from sfumato.nets.cuts import DEEP_CUT, PAPER_CUT
from sfumato.protect.fitted import Fitted
from sfumato.protect.obfuscator import alternations as obfuscator_rounds
from sfumato.protect.obfuscator import fit as obfuscator_fit
from sfumato.protect.obfuscator.config import ObfuscatorConfig
from sfumato.protect.obfuscator.fit import fit_obfuscator

_SMALL = ObfuscatorConfig(
    precision="no",
    cut=PAPER_CUT,
    scale=0.1,
    attacker_scale=0.1,
    epochs=10,
    map_channels=4,
    most_nats=40.0,
    device="cpu",
    batch_size=64,
)


@pytest.fixture(scope="module")
def parts() -> tuple[ImageSet, ImageSet, ImageSet]:
    train, adversary, victims = split_images(load("digits", size=32), (0.4, 0.4, 0.2), seed=0)
    return train, adversary, victims


@pytest.fixture(scope="module")
def fitted(parts: tuple[ImageSet, ImageSet, ImageSet]) -> dict[str, Fitted]:
    train, _, victims = parts
    return {
        "rate": fit_obfuscator(
            train, utility="digit", config=replace(_SMALL, lam=0.02), check=victims
        ),
        "none": fit_obfuscator(
            train, utility="digit", config=replace(_SMALL, objective="none"), check=victims
        ),
    }


def _inverted(fit: Fitted, parts: tuple[ImageSet, ImageSet, ImageSet]) -> float:
    """PSNR of the best linear reconstruction, learned on other pictures, in dB over the mean's."""
    _, adversary, victims = parts
    made = fit.protector
    rows = [made.floats(made.release(part.floats())).flatten(1) for part in (adversary, victims)]
    mean, scale = rows[0].mean(0), rows[0].std(0).clamp(min=1e-6)
    x, new = ((row - mean) / scale for row in rows)
    pictures = adversary.floats().flatten(1)
    centre = pictures.mean(0)
    ridge = x.T @ x + 30 * torch.eye(x.shape[1])
    weights = torch.linalg.solve(ridge, x.T @ (pictures - centre))
    truth = victims.floats().flatten(1)
    error = (centre + new @ weights - truth).square().mean()
    return float(10 * ((centre - truth).square().mean() / error).log10())


def test_the_bottleneck_classifies_and_hides(
    fitted: dict[str, Fitted], parts: tuple[ImageSet, ImageSet, ImageSet]
) -> None:
    rate, none = fitted["rate"], fitted["none"]
    assert rate.accuracies[-1] > 0.65
    assert none.accuracies[-1] > 0.9
    assert _inverted(none, parts) > 3
    assert _inverted(rate, parts) < _inverted(none, parts) - 1.5


def test_the_certificate_is_small_where_noise_hides(
    fitted: dict[str, Fitted],
) -> None:
    nats = fitted["rate"].protector.certificate
    assert 0 < nats["mean"] < nats["p95"] <= nats["worst"] <= nats["most"] == _SMALL.most_nats
    assert fitted["none"].protector.certificate is None, "no noise, no bound"


@pytest.mark.slow
def test_a_deeper_cut_tells_the_class_better_and_the_picture_less(
    fitted: dict[str, Fitted], parts: tuple[ImageSet, ImageSet, ImageSet]
) -> None:
    train, _, victims = parts
    deep = fit_obfuscator(
        train, utility="digit", config=replace(_SMALL, cut=DEEP_CUT, lam=0.05), check=victims
    )
    shallow = fitted["rate"]
    assert deep.accuracies[-1] > shallow.accuracies[-1] + 0.03
    assert deep.protector.certificate["mean"] < shallow.protector.certificate["mean"] / 2
    _a_bound_holds_of_every_map_and_costs_little(deep, victims)


def _a_bound_holds_of_every_map_and_costs_little(deep: Fitted, victims: ImageSet) -> None:
    made, accuracy = deep.protector, deep.accuracies[-1]
    assert made.certificate["worst"] > 4, "else there is nothing to bound"
    made.most_nats = 1.0
    made.measure_nats(victims.floats())
    assert 0 < made.certificate["mean"] <= made.certificate["worst"] <= 1.0
    right = made.classify(made.release(victims.floats())) == victims.label("digit")
    assert float(right.float().mean()) > accuracy - 0.03


def test_rounds_start_from_a_warm_up_that_stays_as_it_is(
    fitted: dict[str, Fitted], parts: tuple[ImageSet, ImageSet, ImageSet]
) -> None:
    train, _, victims = parts
    warm, some = fitted["none"], train.subset(range(128))
    before = {name: value.clone() for name, value in warm.protector.state_dict().items()}
    config = replace(_SMALL, objective="psnr", cycles=1)
    made = fit_obfuscator(some, utility="digit", config=config, check=victims, warm=warm)
    assert made.accuracies[:-1] == warm.accuracies
    assert made.histories["warm-up"] == warm.histories["warm-up"]
    after = warm.protector.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    assert not torch.equal(made.protector.body[0].weight, before["body.0.weight"])
    with pytest.raises(ConfigError, match=r"expected a warm-up with maps \(2, 8, 8\)"):
        fit_obfuscator(
            some, utility="digit", config=replace(config, map_channels=2), check=victims, warm=warm
        )


@pytest.mark.slow
@pytest.mark.parametrize("killed", [1, 2])
def test_an_interrupted_training_ends_as_if_it_had_not_been(
    parts: tuple[ImageSet, ImageSet, ImageSet],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    killed: int,
) -> None:
    train, _, victims = parts
    some = train.subset(range(128))
    config = replace(
        _SMALL,
        objective="bounded",
        epochs=1,
        cycles=3,
        renew=1,
        reconstructors=("simrec", "resrec"),
    )
    whole = fit_obfuscator(some, utility="digit", config=config, check=victims)
    kept = replace(config, checkpoint=tmp_path / "training")

    def die(duel: Any, cycle: int) -> None:
        if cycle == killed:
            raise KeyboardInterrupt
        real(duel, cycle)

    real = obfuscator_rounds.Duel.round
    with monkeypatch.context() as patched:
        patched.setattr(obfuscator_rounds.Duel, "round", die)
        with pytest.raises(KeyboardInterrupt):
            fit_obfuscator(some, utility="digit", config=kept, check=victims)
    for other in ({"lam": 2 * kept.lam}, {"cycles": 4}):
        with pytest.raises(ArtifactError, match="with other settings"):
            fit_obfuscator(some, utility="digit", config=replace(kept, **other), check=victims)
    with pytest.raises(ArtifactError, match="on other pictures"):
        fit_obfuscator(train.subset(range(128, 256)), utility="digit", config=kept, check=victims)
    again = fit_obfuscator(some, utility="digit", config=kept, check=victims)
    assert again.accuracies == whole.accuracies
    images = victims.floats()[:5]
    assert torch.equal(again.protector.release(images), whole.protector.release(images))


@pytest.mark.slow
def test_half_precision_learns_as_much(parts: tuple[ImageSet, ImageSet, ImageSet]) -> None:
    train, _, victims = parts
    config = replace(_SMALL, objective="none", precision="bf16")
    assert fit_obfuscator(train, utility="digit", config=config, check=victims).accuracies[-1] > 0.9


def test_stored_maps_still_classify(
    fitted: dict[str, Fitted], parts: tuple[ImageSet, ImageSet, ImageSet]
) -> None:
    made, victims = fitted["rate"].protector, parts[2]
    stored = made.release(victims.floats())
    assert stored.dtype == torch.int8
    right = (made.classify(stored) == victims.label("digit")).float().mean()
    assert float(right) > 0.65


@pytest.mark.slow
@pytest.mark.parametrize("objective", ["psnr", "bounded"])
def test_algorithm_1_runs_with_several_attackers_renewed(
    parts: tuple[ImageSet, ImageSet, ImageSet], objective: str
) -> None:
    both = ("simrec", "resrec")
    config = replace(_SMALL, objective=objective, epochs=2, cycles=3, renew=1, reconstructors=both)
    train, _, victims = parts
    first = fit_obfuscator(train.subset(range(128)), utility="digit", config=config, check=victims)
    again = fit_obfuscator(train.subset(range(128)), utility="digit", config=config, check=victims)
    assert len(first.accuracies) == 2 + 3
    assert first.accuracies == again.accuracies, "same seed, same result"
    images = victims.floats()[:5]
    assert torch.equal(first.protector.release(images), again.protector.release(images))


def test_the_step_fits_every_class_of_a_sorted_collection(
    parts: tuple[ImageSet, ImageSet, ImageSet], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its first pictures are of one class; numbers of the others must not run out of the 8 bits."""
    monkeypatch.setattr(obfuscator_fit, "_CALIBRATED", 64)
    train = parts[0]
    by_class = train.subset(train.label("digit").argsort(stable=True))
    # The first class is nearly black, so that its maps are small.
    dim = torch.where(by_class.label("digit") == 0, 0, 1).to(torch.uint8)
    images = replace(by_class, images=by_class.images * dim[:, None, None, None])
    config = replace(_SMALL, objective="none", epochs=3)
    made = fit_obfuscator(images, utility="digit", config=config, check=images)
    stored = made.protector.release(images.floats()).float()
    assert (stored.abs() == 127).float().mean() < 0.01


def test_what_cannot_be_trained_is_refused(parts: tuple[ImageSet, ImageSet, ImageSet]) -> None:
    train, _, victims = parts
    with pytest.raises(DataError, match="two classes at least, got 0 images without one and 1"):
        fit_obfuscator(train.where("digit", "3"), utility="digit", config=_SMALL, check=victims)
    with pytest.raises(DataError, match="has no label 'writer'"):
        fit_obfuscator(train, utility="writer", config=_SMALL, check=victims)
    with pytest.raises(ConfigError, match="simrec, urec1"):
        ObfuscatorConfig(reconstructors=("unet",))
