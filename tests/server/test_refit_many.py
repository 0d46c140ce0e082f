"""One template and many users' tables in one request: the weights that `refit` would put into the package, each."""

from __future__ import annotations

import io
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from safetensors.numpy import load

from modelgpt_edge.manifest import MANIFEST, sealed
from modelgpt_edge.refit import refit
from modelgpt_edge.server.archive import folder_files, read_tar, tar_of

TAR = {"Content-Type": "application/x-tar"}


@pytest.fixture(scope="module")
def users(patients) -> dict[str, bytes]:
    """Six users' tables: each their own rows."""

    def text(rows) -> bytes:
        return ("\n".join([",".join(rows[0]), *(",".join(map(str, r.values())) for r in rows)]) + "\n").encode()

    return {f"user-{n}": text(patients[n * 5 : 30 + n * 5]) for n in range(6)}


def _answer(content: bytes) -> tuple[dict[str, bytes], dict, dict]:
    assert not content.startswith(b"{"), content
    files = dict(read_tar(io.BytesIO(content), 1 << 26))
    errors, report = json.loads(files.pop("errors.json")), json.loads(files.pop("report.json"))
    return {name.removesuffix(".safetensors"): content for name, content in files.items()}, report, errors


def _form(package: Path, users: dict[str, bytes]) -> dict[str, tuple[str, bytes]]:
    template = {"template": ("package.tar", tar_of(folder_files(package)))}
    return template | {user: (f"{user}.csv", content) for user, content in users.items()}


def test_with_a_score_every_user_gets_what_refit_gives(server, package, users, tmp_path):
    with server.client() as client:
        answer = client.post("/v1/refit", params={"score": "true"}, files=_form(package, users))
    assert answer.status_code == 200, answer.text
    weights, report, errors = _answer(answer.content)
    assert errors == {}
    assert set(weights) == set(report) == set(users)
    for user in ("user-0", "user-5"):
        (tmp_path / "rows.csv").write_bytes(users[user])
        here = refit(package, tmp_path / "rows.csv", out=tmp_path / f"{user}.edge")
        assert weights[user] == (here.path / "child.safetensors").read_bytes()
        assert report[user]["score"]["value"] == here.report["score"]["value"]


def test_without_one_the_templates_blend_and_encoder_stay(server, package, users):
    with server.client() as client:
        first = client.post("/v1/refit", files=_form(package, users))
        tar = tar_of((f"{user}.csv", content) for user, content in users.items())
        built = client.post(
            "/v1/build",
            params={"task": "predict the outcome", "draws": "1", "target": "jetson"},
            files={"data": ("t.csv", users["user-0"])},
        )
        by_id = client.post(
            "/v1/refit",
            params={"template": built.headers["modelgpt-package"]},
            content=tar,
            headers=TAR,
        )
    weights, report, errors = _answer(first.content)
    assert errors == {}
    assert all(facts["rows"] == 30 for facts in report.values())
    old = load((package / "child.safetensors").read_bytes())
    for content in weights.values():
        new = load(content)
        assert {name: a.shape for name, a in new.items()} == {name: a.shape for name, a in old.items()}
        assert all(new[name].tobytes() == old[name].tobytes() for name in old if name.startswith("encoder."))
        assert new["head_weight"].tobytes() != old["head_weight"].tobytes()
    assert len(set(weights.values())) == len(users)
    assert by_id.status_code == 200, by_id.text
    weights, _, errors = _answer(by_id.content)
    assert set(weights) == set(users)
    assert errors == {}


def test_one_users_fault_is_theirs_alone(server, package, users):
    bad = {
        "empty": b"",
        "other": b"a,b\n1,2\n3,4\n",
        "one-class": b"age,weight,city,outcome\n" + b"40,70,Rome,ill\n" * 9,
    }
    with server.client() as client:
        answer = client.post("/v1/refit", files=_form(package, {**bad, **users}))
        alone = client.post("/v1/refit", files=_form(package, users))
    weights, _, errors = _answer(answer.content)
    assert set(errors) == set(bad)
    assert all(told["status"] == 422 and told["error"] and told["cure"] for told in errors.values())
    assert errors["one-class"]["error"] == "a class of the package has no row"
    assert "/tmp" not in json.dumps(errors)
    assert weights == _answer(alone.content)[0]


