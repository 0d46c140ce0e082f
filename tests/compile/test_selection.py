"""Which compiled forms go into a package: by what was measured, never by what was hoped for."""

from __future__ import annotations

from dataclasses import replace

import pytest

from modelgpt_edge.compile.candidate import Candidate
from modelgpt_edge.compile.selection import keep_best, within
from modelgpt_edge.errors import BudgetError
from modelgpt_edge.gate import Hop

PASSED = Hop("x", "int8", 72, 0, 1e-3, 1e-3, 60.0, 1.0, "")
FAILED = replace(PASSED, failure="max difference 3.00e-01 > 2e-01")


def form(precision, us=100.0, size=1_000, agreement=1.0, loss=0.0, hop=PASSED, **facts):
    """A form that was measured: microseconds of a row, bytes, share of fp32's labels, accuracy lost."""
    profile = {} if us is None else {"p50_us": us}
    return Candidate(
        "board",
        "maker",
        precision,
        "packed",
        "runs here",
        "",
        {"model": b"x" * size},
        facts,
        profile,
        0.9,
        loss,
        agreement,
        hop,
    )


def kept(candidates):
    return [c.precision for c in candidates if c.kept]


def why(candidates, precision):
    return next(c.because for c in candidates if c.precision == precision)


def test_int8_that_is_no_quicker_is_left_out_and_said_not_to_be_worth_it():
    chosen = keep_best([form("fp32", 100), form("int8", 95)])
    assert kept(chosen) == ["fp32"]
    assert why(chosen, "fp32") == "int8 isn't worth it here: it is no cheaper"
    assert why(chosen, "int8") == "is no cheaper"


@pytest.mark.parametrize(("us", "taken"), [(89.9, "int8"), (90.1, "fp32")])
def test_a_lower_precision_must_be_cheaper_by_a_tenth(us, taken):
    assert kept(keep_best([form("fp32", 100), form("int8", us)])) == [taken]


@pytest.mark.parametrize(
    ("us", "size", "taken"),
    [(109, 1_000_000, "int8"), (95, 1_000_000, "int8"), (112, 1_000_000, "fp32"), (109, 1_000_001, "fp32")],
)
def test_of_forms_as_quick_the_much_smaller_one_is_taken(us, size, taken):
    chosen = keep_best([form("fp32", 100, size=2_000_000), form("int8", us, size=size)])
    assert kept(chosen) == [taken]
    if taken == "int8":
        assert why(chosen, "int8") == "as quick as fp32, as good, and smaller"
        assert why(chosen, "fp32") == "is larger, and no cheaper"


def test_the_cheapest_of_several_is_taken_and_comes_first():
    chosen = keep_best([form("fp32", 100), form("int8", 50), form("int8-dynamic", 300), form("fp16", 60)])
    assert [c.precision for c in chosen] == ["int8", "fp32", "int8-dynamic", "fp16"]
    assert kept(chosen) == ["int8"]
    assert why(chosen, "int8") == "cheaper than fp32 and as good"


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ({"hop": FAILED}, "leaves its tolerance: max difference 3.00e-01 > 2e-01"),
        ({"agreement": 0.9949}, "gives fp32's label to 99.5% of the rows only"),
        ({"agreement": 0.98}, "gives fp32's label to 98.0% of the rows only"),
        ({"loss": 0.0051}, "loses too much accuracy"),
    ],
)
def test_a_form_that_is_not_as_good_is_left_out_however_quick_it_is(fault, reason):
    chosen = keep_best([form("fp32", 100), form("int8", 1, **fault)])
    assert kept(chosen) == ["fp32"]
    assert why(chosen, "int8") == reason
    assert reason in why(chosen, "fp32")


@pytest.mark.parametrize("fine", [{"agreement": 0.995}, {"loss": 0.005}, {"agreement": None}, {"loss": -0.1}])
def test_what_is_just_good_enough_counts(fine):
    assert kept(keep_best([form("fp32", 100), form("int8", 1, **fine)])) == ["int8"]


