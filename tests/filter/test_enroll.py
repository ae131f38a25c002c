"""Enrolling: calibration on unseen images is wider than on seen ones, and it repeats itself."""

from __future__ import annotations

import sys

import pytest
import torch
from jaxtyping import Float
from torch import Tensor

from sfumato.errors import DataError, EnrollmentError
from sfumato.filter.bounds import LEAST
from sfumato.filter.enroll import LEAST_SPREAD, enroll
from sfumato.filter.enrollment import Enrollment
from sfumato.filter.oneclass import OneClass, OneClassConfig, squared_error, train

CONFIG = OneClassConfig.preset("plain", hidden=8, epochs=300, batch_size=16)


def pictures(count: int, seed: int = 0) -> Float[Tensor, "n d"]:
    generator = torch.Generator().manual_seed(seed)
    basis = torch.randn(10, 40, generator=generator)
    noise = torch.randn(count, 40, generator=generator)
    return (torch.randn(count, 10, generator=generator) @ basis + noise).sigmoid()


def made(count: int, **options: object) -> Enrollment:
    settings = {"backbone": "00" * 32, "seed": 3} | options
    return enroll(pictures(count), CONFIG, **settings)


def test_errors_of_unseen_images_are_larger_than_of_trained_ones() -> None:
    seen = made(40, calibration="training")
    unseen = made(40, calibration="cross-fitted")
    assert unseen.mu > 1.1 * seen.mu
    fresh = pictures(400, seed=0)[40:]
    net_error = _mean_error(unseen, fresh)
    assert abs(unseen.mu - net_error) < abs(seen.mu - net_error)


QUICK = OneClassConfig.preset("plain", hidden=4, epochs=1, least_steps=20, batch_size=16)


def _shuffled(x: Float[Tensor, "n d"], seed: int) -> Float[Tensor, "n d"]:
    return x[torch.randperm(len(x), generator=torch.Generator().manual_seed(seed))]


