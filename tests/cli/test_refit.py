"""`refit`: other rows give a package other weights and nothing else: same shapes, same compiled code, all checked anew."""

from __future__ import annotations

import errno
import hashlib
import importlib
import json
import os
import random
import shutil
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from threadpoolctl import threadpool_limits

import modelgpt_edge
from modelgpt_edge.child_file import CHILD, read_child
from modelgpt_edge.compile import variants
from modelgpt_edge.data.profile import profile
from modelgpt_edge.data.sources import open_source
from modelgpt_edge.data.table import open_table
from modelgpt_edge.gate import compare
from modelgpt_edge.golden import Golden
from modelgpt_edge.manifest import CARD, GOLDEN, MANIFEST, TRUTH, sealed
from modelgpt_edge.parameters.distil import Match
from modelgpt_edge.parameters.emissions import emit_all
from modelgpt_edge.parameters.evidence import Evidence, gather, judge
from modelgpt_edge.parameters.prepare import classification_targets, encode
from modelgpt_edge.refit import refit
from modelgpt_edge.runtime.opening import open_package
from modelgpt_edge.targets.native.backend import Native
from modelgpt_edge.targets.native.toolchain import find_compiler

NATIVE = ("native",) if find_compiler() else ()
COMPILED = (*NATIVE, "tvm")
KEPT_NOT = "What was measured with the old weights isn't kept: the frontier of sizes, and profiles."
JETSON = "variants/jetson-orin-nano-tensorrt-"


def rows_of(seed, count=80, cities=("Rome", "Paris", "Oslo"), far=0.0):
    """Rows of the patients' columns, of other people; `far` moves the age from which they are ill."""
    draw = random.Random(seed)
    rows = []
    for _ in range(count):
        age, city = round(draw.uniform(20, 80), 1), draw.choice(cities)
        risk = age + (15 if city == "Oslo" else 0) + draw.gauss(0, 6) - far
        rows.append(
            {"age": age, "weight": round(draw.gauss(70, 9), 2), "city": city, "outcome": "ill" if risk > 55 else "well"}
        )
    return rows


@pytest.fixture(scope="module")
def built(tmp_path_factory, patients):
    """A package with hidden units, compiled in every way that this machine can, and for a Jetson; every precision is kept."""
    out = tmp_path_factory.mktemp("refit") / "patients.edge"
    options = {"target": ("x86", "jetson"), "backend": (*COMPILED, "onnxruntime", "tensorrt")}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(variants, "keep_best", lambda forms, fetched: forms)
        return modelgpt_edge.build("predict the outcome", patients, out=out, draws=1, generator="floor", **options).path


@pytest.fixture(scope="module")
def others():
    return rows_of(8)


@pytest.fixture(scope="module")
def fresh(built, others, tmp_path_factory):
    """It refitted to the other rows, and what was told; neither a compiler nor TVM is at hand."""
    out = tmp_path_factory.mktemp("refitted") / "fresh.edge"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CC", "/bin/false")
        patch.setenv("XDG_CACHE_HOME", str(out.parent / "cache"))
        patch.setitem(sys.modules, "tvm", None)
        return refit(built, others, out=out)


@pytest.fixture
def copy(built, tmp_path):
    return Path(shutil.copytree(built, tmp_path / "copy.edge"))


@pytest.fixture
def table(others, write_csv, tmp_path):
    return write_csv(tmp_path / "others.csv", others)


def contents(folder):
    """Every file below a folder by its path, as a checksum."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def manifest_of(folder):
    return json.loads((folder / MANIFEST).read_text(encoding="utf-8"))


def structure(path):
    """A graph without its numbers: operators, names, and the shape and type of every constant."""
    graph = onnx.load(path).graph
    nodes = [(n.op_type, tuple(n.input), tuple(n.output)) for n in graph.node]
    return nodes, [(t.name, t.data_type, tuple(t.dims)) for t in graph.initializer]


def probabilities(folder, rows, variant=None):
    return np.array(modelgpt_edge.load(folder, variant).predict_proba(rows))


def read_as(built, rows):
    """Rows read by a package's own schema."""
    source = open_source(rows)
    return open_table(source, profile(source, 0), open_package(built).manifest.requirement.schema)


