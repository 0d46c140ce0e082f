"""What names of classes say of pictures: against scikit-learn's ridge regression, and on names that ImageNet knows."""

from __future__ import annotations

import numpy as np
import pytest
from safetensors.numpy import save_file
from sklearn.linear_model import Ridge

from modelgpt_edge.architecture.image.backbone import Backbone
from modelgpt_edge.architecture.image.files import find_backbone
from modelgpt_edge.architecture.text.encoder import TextEncoder
from modelgpt_edge.architecture.text.files import find_encoder
from modelgpt_edge.errors import PackageError
from modelgpt_edge.parameters.image.prior import (
    NEAREST,
    PENALTY,
    POWER,
    SAME,
    ImagenetNames,
    alike,
    directions,
    embed_classes,
    picture_guesses,
    picture_prior,
)


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.fixture(scope="module")
def encoder() -> TextEncoder:
    return TextEncoder.of(find_encoder())


@pytest.fixture(scope="module")
def shipped() -> ImagenetNames:
    return ImagenetNames.shipped()


def test_directions_are_ridge_regression_and_the_nearest_rows():
    draw = np.random.default_rng(1)
    views = unit(draw.normal(size=(3 * 50, 6))).reshape(3, 50, 6)
    classifier = draw.normal(size=(50, 8))
    said = unit(draw.normal(size=(4, 6)))
    rows = unit(classifier - classifier.mean(0))
    every, target = views.reshape(-1, 6), np.concatenate([rows] * 3)
    mapped = Ridge(PENALTY).fit(every, target).predict(said)
    near = np.empty_like(mapped)
    for k, name in enumerate(said):
        cosines = every @ name
        best = np.argsort(-cosines)[:NEAREST]
        near[k] = np.average(target[best], axis=0, weights=np.maximum(cosines[best], 0) ** POWER)
    guessed = unit(mapped) + unit(near)
    expected = unit(guessed - guessed.mean(0)).T
    made = directions(
        ImagenetNames(views.astype(np.float32), "").guesses(said.astype(np.float32), classifier.astype(np.float32))
    )
    np.testing.assert_allclose(made, expected, atol=1e-4)


def test_the_shipped_names_were_read_by_the_shipped_encoder(shipped, encoder):
    assert shipped.views.shape == (4, 1000, 384)
    assert shipped.encoder_sha256 == encoder.files.sha256
    np.testing.assert_allclose(np.linalg.norm(shipped.views, axis=-1), 1, atol=2e-3)


def test_a_name_lies_near_its_own_synonyms(shipped, encoder):
    said = encoder.embed(["goldfish", "school bus", "banana"])
    best = (said @ shipped.views[0].T).argmax(1)
    assert best.tolist() == [1, 779, 954]


def test_meanings_move_a_class(shipped, encoder):
    classifier = np.random.default_rng(0).normal(size=(1000, 16)).astype(np.float32)
    plain = picture_prior(shipped, encoder, ("crane", "bus"), {}, classifier)
    told = picture_prior(shipped, encoder, ("crane", "bus"), {"crane": "a large wading bird with a long neck"}, classifier)
    assert plain.shape == (16, 2)
    np.testing.assert_allclose(np.linalg.norm(told, axis=0), 1, rtol=1e-5)
    assert np.abs(plain - told).max() > 0.01


@pytest.fixture(scope="module")
def guess(shipped, encoder):
    classifier = np.random.default_rng(0).normal(size=(1000, 64)).astype(np.float32)
    return lambda *classes: picture_guesses(shipped, embed_classes(encoder, classes, {}), classifier)


@pytest.mark.parametrize("classes", [("Car", "car"), ("Cat_a", "cat a"), ("Car", "car", "flower", "boat")])
def test_names_that_say_the_same_are_told_among_however_many(guess, classes):
    assert alike(guess(*classes), classes) == [classes[:2]]


def test_synonyms_say_nearly_the_same_to_the_usual_backbone(shipped, encoder):
    classes = ("couch", "sofa", "lamp")
    guessed = picture_guesses(shipped, embed_classes(encoder, classes, {}), Backbone.of(find_backbone()).classifier)
    assert alike(guessed, classes) == [("couch", "sofa")]


def test_names_of_different_things_are_not(guess):
    classes = ("cat", "dog", "red", "blue", "pullover", "shirt")
    assert alike(guess(*classes), classes) == []


def test_names_that_the_encoder_cannot_read_have_no_direction(guess):
    classes = ("猫", "狗", "鸟")
    guessed = guess(*classes)
    assert alike(guessed, classes, SAME) == [("猫", "狗"), ("猫", "鸟"), ("狗", "鸟")]
    assert not directions(guessed).any()
    assert len(alike(guess("cat", "Cat", "dog"), ("cat", "Cat", "dog"), SAME)) == 1


@pytest.mark.parametrize("kept", [0, 9, 500])
def test_a_damaged_file_is_a_clear_error(kept, tmp_path):
    path = tmp_path / "names.safetensors"
    save_file({"views": np.zeros((2, 3, 4), np.float16)}, path, {"encoder_sha256": "x"})
    whole = path.read_bytes()
    path.write_bytes(whole[:kept] if kept < len(whole) else whole.replace(b"views", b"veiws"))
    with pytest.raises(PackageError, match="ImageNet's names can't be read"):
        ImagenetNames.shipped(path)