def _squared(net: OneClass, x: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
    return squared_error(x[None], net(x[None]))[0]


def test_held_out_pictures_measure_and_never_train() -> None:
    x = pictures(250)
    own = enroll(x, QUICK, backbone="00" * 32, seed=5)
    held, rest = _shuffled(x, 5).split([50, 200])
    net = train([rest], QUICK, seed=5)
    assert torch.equal(own.encoder, net.encoder[0])
    assert own.mu == pytest.approx(float(_squared(net, held).mean()), rel=1e-5)
    assert own.sigma == pytest.approx(float(_squared(net, held).std()), rel=1e-5)
    assert own.mu != pytest.approx(float(_squared(net, rest).mean()), rel=1e-3)


def test_each_fifth_of_few_pictures_is_measured_by_a_network_that_did_not_see_it() -> None:
    x = pictures(23)
    own = enroll(x, QUICK, backbone="00" * 32, seed=5)
    folds = _shuffled(x, 5).tensor_split(5)
    errors = []
    for i, fold in enumerate(folds):
        rest = torch.cat([other for j, other in enumerate(folds) if j != i])
        errors.append(_squared(train([rest], QUICK, seed=6 + i), fold))
    whole = train([torch.cat(folds)], QUICK, seed=5)
    assert torch.allclose(own.encoder, whole.encoder[0], atol=1e-6)
    assert own.mu == pytest.approx(float(torch.cat(errors).mean()), rel=1e-5)
    assert own.sigma == pytest.approx(float(torch.cat(errors).std()), rel=1e-5)


@pytest.mark.parametrize("at_once", [1, 23 * 40, 2 * 23 * 40])
def test_networks_that_train_in_turn_are_those_that_train_together(
    at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = pictures(23)
    together = enroll(x, QUICK, backbone="00" * 32, seed=5)
    monkeypatch.setattr(sys.modules["sfumato.filter.enroll"], "_AT_ONCE", at_once)
    in_turn = enroll(x, QUICK, backbone="00" * 32, seed=5)
    assert torch.allclose(in_turn.encoder, together.encoder, atol=1e-6)
    assert (in_turn.mu, in_turn.sigma) == pytest.approx((together.mu, together.sigma), rel=1e-5)


@pytest.mark.parametrize("calibration", ["held-out", "cross-fitted", "training"])
def test_it_trains_on_views_alone_and_measures_on_pictures_as_they_are(calibration: str) -> None:
    x = pictures(30)
    views = torch.stack([x.roll(1, 1), 1 - x], 1)
    settings = {"backbone": "00" * 32, "seed": 5, "calibration": calibration}
    own = enroll(x, QUICK, views=views, **settings)
    elsewhere = enroll(1 - x, QUICK, views=views, **settings)
    assert torch.equal(own.encoder, elsewhere.encoder)
    assert torch.equal(own.code_mean, elsewhere.code_mean)
    assert torch.equal(own.code_covariance, elsewhere.code_covariance)
    assert own.mu != pytest.approx(elsewhere.mu, rel=1e-3)
    if calibration == "training":
        net = train([views[_order(30, 5)]], QUICK, seed=5)
        assert own.mu == pytest.approx(float(_squared(net, x).mean()), rel=1e-5)


def test_views_of_other_pictures_are_refused() -> None:
    with pytest.raises(DataError, match="views of each of 30 images, got"):
        enroll(pictures(30), QUICK, backbone="00" * 32, seed=5, views=torch.zeros(30, 0, 40))


def _order(count: int, seed: int) -> Tensor:
    return torch.randperm(count, generator=torch.Generator().manual_seed(seed))


def test_sigma_is_the_deviation_of_the_errors_however_small() -> None:
    x = pictures(40)
    made_ = enroll(x, QUICK, backbone="00" * 32, seed=0, calibration="training")
    codes = (x @ made_.encoder.mT + made_.encoder_bias).relu()
    decoded = (codes @ made_.decoder.mT + made_.decoder_bias).sigmoid()
    errors = (x - decoded).square().sum(1)
    assert float(errors.std()) < 1
    assert made_.sigma == pytest.approx(float(errors.std()), rel=1e-3)


def test_pictures_of_one_error_still_give_an_interval() -> None:
    x = pictures(1).expand(40, -1)
    equal = enroll(x, QUICK, backbone="00" * 32, seed=0, calibration="training")
    assert equal.sigma == pytest.approx(max(LEAST_SPREAD * equal.mu, LEAST), rel=0.2)


def _mean_error(enrollment: Enrollment, x: Float[Tensor, "n d"]) -> float:
    codes = (x @ enrollment.encoder.mT + enrollment.encoder_bias).relu()
    decoded = (codes @ enrollment.decoder.mT + enrollment.decoder_bias).sigmoid()
    return float((x - decoded).square().sum(1).mean())


def test_the_calibration_follows_the_number_of_images() -> None:
    config = OneClassConfig.preset("plain", hidden=2, epochs=1)
    few = enroll(pictures(20), config, backbone="00" * 32, seed=0)
    many = enroll(pictures(250), config, backbone="00" * 32, seed=0)
    assert (few.calibration, many.calibration) == ("cross-fitted", "held-out")
    assert few.count == 20


def test_the_same_seed_gives_the_same_enrollment() -> None:
    one, again, other = made(30), made(30), made(30, seed=4)
    assert torch.equal(one.encoder, again.encoder)
    assert one.mu == again.mu
    assert not torch.equal(one.encoder, other.encoder)


@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("calibration", ["held-out", "cross-fitted", "training"])
def test_very_few_images_still_give_a_valid_enrollment(count: int, calibration: str) -> None:
    assert made(count, calibration=calibration).sigma > 0


def test_one_image_is_not_enough() -> None:
    with pytest.raises(DataError, match="at least 2 usable images to enroll, got 1"):
        made(1)


def test_unscaled_features_are_refused() -> None:
    with pytest.raises(DataError, match=r"\[0, 1\]"):
        enroll(pictures(9) * 3, CONFIG, backbone="00" * 32, seed=0)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_features_of_any_float_type_are_those_of_float32(dtype: torch.dtype) -> None:
    features = torch.rand(6, 8).to(dtype)
    config = OneClassConfig(hidden=4, least_steps=3, epochs=1)
    made = enroll(features, config, backbone="a" * 64, seed=0, views=features[:, None])
    same = enroll(
        features.float(), config, backbone="a" * 64, seed=0, views=features[:, None].float()
    )
    assert made.encoder.dtype == torch.float32
    assert torch.equal(made.encoder, same.encoder)
    assert (made.mu, made.sigma) == (same.mu, same.sigma)


def test_what_no_reader_would_take_is_refused_before_the_training(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys.modules[enroll.__module__], "train", None)
    wide = torch.rand(1, 1).expand(2, 307_200)  # 3 x 320 x 320
    with pytest.raises(EnrollmentError, match="smaller M"):
        enroll(wide, OneClassConfig(), backbone="a" * 64, seed=0)
    hashes = torch.zeros(5001, 32, dtype=torch.uint8)
    with pytest.raises(EnrollmentError, match="leave `copies` out"):
        enroll(torch.rand(6000, 8), OneClassConfig(), backbone="a" * 64, seed=0, copies=hashes)