def test_weights_change_and_neither_shapes_nor_compiled_code_do(built, fresh):
    before, after = contents(built), contents(fresh.path)
    assert set(after) == set(before) - {"frontier.svg"}
    same = {name for name in after if after[name] == before[name]}
    code = {f"variants/x86-{backend}-fp32/model.so" for backend in COMPILED}
    told = {
        f"{JETSON}{precision}/{name}"
        for precision in ("fp16", "int8", "fp32")
        for name in ("encoder.safetensors", "recipe.json")
    }
    assert same == code | told | {"variants/x86-tvm-fp32/encoder.safetensors"}
    old, new = read_child(built / CHILD), read_child(fresh.path / CHILD)
    assert new.units.counts == old.units.counts
    assert new.parameters == old.parameters
    assert np.abs(new.head_weight - old.head_weight).max() > 0.01
    assert np.abs(new.units.dense_weight - old.units.dense_weight).max() > 0.01, "units are drawn anew"
    graphs = [name for name in after if name.endswith(".onnx")]
    assert len(graphs) == 1 + 4 + 3 + 1, "the model, and by precision those of x86, TensorRT and the Jetson's processor"
    for name in graphs:
        assert structure(fresh.path / name) == structure(built / name), name
    assert [p.name for p in fresh.path.parent.iterdir()] == ["fresh.edge"], "nothing was put into the cache"


def test_what_the_package_says_of_itself_is_kept_but_for_what_is_new(built, fresh):
    before, after = manifest_of(built), manifest_of(fresh.path)
    for name in ("requirement", "columns", "inputs", "vocabularies", "classes", "architecture", "seed", "versions"):
        assert after[name] == before[name], name
    assert [v["path"] for v in after["variants"]] == [v["path"] for v in before["variants"]]
    assert after["score"] != before["score"]
    assert after["score"]["child"]["rows"] == 80
    assert after["generator"]["name"] == "floor"
    assert after["generator"]["chosen_by"] == "refit"
    assert "the package had it before its refit" in (fresh.path / CARD).read_text(encoding="utf-8")


def test_every_form_that_runs_here_reproduces_the_new_golden_rows_and_no_old_one_does(built, fresh):
    golden, child = Golden.read(fresh.path / GOLDEN), read_child(fresh.path / CHILD)
    words = [golden.words[:, 0]]
    expected = child.outputs(child.encoder.encode(golden.numbers, child.encoder.codes(words)))
    np.testing.assert_allclose(golden.outputs, expected, atol=1e-6)
    forms = [v for v in open_package(fresh.path).manifest.variants if v.target == "x86"]
    assert len(forms) == len(COMPILED) + 4
    for form in forms:
        new, old = (modelgpt_edge.load(folder, form.name).run(golden.numbers, words) for folder in (fresh.path, built))
        hop = compare(form.name, golden.outputs, new, form.precision)
        assert hop.passed, hop.line()
        assert np.abs(old - golden.outputs).max() > 0.2


def test_every_variant_was_checked_before_it_was_written(fresh):
    names = [f"{v['target']} {v['backend']} {v['precision']}" for v in manifest_of(fresh.path)["variants"]]
    hops = {hop["name"]: hop for hop in fresh.report["checks"]}
    assert list(hops) == ["fuse", "onnx", *names]
    assert all(hop["passed"] for hop in hops.values())
    assert {hops[name]["rows"] for name in names} == {len(Golden.read(fresh.path / GOLDEN).outputs)}
    assert json.loads((fresh.path / "checks.json").read_text(encoding="utf-8"))["hops"] == fresh.report["checks"]


