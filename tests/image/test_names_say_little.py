"""Which names say nothing of pictures, and that a build tells of those that count."""

from __future__ import annotations

import json

import numpy as np
import pytest

from modelgpt_edge.architecture.image.template import SizedBackbone, TrunkTemplate
from modelgpt_edge.architecture.text.encoder import TextEncoder
from modelgpt_edge.architecture.text.files import find_encoder
from modelgpt_edge.parameters.image.prior import CLOSEST, ImagenetNames, embed_classes, saying_little
from modelgpt_edge.picture_names import read_names
from modelgpt_edge.request import Request
from modelgpt_edge.requirement.image_rules import write_picture_requirement

# The limit was chosen on these two.
SEEN = """
airplane, automobile, bird, cat, deer, dog, frog, horse, ship, truck, T-shirt, trouser, pullover, dress, coat, sandal, shirt,
sneaker, bag, ankle boot, apple, pear, banana, cherry, grape, orange, lemon, mango, peach, strawberry, tomato, carrot, onion,
potato, hammer, saw, screwdriver, wrench, pliers, drill, bolt, nut, screw, nail, washer, squirrel, rabbit, cow, sheep, pig,
chicken, duck, fox, bear, wolf, elephant, lion, tiger, zebra, spider, ant, bee, butterfly, snake, turtle, car, bus, bicycle,
motorcycle, train, boat, van, tractor, house, church, bridge, tower, tree, flower, rose, tulip, daisy, grass, mountain, river,
sea, beach, forest, sky, cloud, chair, table, bed, lamp, sofa, cup, plate, bowl, fork, spoon, knife, bottle, glass, phone,
keyboard, laptop, screen, mouse, camera, clock, watch, book, pen, pencil, scissors, person, man, woman, child, face, hand,
eye, pizza, bread, cake, cheese, egg, soup, burger, sushi, circle, square, triangle, star, cross, stop sign, traffic light,
crack, scratch, dent, rust, mold, leaf, healthy leaf, diseased leaf, fire, smoke, snow, rain, fog, red, blue, green, yellow,
plastic, metal, paper, cardboard, trash, sunflower, dandelion, oak, pine, wheat, corn, rice, cotton, resistor, capacitor,
transistor, circuit board, pcb, led, helmet, hard hat, mask, glasses, vest, tumor, fracture, lung, skin lesion, mole
"""
UNSEEN = """
qzx, wvp, xkcd, zzyx, blorf, fnarg, gribble, wug, dax, toma, blicket, qwerty, asdf, hjkl, xyzzy, plugh, A17, B12, C3, X9, K7,
R2, Z80, T1, M4, B-52, Q400, P38, AB123, 7G2, E45, SKU-4431, PN_00871, part17, zero, one, two, three, four, five, six, seven,
eight, nine, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 42, a, b, c, d, e, x, y, z, class1, class2, class_a, class_0, type1, type_b,
label0, category3, group2, cluster_1, foo, baz, lorem, ipsum, yes, no, true, false, unknown, other, misc, none, NOK, OK1,
kat17, hd3, lvl2
"""
# These chose nothing.
CIFAR100 = """
apple, aquarium fish, baby, bear, beaver, bed, bee, beetle, bicycle, bottle, bowl, boy, bridge, bus, butterfly, camel, can,
castle, caterpillar, cattle, chair, chimpanzee, clock, cloud, cockroach, couch, crab, crocodile, cup, dinosaur, dolphin,
elephant, flatfish, forest, fox, girl, hamster, house, kangaroo, keyboard, lamp, lawn mower, leopard, lion, lizard, lobster,
man, maple tree, motorcycle, mountain, mouse, mushroom, oak tree, orange, orchid, otter, palm tree, pear, pickup truck, pine
tree, plain, plate, poppy, porcupine, possum, rabbit, raccoon, ray, road, rocket, rose, sea, seal, shark, shrew, skunk,
skyscraper, snail, snake, spider, squirrel, streetcar, sunflower, sweet pepper, table, tank, telephone, television, tiger,
tractor, train, trout, tulip, turtle, wardrobe, whale, willow tree, wolf, woman, worm
"""
CODES = [f"{letter}{number}" for letter in "BDGKPTVX" for number in (3, 15, 28, 64, 97)]
NOTE = "Names that say little of pictures: "
WHY = " (nothing that the backbone learnt is called alike). "


