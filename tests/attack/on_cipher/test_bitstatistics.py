"""ShuffleBits alone gives way to the statistics of its bits; the sealed envelope does not."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity

from sfumato.attack.on_cipher.bitmodel import bits, fit_bit_model
from sfumato.attack.on_cipher.bitstatistics import (
    BitStatistics,
    Known,
    recover_features,
    recover_key,
    response_words,
)
from sfumato.cipher.envelope import seal
from sfumato.cipher.header import Suite
from sfumato.cipher.keys import EnvelopeKey
from sfumato.cipher.permutation import draw_key
from sfumato.cipher.shufflebits import shuffle_bits
from sfumato.errors import ConfigError, DataError
from sfumato.types import Knowledge, Releases

DIMS = 256


def network(kind: str, dtype: torch.dtype = torch.float32) -> torch.nn.Module:
    """A small random network: `relu` features as a ResNet's, or `symmetric` ones around zero."""
    generator = torch.Generator().manual_seed(3)
    first = torch.randn(64, DIMS, generator=generator)
    second = torch.randn(DIMS, DIMS, generator=generator) / DIMS**0.5

    class Net(torch.nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            hidden = (images.flatten(1) @ first).relu()
            features = hidden @ second
            return (features.relu() if kind == "relu" else features - features.mean(1, True)).to(
                dtype
            )

    return Net()


def pictures(count: int, seed: int) -> Tensor:
    return torch.randn(count, 1, 8, 8, generator=torch.Generator().manual_seed(seed))


def shuffled(features: Tensor, responses: int = 1) -> Tensor:
    """One fresh key for every `responses` rows."""
    width = 8 * features.element_size()
    return torch.cat([shuffle_bits(f, draw_key(width)) for f in features.split(responses)])


def sealed(features: Tensor, suite: Suite) -> Tensor:
    key = EnvelopeKey.draw()
    rows = [bytearray(seal(row, key, suite=suite)) for row in features.split(1)]
    return torch.stack([torch.frombuffer(row, dtype=torch.uint8) for row in rows])


def world(kind: str, release: Tensor, victims: Tensor) -> tuple[Releases, Knowledge]:
    net = network(kind)
    return (
        Releases(protector="shufflebits", tensor=release, images=victims, labels={}),
        Knowledge(images=pictures(300, 1), labels={}, query=net, query_plain=net),
    )


@pytest.mark.parametrize("kind", ["relu", "symmetric"])
def test_one_response_and_public_features_give_the_features_away(kind: str) -> None:
    victims = pictures(12, 2)
    release = shuffled(network(kind)(victims))
    finding = BitStatistics().run(*world(kind, release, victims))
    assert finding.value > 0.98
    assert finding.floor < 0.9
    assert finding.interval[0] <= finding.value <= finding.interval[1]
    assert finding.details.bit_positions_right >= 8


@pytest.mark.slow
def test_more_responses_under_one_key_leave_less_doubt() -> None:
    victims = pictures(16, 2)
    plain = network("relu")(victims)
    one = BitStatistics().run(*world("relu", shuffled(plain), victims))
    many = BitStatistics(responses=8).run(*world("relu", shuffled(plain, 8), victims))
    assert many.value > 0.995
    assert many.details.lowest_cosine > one.details.lowest_cosine


def test_a_dozen_known_values_are_as_good_as_the_key() -> None:
    victims = pictures(12, 2)
    plain = network("symmetric")(victims)
    release = shuffled(plain)
    fixed = [Known(p[:12], w[:12]).fixed() for p, w in zip(plain, release, strict=True)]
    assert sum(fixed) / len(fixed) > 25
    finding = BitStatistics(known_values=12).run(*world("symmetric", release, victims))
    assert finding.value > 0.9999
    assert finding.details.bit_positions_right >= 25


@pytest.mark.parametrize("suite", list(Suite))
@pytest.mark.parametrize("known_values", [0, 12])
def test_against_an_envelope_the_attack_stays_at_the_floor(suite: Suite, known_values: int) -> None:
    victims = pictures(4, 2)
    release = sealed(network("relu")(victims), suite)
    attack = BitStatistics(known_values=known_values)
    finding = attack.run(*world("relu", release, victims))
    assert finding.value == pytest.approx(finding.floor)
    assert finding.leakage == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_other_widths_fare_no_better(dtype: torch.dtype) -> None:
    net = network("relu", dtype)
    model = fit_bit_model(net(pictures(400, 1)))
    truth = net(pictures(3, 2))
    words = shuffled(truth, 3)
    recovered = recover_features(model, words)
    assert recovered.dtype == dtype
    assert cosine_similarity(recovered.double(), truth.double()).median() > 0.98


def test_the_recovered_key_obeys_every_known_value() -> None:
    net = network("relu")
    model = fit_bit_model(net(pictures(300, 1)))
    truth = net(pictures(1, 2))
    words = shuffled(truth)
    known = Known(truth[0, :40], words[0, :40])
    key = recover_key(model, words, known)
    moved = bits(known.values.view(torch.int32))
    assert torch.equal(bits(known.words)[:, list(key.targets)], moved)


def test_what_cannot_be_attacked_is_refused() -> None:
    with pytest.raises(DataError, match="two public"):
        fit_bit_model(torch.rand(1, 4))
    model = fit_bit_model(torch.rand(9, 4))
    with pytest.raises(ConfigError, match="4 words of 32 bits"):
        recover_key(model, torch.zeros(1, 5, dtype=torch.int32))
    with pytest.raises(ConfigError, match="got torch"):
        response_words(torch.zeros(2, 4), model)
    envelopes = sealed(torch.rand(2, 5), Suite.AES_256_GCM)
    with pytest.raises(ConfigError, match="one response each"):
        response_words(envelopes, model)
    victims, knowledge = world("relu", torch.zeros(1, DIMS, dtype=torch.int32), pictures(1, 2))
    blind = Knowledge(images=knowledge.images, labels={}, query=knowledge.query)
    with pytest.raises(ConfigError, match="query_plain"):
        BitStatistics().run(victims, blind)