def test_more_users_than_the_queue_has_room_for_are_all_served(serve, package, users):
    many = {f"{user}.{n}": content for user, content in users.items() for n in range(4)}
    with serve("--workers", "1", "--queue", "4") as serving, serving.client() as client:
        answer = client.post("/v1/refit", files=_form(package, many))
        weights, _, errors = _answer(answer.content)
        assert errors == {}
        assert set(weights) == set(many)


def test_two_requests_for_many_leave_room_for_others(serve, package, users, profile, until):
    headers = {"Content-Type": "application/x-safetensors"}
    with serve("--workers", "1", "--queue", "4") as serving, serving.client() as client, ThreadPoolExecutor(3) as pool:
        with serving.held():
            many = [pool.submit(client.post, "/v1/refit", files=_form(package, users)) for _ in range(2)]
            sent = 2 * sum(len(content) for _, content in _form(package, users).values())
            until(lambda: serving.metric("modelgpt_received_bytes_total") > sent)
            until(lambda: serving.metric("modelgpt_accepted") == 2)
            other = pool.submit(client.post, "/v1/parameters", params={"units": "20"}, content=profile(), headers=headers)
            until(lambda: other.done() or serving.metric("modelgpt_accepted") == 3)
        assert other.result().status_code == 200, other.result().text
        assert [_answer(answer.result().content)[2] for answer in many] == [{}, {}]


def test_one_too_many_is_refused_before_its_body_is_read(serve, package, users, until):
    with serve("--workers", "1") as serving, serving.client() as client, ThreadPoolExecutor(4) as pool:
        with serving.held():
            many = [pool.submit(client.post, "/v1/refit", files=_form(package, users)) for _ in range(4)]
            until(lambda: serving.metric("modelgpt_accepted") == 4 * len(users))
            with serving.connect() as wire:
                lines = ["POST /v1/refit HTTP/1.1", "Host: localhost", "Content-Type: application/x-tar"]
                wire.sendall("\r\n".join([*lines, f"Content-Length: {100 << 20}", "", ""]).encode())
                answer = wire.makefile("rb").read()
        assert answer.startswith(b"HTTP/1.1 429"), answer
        assert b"retry-after" in answer.lower()
        assert [answer.result().status_code for answer in many] == [200] * 4


def test_two_tables_of_one_user_are_refused(server, package, users):
    table, template = users["user-0"], _form(package, {})["template"]
    with server.client() as client:
        built = client.post("/v1/build", params={"task": "predict the outcome", "draws": "1"}, files={"data": ("t.csv", table)})
        options = {"template": built.headers["modelgpt-package"]}
        tar = tar_of((name, table) for name in ("anna.b.csv", "anna.c.csv", "rome/ben.csv"))
        answer = client.post("/v1/refit", params=options, content=tar, headers=TAR)
        assert set(_answer(answer.content)[0]) == {"anna.b", "anna.c", "ben"}
        tar = tar_of((name, table) for name in ("oslo/ben.csv", "rome/ben.csv"))
        again = client.post("/v1/refit", params=options, content=tar, headers=TAR)
        form = [("template", template), ("ben", ("a.csv", table)), ("ben", ("b.csv", table))]
        for refused in (again, client.post("/v1/refit", files=form)):
            assert refused.status_code == 422, refused.text
            assert (refused.json()["error"], refused.json()["seen"]) == ("two tables are of one user", "ben")


def _edited(package: Path, **changes: Any) -> tuple[str, bytes]:
    """The package with other values in its manifest, and the checksum to go with them."""
    files = dict(folder_files(package))
    values = json.loads(files[MANIFEST])
    for path, value in changes.items():
        place = values
        *folders, last = path.split("__")
        for name in folders:
            place = place[name]
        place[last] = value
    files[MANIFEST] = json.dumps(sealed(values)).encode()
    return "package.tar", tar_of(files.items())


