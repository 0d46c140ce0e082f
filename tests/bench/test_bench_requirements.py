"""The bench of requests: its facts are about its tables, its scoring tells right from wrong, the rules are as good as said."""

import pytest
from requirements import FACTS, PARTS, expected, make_table, read_requests, same, score

from modelgpt_edge.requirement.kind import KINDS
from modelgpt_edge.targets.registry import find_target

CONTENT = read_requests()
REQUESTS = [request for part in PARTS for request in CONTENT[part]]


def test_there_are_as_many_as_said():
    assert len(CONTENT["requests"]) == 60
    assert len(CONTENT["fresh"]) == 20
    assert len({request["task"] for request in REQUESTS}) == 80
    modalities = [request["modality"] for request in CONTENT["requests"]]
    assert {m: modalities.count(m) for m in set(modalities)} == {"table": 20, "text": 20, "image": 20}


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda r: r["task"][:40])
def test_facts_are_about_the_table(request_):
    columns = CONTENT["tables"][request_["table"]]
    facts = expected(request_)
    assert facts["label"] in columns
    assert set(facts.get("named", ())) <= set(columns) - {facts["label"]}
    assert facts["kind"] in KINDS
    assert [find_target(name).name for name in facts["targets"]] == facts["targets"]


def test_tables_are_the_same_every_time():
    for columns in CONTENT["tables"].values():
        table = make_table(columns, 30)
        assert table == make_table(columns, 30)
        assert {len(cells) for cells in table.values()} == {30}


def test_a_fact_is_right_or_wrong():
    limits = {"latency_ms": 33.3, "flash_bytes": None, "ram_bytes": None}
    assert same("limits", {**limits, "latency_ms": 1_000 / 30}, limits)
    assert not same("limits", {**limits, "latency_ms": 35}, limits)
    assert not same("limits", {**limits, "flash_bytes": 1}, limits)
    assert not same("limits", {**limits, "latency_ms": None}, limits)
    assert not same("label", "a", "b")
    assert not same("named", ["a"], ["a", "b"])


def test_the_rules_have_nine_in_ten_of_the_sixty():
    scored = score(CONTENT, "requests", "rules")
    assert sum(scored["asked"].values()) == 320
    assert sum(scored["right"].values()) >= 288
    assert len(scored["mistakes"]) == 320 - sum(scored["right"].values())
    assert set(scored["right"]) == set(FACTS)


def test_a_mistake_is_found():
    wrong = {**CONTENT, "requests": [{**CONTENT["requests"][0], "label": "region", "kind": "regression", "targets": ["rtx"]}]}
    assert [m["fact"] for m in score(wrong, "requests", "rules")["mistakes"]] == ["kind", "label", "targets"]


def test_pictures_are_understood_by_the_rules_that_a_build_follows():
    [one] = [r for r in CONTENT["requests"] if r["task"] == "Tell flowers apart in photos."]
    scored = score({**CONTENT, "requests": [one]}, "requests", "rules")
    [answer] = scored["answers"]
    assert answer["found"] == {
        **{"modality": "image", "kind": "classification", "label": "species", "targets": ["x86"], "named": []},
        "limits": {"latency_ms": None, "flash_bytes": None, "ram_bytes": None},
    }
    assert scored["mistakes"] == []
    assert scored["seconds"]["max"] > 0


def test_a_model_is_not_asked_of_pictures_so_it_took_no_time():
    of_both = [next(r for r in CONTENT["requests"] if r["modality"] == m) for m in ("image", "table")]
    driver = "openai:http://127.0.0.1:9/v1#m"
    scored = score({**CONTENT, "requests": of_both}, "requests", driver)
    assert scored["right"]["modality"] == 1
    assert scored["seconds"]["runs"] == 1


def test_a_model_that_is_not_there_has_nothing_right():
    one = {**CONTENT, "requests": CONTENT["requests"][:1]}
    scored = score(one, "requests", "openai:http://127.0.0.1:9/v1#m")
    assert sum(scored["right"].values()) == 0
    assert len(scored["mistakes"]) == sum(scored["asked"].values()) == 6
    assert "can't be asked" in scored["answers"][0]["notes"][0]
