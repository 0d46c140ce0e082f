"""The weights that come of launches on a device: a GPU's path on torch's CPU device, against what workers emit, in whatever
company. What goes wrong with the process or its memory is in test_device_faults.py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from scipy.special import softmax

from modelgpt_edge.child import Child, Encoder, Units
from modelgpt_edge.child_file import read_child
from modelgpt_edge.server.device_launch import OnDevice
from modelgpt_edge.server.emission import do
from modelgpt_edge.server.jobs import Done, Job, ProfileJob, RefitJob, Result, RowsJob

pytestmark = pytest.mark.usefixtures("one_thread")
SECONDS = 100
TASK = "predict the outcome"


@pytest.fixture
def child_of(tmp_path) -> Callable[[Result, Job], Child]:
    """The child that an answer holds; of a profile the encoder passes columns through."""

    def read(result: Result, job: Job) -> Child:
        assert isinstance(result, Done), result
        (tmp_path / "child").write_bytes(result.content)
        if not isinstance(job, ProfileJob):
            return read_child(tmp_path / "child")
        from safetensors.numpy import load

        tensors = load(result.content)
        units = Units(**{name.removeprefix("units."): a for name, a in tensors.items() if name.startswith("units.")})
        return Child(encoder(len(units.dense_weight)), units, tensors["head_weight"], tensors["head_bias"], ())

    return read


def encoder(width: int) -> Encoder:
    """Of columns that are encoded already."""
    from modelgpt_edge.parameters.quick import _through

    return _through(tuple(f"c{c}" for c in range(width)))


def results(launch: OnDevice, jobs: Sequence[Job]) -> list[Result]:
    return [future.result(SECONDS) for future in launch.launch(jobs)]


@pytest.mark.parametrize("outputs", [1, 2, 3])
@pytest.mark.parametrize("units", [0, 640, 1280, 40, None])
def test_children_say_what_the_workers_own_say(units, outputs, on_device, profile_file, drawn, child_of):
    """Bits differ: the host's solver has a float32 spectrum for all penalties, the device's a float64 factor for each, and
    logistic heads stop within a tolerance of the optimum, not at it. A distilled child may keep other units then.
    """
    job = ProfileJob(profile_file(outputs, 90, 4, outputs), units, 2 if units == 1280 else 1)
    (answer,), host = results(on_device, [job]), do(job)
    mine, theirs = child_of(answer, job), child_of(host, job)
    fresh, _ = drawn(99, 300, 4, outputs)
    said, wanted = mine.scores(fresh), theirs.scores(fresh)
    if units in (0, 640, 1280):  # not distilled: the same units, to the bit
        assert mine.units.dense_weight.tobytes() == theirs.units.dense_weight.tobytes()
        assert mine.units.leaf_bias.tobytes() == theirs.units.leaf_bias.tobytes()
    if outputs == 1:
        assert np.abs(said - wanted).max() < 1e-3 * np.abs(wanted).max()
        return
    apart = np.abs(softmax(said, -1) - softmax(wanted, -1))
    assert apart.mean() < 1e-3
    assert apart.max() < 1e-2


def test_rows_packages_and_profiles_give_the_same_bits_alone_and_in_any_company(
    on_device, profile_file, csv, package, tmp_path
):
    (tmp_path / "rows.csv").write_bytes(csv)
    jobs: list[Job] = [
        RowsJob(tmp_path / "rows.csv", TASK),
        RowsJob(tmp_path / "rows.csv", "predict the weight", "weight", draws=2, seed=4),
        RowsJob(tmp_path / "rows.csv", TASK, units=0),
        RefitJob(package, tmp_path / "rows.csv", 5),
        *(ProfileJob(profile_file(n, 60 + n, 4, 1 + n % 3), (None, 640, 20)[n % 3], seed=n) for n in range(6)),
        ProfileJob(profile_file(0, 61, 5, 2), 640, 4),
    ]
    together = results(on_device, jobs)
    assert all(isinstance(r, Done) for r in together), together
    others = [5, 3, 0, 10]
    for place, result in zip(others, results(on_device, [jobs[p] for p in others])):
        assert result.content == together[place].content
    for job, result in zip(jobs, together):
        assert results(on_device, [job])[0].content == result.content
    assert together[0].facts.items() >= {"label": "outcome", "rows": 60}.items()
    assert together[0].facts["seconds"] > 0


def test_a_table_of_words_and_numbers_predicts_as_a_workers_does(on_device, csv, patients, child_of, tmp_path):
    (tmp_path / "rows.csv").write_bytes(csv)
    job = RowsJob(tmp_path / "rows.csv", TASK)
    (answer,) = results(on_device, [job])
    mine, theirs = child_of(answer, job), child_of(do(job), job)
    numbers = {name: np.array([row[name] for row in patients], np.float32) for name in ("age", "weight")}
    words = {"city": np.array([row["city"] for row in patients], object)}
    packed = mine.encoder.pack(numbers, words, len(patients))
    assert mine.classes == theirs.classes == ("ill", "well")
    assert np.abs(mine.outputs(mine.encoder.encode(*packed)) - theirs.outputs(theirs.encoder.encode(*packed))).max() < 1e-2


def test_what_is_cross_validated_is_a_workers_own(on_device, csv, tmp_path):
    (tmp_path / "rows.csv").write_bytes(csv)
    job = RowsJob(tmp_path / "rows.csv", TASK, units=20, score=True)
    (answer,) = results(on_device, [job])
    assert answer.content == do(job).content
    assert answer.facts["score"]["value"] > 0.5


def test_one_jobs_fault_is_its_own(on_device, profile_file):
    good, huge = ProfileJob(profile_file(1), 640), ProfileJob(profile_file(2, scale=1e38), 640)
    absent, odd = ProfileJob(Path("nowhere"), 640), ProfileJob(profile_file(3), 30)
    first, unsolved, unread, refused, last = results(on_device, [good, huge, absent, odd, good])
    assert first.content == last.content == results(on_device, [good])[0].content
    assert [r.status for r in (unsolved, unread, refused)] == [500, 422, 422]
    assert unsolved.error["error"] == "the weights can't be solved"
    assert unsolved.error["code"] == 3
    assert unread.error["error"] == "this is no safetensors file"
    assert refused.error["where"] == "units"