def test_predictions_are_those_of_a_solve_of_its_own_on_the_same_columns(built, fresh, others):
    """Heads solved and distilled on the new rows alone, encoded by the old table's medians and scales; blended in float64."""
    encoder, units = read_child(built / CHILD).encoder, manifest_of(built)["architecture"]["units"]
    table = read_as(built, others)
    rows, draw = table.sample, np.random.default_rng(0)
    targets = classification_targets(rows.labels, 2)
    with threadpool_limits(
        1, "blas"
    ):  # as generation does: more threads round otherwise, and the solve of a small child shows it
        evidence = gather(rows, targets, table.schema, units, 1, 0, 1, lambda share: None, encoder)
        assert isinstance(evidence, Evidence)
        blend = judge(evidence, targets, "floor").blend
        ready, emissions = emit_all(rows, targets, table.schema, 1, draw, 1, encoder)
        assert 0 < units < 640
        emissions["floor"] = Match.of(emissions["floor"], ready, draw).distil(units).emission
    unseen = rows_of(9, 40)
    encoded = encode(encoder, read_as(built, unseen).sample)
    logits = 0.0
    for name, weights in blend.weights(2).items():
        heads = emissions[name].heads[0]
        features = np.concatenate([encoded, emissions[name].units.activate(encoded)], axis=1).astype(np.float64)
        for weight, head, bias in zip(weights, heads.weight, heads.bias):
            logits = logits + float(weight) * (features @ head.astype(np.float64) + bias)
    expected = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    for variant in (*(f"x86-{b}-fp32" for b in COMPILED), "model"):
        np.testing.assert_allclose(probabilities(fresh.path, unseen, variant), expected, atol=2e-5)
    assert np.abs(probabilities(built, unseen, "model") - expected).max() > 0.01


def test_new_rows_are_learnt(built, tmp_path):
    """Where people fall ill twenty years later the old package is often wrong, and the refitted one isn't."""
    later = rows_of(10, 200, far=20)
    done = refit(built, later, out=tmp_path / "later.edge")
    unseen = rows_of(11, 200, far=20)
    truth = [row["outcome"] for row in unseen]
    old, new = (
        np.mean([a == b for a, b in zip(modelgpt_edge.load(folder, "model").predict(unseen), truth)])
        for folder in (built, done.path)
    )
    assert old < 0.75
    assert new > 0.85
    assert done.report["score"]["low"] <= new <= done.report["score"]["high"] + 0.02


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(built, fresh, others, tmp_path):
    again = contents(refit(built, others, out=tmp_path / "again.edge").path)
    assert {n for n, c in contents(fresh.path).items() if again[n] != c} <= {"checks.json"}
    other = refit(built, others, out=tmp_path / "other.edge", seed=5).path
    assert manifest_of(other)["seed"] == 5
    assert contents(other)[CHILD] != again[CHILD]


def test_people_and_scripts_read_score_and_variants(copy, table, cli):
    ran = cli("refit", copy, "--data", table, "--out", copy.parent / "new.edge")
    assert ran.code == 0, ran.err
    count = len(manifest_of(copy)["variants"])
    score, variants, note, package = ran.out.splitlines()
    assert score.startswith("Score         accuracy 0.")
    assert score.endswith("(80 rows)")
    assert "cross-validation that redraws units and heads in every fold" in score, "the columns' encoding is kept"
    assert note == f"Note          {KEPT_NOT}"
    assert variants.startswith(f"Variants      {count} refitted and checked in ")
    assert variants.endswith(" s, none compiled")
    assert package.startswith(f"Package       {copy.parent / 'new.edge'} in ")
    ran = cli("refit", copy, "--data", table, "--out", copy.parent / "new.edge", "--force", "--json")
    assert ran.code == 0, ran.err
    report = json.loads(ran.out)
    assert report["package"] == str(copy.parent / "new.edge")
    assert report["score"].items() >= {"metric": "accuracy", "rows": 80}.items()
    assert report["score"]["low"] <= report["score"]["value"] <= report["score"]["high"]
    assert report["score"] == manifest_of(copy.parent / "new.edge")["score"]["child"]
    assert {"linear", "baseline"} <= set(report)
    assert len(report["variants"]) == count
    assert all(v["kept"] for v in report["variants"])
    assert [check["name"] for check in report["checks"][:2]] == ["fuse", "onnx"]
    assert all(check["passed"] for check in report["checks"])
    assert 0 < report["refit_seconds"] < report["seconds"]
    assert report["notes"] == [KEPT_NOT]


def test_a_refitted_package_is_verified_as_any_other(fresh, cli):
    ran = cli("verify", fresh.path)
    assert ran.code == 0, ran.err
    lines = [line for line in ran.out.splitlines() if line.startswith("ok    ")]
    assert len(lines) == 1 + len(manifest_of(fresh.path)["variants"])
    assert sum("jetson-orin-nano tensorrt" in line and "stand-in" in line for line in lines) == 3
    assert cli("inspect", fresh.path).code == 0


