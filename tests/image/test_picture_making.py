"""Which of several templates is taken, by held-out pictures and by what fits, and what is told of that."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import replace

import numpy as np
import pytest

from modelgpt_edge.architecture.image.template import SizedBackbone, TrunkTemplate
from modelgpt_edge.architecture.image.trunk import Trunk
from modelgpt_edge.architecture.image.trunk_shape import Step, TrunkShape
from modelgpt_edge.data.picture_set import PictureEntry, PictureSet
from modelgpt_edge.data.picture_sets import open_pictures
from modelgpt_edge.errors import BudgetError, InputError
from modelgpt_edge.limits import Limits
from modelgpt_edge.picture_making import Given, Job, take_first_that_fits
from modelgpt_edge.picture_names import Spoken
from modelgpt_edge.picture_templates import Choice
from modelgpt_edge.request import Request
from modelgpt_edge.requirement.image_rules import write_picture_requirement
from modelgpt_edge.targets.registry import find_target
from tests.image.conftest import CLASSES, coloured

FAVOURED = "Held-out pictures clearly favour the tiny trunk at 32 pixels: it is taken."


@pytest.fixture
def job(write_pictures, tmp_path):
    def make(flash_bytes: int | None, generator: str | None = None, notes: tuple[str, ...] = ()) -> Job:
        found = open_pictures(write_pictures(tmp_path / "pictures", 6))
        request = Request("sort", None, limits=Limits(flash_bytes=flash_bytes), generator=generator)
        requirement = write_picture_requirement(request, found.classes, len(found.entries))
        names: Future[Spoken] = Future()
        names.set_result(Spoken(None, notes))
        return Job(request, requirement, (find_target("x86"),), (), Given(found, None, None), names, lambda stage, share: None)

    return make


@pytest.fixture
def templates(small):
    """In int8 the small backbone, with a smaller trunk beside it, takes half of what the shipped trunk does."""
    draw, shape = np.random.default_rng(0), TrunkShape((Step(4, stride=2), Step(8, stride=2)))
    weights = {name: draw.normal(0, 0.1, sizes).astype(np.float32) for name, sizes in shape.arrays.items()}
    beside = TrunkTemplate(Trunk(shape, weights, {}, ""))
    return SizedBackbone(small, 128, beside), TrunkTemplate.shipped(), SizedBackbone(small, 96, beside)


def test_the_one_that_held_out_pictures_favour_is_taken_with_the_reason(job, templates):
    asked = []
    choice = Choice(templates, "", lambda losses: asked.append([len(own) for own in losses]) or 1)
    taken = take_first_that_fits(job(None), choice)
    assert asked[0] == [18, 18, 18]
    assert (taken.made.template, taken.notes) == (templates[1], (FAVOURED,))
    assert [template for template, _ in taken.weighed] == [*templates]
    assert all(loss > 0 for _, loss in taken.weighed)


def test_one_that_does_not_fit_is_told_and_no_longer_said_to_be_taken(job, templates):
    taken = take_first_that_fits(job(100_000), Choice(templates, "", lambda losses: 1))
    assert taken.made.template is templates[2]
    assert taken.compiled.truth
    (note,) = taken.notes
    assert note.startswith("the tiny trunk at 32 pixels doesn't fit (")
    assert note.endswith("): a smaller one is taken.")


def test_notes_on_names_come_with_a_template_that_they_speak_to(job, templates):
    alike = ("Two names say the same.",)
    choice = Choice(templates, "", lambda losses: 1)
    assert alike[0] not in take_first_that_fits(job(None, notes=alike), choice).made.notes


def test_a_generator_that_was_asked_for_leaves_nothing_to_weigh(job, templates):
    taken = take_first_that_fits(job(None, "linear", ("Two names say the same.",)), Choice(templates, "", lambda losses: 1))
    assert (taken.made.template, taken.weighed, taken.notes) == (templates[0], (), ())
    assert taken.made.notes == ("Two names say the same.",)


def test_the_last_ones_refusal_is_the_answer(job, templates):
    with pytest.raises(BudgetError, match="1,000 bytes of flash"):
        take_first_that_fits(job(1_000), Choice(templates, ""))


def test_test_pictures_that_cannot_be_read_are_told_before_anything_is_compiled(job, templates):
    stages: list[str] = []
    bad = PictureSet("asked", tuple(PictureEntry(f"{name}.png", name, lambda: b"no picture") for name in CLASSES))
    asked = job(None)
    asked = replace(asked, given=replace(asked.given, test=bad), progress=lambda stage, share: stages.append(stage))
    with pytest.raises(InputError, match="more than 1 of 3 pictures cannot be read"):
        take_first_that_fits(asked, Choice(templates, "", lambda losses: 1))
    assert "generating" in stages
    assert "compiling" not in stages


def test_so_it_is_on_the_command_line(build_small, pictures, write_pictures, tmp_path):
    asked = write_pictures(tmp_path / "asked", 1)
    for name in CLASSES:
        (asked / name / "0.png").write_text("no picture")
    ran = build_small("--data", pictures, "--test", asked)
    assert ran.code == 1
    assert f"{asked}: more than 1 of 3 pictures cannot be read" in ran.err
    assert "generating" in ran.err
    assert "compiling" not in ran.err
    assert not (tmp_path / "m.edge").exists()


def test_of_several_templates_the_one_that_is_taken_alone_is_asked_of_test_pictures(job, templates):
    read: list[str] = []

    def entry(name: str) -> PictureEntry:
        return PictureEntry(name, name, lambda: read.append(name) or coloured(name, 70))

    asked = job(None)
    asked = replace(asked, given=replace(asked.given, test=PictureSet("asked", tuple(map(entry, CLASSES)))))
    taken = take_first_that_fits(asked, Choice(templates, "", lambda losses: 1))
    assert len(taken.weighed) == 3
    assert sorted(read) == sorted(CLASSES)
    score = taken.scored.generated.scores.child
    assert (score.method, score.rows, score.value) == ("the test pictures", 3, 1.0)
