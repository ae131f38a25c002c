from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
import torch
from torch import Tensor

from papers.docl.facenet import load_facenet
from papers.recipe import Run
from papers.san.measure import Witness, attribute_auc, first_two, match, quality
from papers.san.probes import shown, train_probes
from papers.san.published import dlib_gender, face_api_gender
from papers.san.run import RECIPES
from papers.san.worlds import characters
from sfumato.data.imageset import ImageSet
from sfumato.data.lfw import TIGHT
from sfumato.data.sources import load
from sfumato.errors import DataError
from sfumato.protect.san_fit import SanConfig

_FOLDER = Path(__file__).parents[2] / "papers" / "san"


def _run(recipe: str, out: Path) -> Run:
    return Run(slug="san", recipe=recipe, quick=True, seed=0, device="cpu", data_dir=None, out=out)


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_recipe_has_settings_of_both_sizes(recipe: str) -> None:
    settings = tomllib.loads((_FOLDER / "recipes" / f"{recipe}.toml").read_text())
    assert set(settings) == {"full", "quick"}
    for size in settings.values():
        SanConfig(**size["san"])


def test_nobody_is_both_trained_on_and_judged(tmp_path: Path) -> None:
    world = characters(_run("characters", tmp_path), {"identities": 10, "count": 60, "size": 16})
    train, judged = (set(part.label("identity").tolist()) for part in (world.train, world.judged))
    assert train
    assert judged
    assert not train & judged


@pytest.mark.parametrize("recipe", ["lfw", "celeba"])
def test_recipes_on_files_say_which(recipe: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"{recipe}/ in it"):
        RECIPES[recipe](_run(recipe, tmp_path), {})


def _brightness(images: Tensor) -> Tensor:
    return images.mean((1, 2, 3))


def test_a_reader_of_brightness_is_fooled_by_the_negative() -> None:
    bright = torch.linspace(0, 1, 10)[:, None, None, None].expand(-1, 1, 4, 4)
    truth = (torch.arange(10) > 4).long()
    pictures = {"original": bright, "OP": 1 - bright, "NT": torch.full_like(bright, 0.5)}
    (found,) = attribute_auc({"eye": Witness(_brightness, "unseen")}, pictures, truth).values()
    assert found == {"role": "unseen", "original": 1.0, "OP": 0.0, "NT": 0.5}


def test_matching_compares_versions_with_another_original() -> None:
    people = torch.rand(12, 1, 6, 6)
    probes = {"original": people, "lost": torch.rand(12, 1, 6, 6)}
    witness = {"pixels": Witness(lambda images: images.flatten(1), "unseen")}
    areas, rates, scores = match(witness, probes, (people + 0.01).clamp(0, 1))
    assert areas["pixels"]["original"] == 1.0
    assert rates["pixels"]["original"] == 1.0
    assert 0.2 < areas["pixels"]["lost"] < 0.8
    genuine, impostor = scores["pixels"]["original"]
    assert (len(genuine), len(impostor)) == (12, 12 * 11)
    assert 0 < float(impostor.min()) <= float(genuine.max()) <= 1


def test_quality_is_perfect_only_for_what_did_not_change() -> None:
    images = torch.rand(3, 1, 16, 16)
    ratio, similarity = quality({"original": images, "same": images, "grey": images * 0 + 0.5})
    assert set(ratio) == {"same", "grey"}
    assert ratio["same"] > 50 > ratio["grey"]
    assert similarity["same"] == pytest.approx(1, abs=1e-4)


def test_two_pictures_a_person_half_of_each_value(blobs: ImageSet) -> None:
    people = ImageSet(
        name="people",
        images=blobs.images,
        labels={"identity": torch.arange(200) // 4, "mood": torch.arange(200) // 4 % 2},
        classes={"identity": tuple(map(str, range(50))), "mood": ("low", "high")},
    )
    first, second = first_two(people, "mood", 20)
    assert torch.equal(people.label("identity")[first], people.label("identity")[second])
    assert not bool((first == second).any())
    assert people.label("mood")[first].bincount().tolist() == [10, 10]


def test_published_networks_read_faces_and_so_do_probes(real_data: Path, real_models: Path) -> None:
    faces = load("lfw", data_dir=real_data, box=TIGHT, size=64, channels=1, count=400)
    faces = faces.subset(faces.label("gender") >= 0)
    truth, images = faces.label("gender"), faces.floats()
    pictures = {"original": images[200:]}
    net = load_facenet(real_models / "face-api")
    deep = train_probes(net, images[:200], truth[:200], seed=0)[-1]
    with torch.no_grad():
        witnesses = {
            "xception": Witness(face_api_gender(real_models / "face-api"), "unseen"),
            "dlib": Witness(dlib_gender(real_models / "dlib"), "unseen"),
            "probe": Witness(lambda x: deep(x)[:, 0], "seen"),
        }
        found = attribute_auc(witnesses, pictures, truth[200:])
    assert found["xception"]["original"] > 0.9
    assert found["dlib"]["original"] > 0.9
    assert found["probe"]["original"] > 0.8
    whole = shown(net, images[:4], (4, 12))
    torch.testing.assert_close(whole[0], shown(net, images[:4], (4,))[0])