def test_the_package_itself_is_replaced_with_force_alone(copy, table, cli):
    before = contents(copy)
    ran = cli("refit", copy, "--data", table)
    assert ran.code == 1
    assert "this path exists already" in ran.err
    assert "--force" in ran.err
    assert contents(copy) == before
    ran = cli("refit", copy, "--data", table, "--force")
    assert ran.code == 0, ran.err
    assert contents(copy)[CHILD] != before[CHILD]
    assert cli("verify", copy).code == 0
    assert sorted(os.listdir(copy.parent)) == ["copy.edge", "others.csv"]


def test_another_folder_that_is_there_needs_force_and_must_be_a_package(built, fresh, table, cli, tmp_path):
    place = Path(shutil.copytree(fresh.path, tmp_path / "there.edge"))
    before = contents(place)
    ran = cli("refit", built, "--data", table, "--out", place)
    assert ran.code == 1
    assert "this path exists already" in ran.err
    assert contents(place) == before
    (tmp_path / "holiday").mkdir()
    (tmp_path / "holiday" / "photo.jpg").write_text("precious")
    ran = cli("refit", built, "--data", table, "--out", tmp_path / "holiday", "--force")
    assert ran.code == 1
    assert (tmp_path / "holiday" / "photo.jpg").read_text() == "precious"


def without(rows, name):
    return [{key: value for key, value in row.items() if key != name} for row in rows]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda rows: without(rows, "age"), ["lacks a column that the package was built from (seen: 'age')"]),
        (lambda rows: without(rows, "outcome"), ["lacks a column that the package was built from (seen: 'outcome')"]),
        (
            lambda rows: [{("Weight" if k == "weight" else k): v for k, v in row.items()} for row in rows],
            ["(seen: 'weight')", "Did you mean 'Weight'?"],
        ),
        (lambda rows: [r for r in rows if r["outcome"] == "well"], ["a class of the package has no row (seen: 'ill')"]),
        (lambda rows: rows[:1], ["only one row has a label"]),
        (lambda rows: [{**row, "outcome": ""} for row in rows], ["no row has a label"]),
        (lambda rows: [{**row, "outcome": "dead"} for row in rows], ["no row has a label"]),
    ],
    ids=["column", "label", "renamed", "class", "one row", "no label", "other classes"],
)
def test_rows_that_do_not_fit_are_refused_and_the_package_is_as_it_was(change, words, copy, others, write_csv, cli):
    before = contents(copy)
    ran = cli("refit", copy, "--data", write_csv(copy.parent / "rows.csv", change(others)), "--force")
    assert ran.code == 1
    assert [word for word in words if word not in ran.err] == []
    assert ran.err.splitlines()[-1].startswith("error: ")
    assert ran.out == ""
    assert contents(copy) == before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("nowhere.edge", "--data", "others.csv"), "there is no such package"),
        (("copy.edge", "--data", "nowhere.csv", "--force"), "nowhere.csv"),
        (("copy.edge", "--data", "others.csv", "--force", "--seed", "-1"), "a seed can't be negative"),
        (("copy.edge", "--data", "others.csv", "--out", "no/such/folder.edge"), "doesn't exist"),
    ],
)
def test_what_is_not_there_is_one_clear_line(arguments, words, copy, table, cli, monkeypatch):
    monkeypatch.chdir(copy.parent)
    before = contents(copy.parent)
    ran = cli("refit", *arguments)
    assert ran.code == 1
    assert words in ran.err
    assert ran.err.splitlines()[-1].startswith("error: ")
    assert contents(copy.parent) == before