def listed(names: str) -> list[str]:
    return " ".join(names.split()).split(", ")


@pytest.fixture(scope="module")
def encoder() -> TextEncoder:
    return TextEncoder.of(find_encoder())


@pytest.fixture(scope="module")
def little(encoder):
    shipped = ImagenetNames.shipped()

    def ask(classes, meanings=None):
        return saying_little(shipped, embed_classes(encoder, classes, meanings or {}), classes)

    return ask


def test_names_of_what_pictures_show_are_told_from_those_of_nothing(little):
    seen, unseen = listed(SEEN), listed(UNSEEN)
    assert (len(seen), len(unseen)) == (183, 91)
    assert little(seen) == ["man", "resistor"]
    assert len(little(unseen)) == 82
    digits = listed("zero, one, two, three, four, five, six, seven, eight, nine, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9")
    assert set(digits) <= set(little(unseen))


def test_names_that_chose_nothing_are_told_as_well(little):
    assert little(listed(CIFAR100)) == ["boy", "can", "man"]  # ImageNet has no class of people
    assert len(little(CODES)) >= 0.9 * len(CODES)
    assert little(["猫", "cat"]) == ["猫"]  # which the encoder can't read


def test_a_meaning_says_what_a_name_does_not(little):
    meanings = {"qzx": "a small red bird", "A17": "a bolt with a hexagonal head", "wvp": "zzyx"}
    assert little(["qzx", "A17", "wvp"]) == ["qzx", "A17", "wvp"]
    assert little(["qzx", "A17", "wvp"], meanings) == ["wvp"]


def test_nearness_is_the_mean_of_the_nearest_classes():
    draw = np.random.default_rng(3)
    views = draw.normal(size=(2, 40, 6)).astype(np.float32)
    said = draw.normal(size=(3, 6)).astype(np.float32)
    near = ImagenetNames(views, "").nearness(said)
    for name, got in zip(said, near):
        means = sorted(np.mean([view[place] @ name for view in views]) for place in range(40))
        assert got == pytest.approx(np.mean(means[-CLOSEST:]), rel=1e-5)


def test_those_are_told_that_lean_on_their_names(small):
    classes = ["cat", "dax", "qzx", "wug", "wvp"]
    requirement = write_picture_requirement(Request("sort pictures", None, classes=dict.fromkeys(classes, "")), [], 0)

    def told(*leaning):
        template = SizedBackbone(small, 224, TrunkTemplate.shipped())
        return [note for note in read_names(template, requirement, [], leaning).notes if NOTE in note]

    cure = "Say in English what they look like by --class 'NAME: MEANING', or give pictures of them by --data."
    assert told() == told("cat") == []
    assert told("cat", "wug") == [f"{NOTE}wug{WHY}{cure}"]
    assert told("cat", "wvp", "dax") == [f"{NOTE}dax and wvp{WHY}{cure}"]
    assert told(*classes) == [f"{NOTE}dax, qzx, wug and 1 more{WHY}{cure}"]


@pytest.mark.parametrize(
    ("each", "options", "names"),
    [
        (0, ["--classes", "qzx,wvp"], "qzx and wvp"),
        (0, ["--classes", "cat,dog"], None),
        (0, ["--class", "qzx: a small red bird", "--class", "wvp: a bolt with a hexagonal head"], None),
        (2, [], "qzx and wvp"),
        (2, ["--generator", "linear"], None),
        (5, [], None),
        (5, ["--generator", "words"], "qzx and wvp"),
        (5, ["--classes", "cat,qzx,wvp,wug"], "wug"),
    ],
)
def test_a_build_tells_where_names_count(each, options, names, build_small, write_pictures, tmp_path):
    data = []
    if each:
        folder = write_pictures(tmp_path / "pictures", each)
        for name, other in (("blue", "cat"), ("green", "qzx"), ("red", "wvp")):
            (folder / name).rename(folder / other)
        data = ["--data", folder]
    ran = build_small("--json", *data, *options)
    assert ran.code == 0, ran.err
    notes = [note for note in json.loads(ran.out)["notes"] if NOTE in note]
    assert [note.split(WHY)[0] for note in notes] == ([] if names is None else [NOTE + names])