EDITS = {
    "a billion units": {"architecture__units": 10**9},
    "units that aren't made": {"architecture__units": 7},
    "units below none": {"architecture__units": -20},
    "units that are none": {"architecture__units": None},
    "units in words": {"architecture__units": "20"},
    "draws that aren't made": {"architecture__draws": 3},
    "a seed below none": {"seed": -1},
    "an unknown generator": {"generator__name": "oracle"},
    "no blend": {"generator__blend": {}},
    "a blend of words": {"generator__blend": {"share": "a", "linear": 0, "temperature": 1, "loss": 0}},
}


@pytest.mark.parametrize("case", EDITS)
def test_a_template_whose_manifest_asks_for_the_impossible_is_refused(case, server, package, users):
    form = {**_form(package, users), "template": _edited(package, **EDITS[case])}
    with server.client() as client:
        for score in ("false", "true"):
            answer = client.post("/v1/refit", params={"score": score}, files=form)
            assert answer.status_code == 422, answer.text
            assert answer.json()["error"] == "the manifest can't be used"
            assert answer.json()["where"] == MANIFEST
            assert answer.json()["cure"]


def test_a_template_of_pictures_is_refused_once_for_all_users(server, package, users):
    with server.client() as client:
        template = _edited(package, requirement__modality="image", architecture__size=224)
        answer = client.post("/v1/refit", files={**_form(package, users), "template": template})
    assert (answer.status_code, answer.json()["error"]) == (422, "models of pictures can't be refitted yet"), answer.text


def test_a_manifest_that_would_fill_memory_is_refused_unread(server, package, users):
    with server.client() as client:
        template = _edited(package, versions={"x": "y" * (9 << 20)})
        answer = client.post("/v1/refit", files={**_form(package, users), "template": template})
    assert answer.status_code == 422, answer.text
    assert answer.json()["error"] == "the manifest is too long"


def test_many_that_take_too_long_are_given_up_together(serve, package, users, profile, until):
    with serve("--workers", "1", "--build-timeout", "2") as serving, serving.client() as client:
        with serving.held():
            answer = client.post("/v1/refit", files=_form(package, users))
            assert answer.status_code == 504, answer.text
            assert answer.json()["error"] == "it takes too long"
            assert answer.json()["seen"] == "2 s"
            until(lambda: serving.metric("modelgpt_accepted") == 0)
        headers = {"Content-Type": "application/x-safetensors"}
        assert client.post("/v1/parameters", params={"units": "20"}, content=profile(), headers=headers).status_code == 200


def test_bad_requests_are_refused(server, package, users):
    form = _form(package, users)
    broken = dict(folder_files(package))
    broken["child.safetensors"] = broken["child.safetensors"][:-1] + b"x"
    cases = [
        ({"files": {name: f for name, f in form.items() if name != "template"}}, 422, "the template is missing"),
        ({"files": {"template": form["template"]}}, 422, "there is no user's table"),
        ({"files": {**form, "../up": ("a.csv", b"a\n1\n")}}, 422, "this can't be a user's name"),
        ({"content": tar_of([("\udc80.csv", b"a\n1\n")]), "headers": TAR}, 422, "this can't be a user's name"),
        (
            {"content": tar_of([("a", b"a\n1\n"), ("a/b", b"a\n1\n")]), "headers": TAR},
            422,
            "a file can't be unpacked: File exists",
        ),
        ({"files": {**form, "template": ("t.tar", tar_of(broken.items()))}}, 422, None),
        ({"files": {**form, "template": ("t.tar", b"no tar" * 400)}}, 422, "the tar is damaged or cut short"),
        ({"files": form, "params": {"template": "nowhere"}}, 404, "no such package is kept here"),
        ({"content": b"x", "headers": {"Content-Type": "text/csv"}}, 415, "a body of this type isn't taken"),
    ]
    with server.client() as client:
        for request, status, what in cases:
            answer = client.post("/v1/refit", **request)
            assert answer.status_code == status, answer.text
            assert what is None or answer.json()["error"] == what
            assert "/tmp" not in answer.text, "a path of the server shows"