@pytest.mark.parametrize("name", [CHILD, TRUTH, MANIFEST, "variants/x86-onnxruntime-fp32/model.onnx"])
def test_a_damaged_package_is_refused(name, copy, table, cli):
    content = (copy / name).read_bytes()
    (copy / name).write_bytes(content[: len(content) // 2])
    before = contents(copy)
    for options in (("--force",), ("--out", copy.parent / "new.edge")):
        ran = cli("refit", copy, "--data", table, *options)
        assert ran.code == 1
        assert "damaged" in ran.err or "changed or cut" in ran.err
    assert contents(copy) == before
    assert not (copy.parent / "new.edge").exists()


def test_a_package_from_before_there_were_refits_says_what_is_missing(copy, table, cli):
    values = manifest_of(copy)
    del values["files"][CHILD]
    (copy / MANIFEST).write_text(json.dumps(sealed(values)), encoding="utf-8")
    ran = cli("refit", copy, "--data", table, "--force")
    assert ran.code == 1
    assert f"'{CHILD}'" in ran.err


def test_a_gate_that_fails_is_exit_3_and_the_package_is_as_it_was(copy, table, cli, monkeypatch):
    """A backend that forgets to swap the weights computes what the old model did."""
    import modelgpt_edge.targets.onnxruntime as backend
    from modelgpt_edge.targets.backend import Artefact

    def forgets(self, files, source, target, precision):
        return Artefact({"model.onnx": files("model.onnx").read_bytes()}, "packed")

    monkeypatch.setattr(backend.OnnxRuntime, "refit", forgets)
    before = contents(copy.parent)
    ran = cli("refit", copy, "--data", table, "--force")
    assert ran.code == 3
    assert "the numeric gate failed at hop 'x86 onnxruntime fp32'" in ran.err
    assert contents(copy.parent) == before


@pytest.mark.parametrize("after", [0, 5])
def test_a_full_disk_leaves_the_package_as_it_was(after, copy, table, cli, monkeypatch):
    written, real = [], os.fsync

    def full(file):
        written.append(file)
        if len(written) > after:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(file)

    before = contents(copy.parent)
    monkeypatch.setattr(os, "fsync", full)
    ran = cli("refit", copy, "--data", table, "--force")
    assert ran.code == 1
    assert "the package can't be written, and nothing was left behind" in ran.err
    assert len(written) == after + 1
    assert contents(copy.parent) == before


def test_unknown_words_and_classes_are_told(copy, write_csv, cli):
    rows = rows_of(12, 80, ("Rome", "Paris", "Bergen"))
    strange = sum(row["city"] == "Bergen" for row in rows)
    rows += [{**row, "outcome": "dead"} for row in rows_of(13, 4)]
    ran = cli("refit", copy, "--data", write_csv(copy.parent / "rows.csv", rows), "--out", copy.parent / "new.edge")
    assert ran.code == 0, ran.err
    notes = [line for line in ran.out.splitlines() if line.startswith("Note          ")]
    assert len(notes) == 4
    assert "4 of 84 rows have no usable label and are left out" in notes[0]
    assert "the package has no class dead" in notes[1]
    assert f"Column city: words of {strange} rows, such as Bergen, are none of the package's" in notes[2]
    assert "such as Bergen" in (copy.parent / "new.edge" / CARD).read_text(encoding="utf-8")
    model = modelgpt_edge.load(copy.parent / "new.edge")
    row = {"age": 50.0, "weight": 70.0, "city": "Bergen"}
    assert np.array_equal(model.predict_proba([row]), model.predict_proba([{**row, "city": ""}])), "it counts as no word"
    assert not np.allclose(model.predict_proba([row]), model.predict_proba([{**row, "city": "Rome"}]), atol=1e-4)


def test_a_category_that_is_missing_from_the_new_rows_is_kept(built, tmp_path):
    done = refit(built, rows_of(14, 80, ("Rome", "Oslo")), out=tmp_path / "fewer.edge")
    assert manifest_of(done.path)["vocabularies"] == manifest_of(built)["vocabularies"]
    assert done.report["notes"] == [KEPT_NOT]


def test_the_order_of_classes_and_columns_stays_whatever_that_of_the_rows(built, others, fresh, patients, tmp_path):
    """Sorted by class, the other class first, columns reversed and one more: the same model of each class's rows."""
    rows = [dict(reversed([*row.items(), ("more", 1)])) for row in sorted(others, key=lambda row: row["outcome"], reverse=True)]
    assert rows[0]["outcome"] == "well"
    done = refit(built, rows, out=tmp_path / "sorted.edge")
    assert manifest_of(done.path)["classes"] == ["ill", "well"]
    unseen = rows_of(9, 40)
    assert np.mean(np.array(modelgpt_edge.load(done.path).predict(unseen)) == [row["outcome"] for row in unseen]) > 0.8
    assert np.abs(probabilities(done.path, unseen) - probabilities(fresh.path, unseen)).max() < 0.5
    swapped = [{**row, "outcome": {"ill": "well", "well": "ill"}[row["outcome"]]} for row in others]
    # Without int8, which few patients turned round would take to the border of its tolerance.
    exact = modelgpt_edge.build(
        "predict the outcome", patients, out=tmp_path / "exact.edge", draws=1, generator="floor", target="x86", backend=COMPILED
    ).path
    assert (exact / CHILD).read_bytes() == (built / CHILD).read_bytes()
    turned = refit(exact, swapped, out=tmp_path / "swapped.edge")
    assert manifest_of(turned.path)["classes"] == ["ill", "well"]
    np.testing.assert_allclose(probabilities(turned.path, unseen), probabilities(fresh.path, unseen)[:, ::-1], atol=0.15)


def test_values_are_refitted_in_their_own_unit(patients, tmp_path):
    """Other rows, in other units: the head's scale is the new rows'."""
    old = modelgpt_edge.build(
        "predict the weight", patients, label="weight", out=tmp_path / "old.edge", draws=1, generator="floor"
    ).path
    draw = random.Random(3)
    rows = rows_of(3, 120)
    for row in rows:
        row["weight"] = round(9_000 + 40 * row["age"] + draw.gauss(0, 10), 1)
    done = refit(old, rows, out=tmp_path / "new.edge")
    assert done.report["score"]["metric"] == "r2"
    assert done.report["score"]["value"] > 0.95
    got = np.array(modelgpt_edge.load(done.path).predict(rows))
    assert np.sqrt(np.mean((got - [row["weight"] for row in rows]) ** 2)) < 60
    golden = Golden.read(done.path / GOLDEN)
    assert golden.unit == pytest.approx(np.std([row["weight"] for row in rows]), rel=1e-5)
    assert all(check["passed"] for check in done.report["checks"])


def test_a_linear_package_stays_linear_though_units_would_be_better(package, tmp_path):
    assert manifest_of(package)["generator"]["name"] == "linear"
    draw = random.Random(4)
    rows = []
    for row in rows_of(4, 150):
        x, y = draw.gauss(0, 1), draw.gauss(0, 1)
        rows.append({**row, "age": 50 + 17 * x, "weight": 70 + 9 * y, "outcome": "ill" if x * y > 0 else "well"})
    done = refit(package, rows, out=tmp_path / "linear.edge")
    manifest = manifest_of(done.path)
    assert manifest["generator"]["name"] == "linear"
    assert (manifest["architecture"]["units"], manifest["architecture"]["draws"]) == (0, 0)
    assert read_child(done.path / CHILD).units.count == 0
    assert done.report["score"]["value"] < 0.7


def test_a_size_that_is_not_that_of_its_files_stays_as_it_was_measured(copy, others):
    """As for C, whose flash a compiler measured: its files are source code."""
    values = manifest_of(copy)
    variant = values["variants"][0]
    variant["bytes"] = 12_345
    (copy / MANIFEST).write_text(json.dumps(sealed(values)), encoding="utf-8")
    done = refit(copy, others, force=True)
    sizes = {v["path"]: v["bytes"] for v in manifest_of(done.path)["variants"]}
    assert sizes[variant["path"]] == 12_345
    for path in set(sizes) - {variant["path"]}:
        assert sizes[path] == sum(f.stat().st_size for f in (done.path / path).iterdir())


@pytest.mark.skipif(not NATIVE, reason="there is no C compiler here")
def test_a_library_that_is_gone_is_told(copy, table, cli, monkeypatch):
    monkeypatch.setattr(Native, "refit", lambda self, files, *rest: files("absent.so"))
    ran = cli("refit", copy, "--data", table, "--force")
    assert ran.code == 1
    assert "absent.so" in ran.err


def test_the_command_is_light_to_import():
    module = importlib.import_module("modelgpt_edge.commands.refit")
    assert "refit" not in vars(module), "the work is imported when it is asked for"