def test_where_the_device_must_tell_every_good_form_stays_but_fp32_beside_fp16():
    forms = [form("fp16", None), form("int8", None), form("fp32", None)]
    chosen = keep_best(forms)
    assert kept(chosen) == ["fp16", "int8"]
    assert why(chosen, "fp32") == "isn't needed beside fp16"
    assert why(chosen, "fp16") == why(chosen, "int8") == "", "nothing was measured that they could claim"
    assert kept(keep_best([forms[0], replace(forms[1], agreement=0.9), forms[2]])) == ["fp16"]
    assert kept(keep_best([replace(forms[0], agreement=0.9), forms[1], forms[2]])) == ["int8", "fp32"]
    assert kept(keep_best([form("fp32", 100), form("int8", None)])) == ["fp32", "int8"], "one cost alone compares nothing"


def test_on_a_processor_fp16_saves_storage_alone_and_is_taken_where_that_is_short():
    """It computes in fp32 there: a measured gain would be noise."""
    forms = [form("fp32", 100, 1_000), form("fp16", 50, 500)]
    chosen = keep_best(forms)
    assert kept(chosen) == ["fp32"]
    assert why(chosen, "fp16") == "only saves storage here"
    assert kept(keep_best([*forms, form("int8", 80)])) == ["int8"]
    fitting = within(chosen, 600, None, None)
    assert kept(fitting) == ["fp16"]
    assert why(fitting, "fp16") == "the best that fits the budget"
    assert kept(keep_best([forms[1]])) == ["fp16"], "alone it is all there is"


def test_where_everything_is_too_slow_the_quickest_is_the_closest():
    forms = [form("fp32", 1_234, 1_000), form("int8", 2_000, 300)]
    with pytest.raises(BudgetError) as raised:
        within(keep_best(forms), None, None, 1.0)
    assert raised.value.cure == "The closest, maker fp32: slower than 1 ms: 1.23 ms here. Raise the limit."


def test_what_fits_but_is_not_as_good_says_so_where_it_is_the_closest():
    forms = keep_best([form("fp32", 100, 1_000), form("int8", 1, 300, agreement=0.9)])
    with pytest.raises(BudgetError) as raised:
        within(forms, 500, None, None)
    assert raised.value.cure == (
        "maker int8 would fit, but gives fp32's label to 90.0% of the rows only. "
        "maker fp32 is over the limit of 500 bytes of flash by 500: raise the limit by as much."
    )


def test_a_tolerance_that_int8_failed_is_named_and_not_the_limit():
    forms = keep_best([form("fp32", 100, 86_000_000), form("int8", 1, 23_000_000, hop=FAILED)])
    with pytest.raises(BudgetError) as raised:
        within(forms, 25_000_000, None, None)
    assert raised.value.cure.startswith("maker int8 would fit, but leaves its tolerance: max difference 3.00e-01 > 2e-01. ")


@pytest.mark.parametrize(
    ("us", "size", "taken"),
    [(115, 23_000_000, "int8"), (199, 23_000_000, "int8"), (201, 23_000_000, "fp32"), (100, 85_100_000, "fp32")],
)
def test_where_a_model_is_fetched_a_much_smaller_one_goes_before_a_quicker_one(us, size, taken):
    forms = [form("fp32", 100, 86_000_000), form("int8", us, size)]
    chosen = keep_best(forms, fetched=True)
    assert kept(chosen) == [taken]
    assert kept(keep_best(forms)) == ["fp32"], "elsewhere time decides"
    if taken == "int8":
        assert why(chosen, "int8") == "less to fetch than fp32 and as good"
        assert why(chosen, "fp32") == "is more to fetch"


def test_what_is_fetched_must_be_as_good_as_ever():
    forms = [form("fp32", None, 86_000_000), form("int8", None, 23_000_000)]
    assert kept(keep_best(forms, fetched=True)) == ["int8"], "nothing was timed: size alone decides"
    assert kept(keep_best([forms[0], replace(forms[1], agreement=0.9)], fetched=True)) == ["fp32"]


def test_instructions_of_an_emulator_are_a_cost_too():
    counted = [replace(form(p, None), profile={"instructions_per_row": n}) for p, n in (("int8", 23_000), ("fp32", 90_000))]
    assert kept(keep_best(counted)) == ["int8"]


def test_a_form_that_never_ran_is_neither_good_nor_bad():
    unrun = replace(form("int8", None), hop=None, agreement=None, loss=None, training_accuracy=None)
    assert kept(keep_best([unrun])) == ["int8"]


def test_an_fp32_form_outside_its_tolerance_stays_to_fail_the_build():
    chosen = keep_best([form("fp32", 100, hop=FAILED), form("int8", 1)])
    assert kept(chosen) == ["fp32"]
    assert why(chosen, "int8") == "fp32 left its tolerance"
    for limit in (1, 1_000_000):
        assert kept(within(chosen, limit, None, None)) == ["fp32"], "no limit may hide it"


def test_where_nothing_is_as_good_as_fp32_the_most_faithful_stays():
    chosen = keep_best([form("int8", 1, agreement=0.97), form("fp16", 9, agreement=0.99)])
    assert kept(chosen) == ["fp16"]
    assert why(chosen, "int8") == "gives fp32's label to 97.0% of the rows only"
    values = [form("int8", 1, agreement=None, loss=0.2), form("fp16", 9, agreement=None, loss=0.1)]
    assert kept(keep_best(values)) == ["fp16"]
    failed = [form("int8", 1, hop=FAILED), form("fp16", 9, agreement=0.9)]
    assert kept(keep_best(failed)) == ["fp16"], "one that passes its gate before one that does not"


def test_a_lone_fp32_form_needs_no_word():
    assert [(c.precision, c.kept, c.because) for c in keep_best([form("fp32")])] == [("fp32", True, "")]


def test_without_limits_nothing_changes():
    forms = keep_best([form("fp32"), form("int8", 1)])
    assert within(forms, None, None, None) is forms


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        ((999, None, None), "over the limit of 999 bytes of flash by 1"),
        ((None, 499, None), "over the limit of 499 bytes of RAM by 1"),
        ((None, None, 0.099), "slower than 0.099 ms: 0.1 ms here"),
    ],
)
def test_a_form_over_a_limit_is_left_out_and_a_cheaper_good_one_taken_in(limits, reason):
    large = form("fp32", 100, 1_000, ram_bytes=500)
    small = replace(form("int8", 95, 300, ram_bytes=100), kept=False, because="is no cheaper")
    chosen = within([large, small], *limits)
    assert kept(chosen) == ["int8"]
    assert why(chosen, "fp32") == reason
    assert why(chosen, "int8") == "the best that fits the budget"
    assert kept(within([large], *(None if v is None else v + 1 for v in limits))) == ["fp32"]


def test_flash_is_what_the_backend_says_where_files_are_source_code():
    code = form("int8", 1, 50_000, flash_bytes=8_000)
    assert code.bytes == 8_000
    assert kept(within([code], 8_000, None, None)) == ["int8"]
    with pytest.raises(BudgetError):
        within([code], 7_999, None, None)


def test_what_could_not_be_measured_breaks_no_limit():
    assert kept(within([form("fp16", None)], None, 1, 1e-9)) == ["fp16"]


@pytest.mark.parametrize("fault", [{"agreement": 0.9}, {"loss": 0.1}, {"hop": FAILED}])
def test_a_limit_is_no_reason_to_take_a_form_that_is_not_as_good(fault):
    forms = keep_best([form("fp32", 100, 1_000), form("int8", 1, 300, **fault)])
    with pytest.raises(BudgetError, match="no variant for board fits"):
        within(forms, 500, None, None)


def test_other_backends_stay_where_one_is_over_the_limit():
    forms = [form("fp32", 10, 1_000), replace(form("fp32", 50, 400), backend="other")]
    assert [c.backend for c in within(forms, 500, None, None) if c.kept] == ["other"]


def test_nothing_that_fits_is_exit_5_and_names_the_closest_and_by_how_much():
    forms = keep_best([form("fp32", 100, 1_000, ram_bytes=7), form("int8", 1, 300, ram_bytes=7)])
    with pytest.raises(BudgetError) as raised:
        within(forms, 250, None, None)
    assert raised.value.exit_code == 5
    assert raised.value.seen == "250 bytes of flash"
    assert raised.value.cure == "The closest, maker int8: over the limit of 250 bytes of flash by 50. Raise the limit."
    with pytest.raises(BudgetError) as raised:
        within(forms, 1_000, 6, 50.0)
    assert raised.value.seen == "1,000 bytes of flash, 6 bytes of RAM, 50.0 ms"
