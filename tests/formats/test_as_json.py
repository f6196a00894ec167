import json

from hypothesis import given, settings
from hypothesis import strategies as st

from mcp_e2e.formats import FORMATS, as_json

FEW = settings(max_examples=60, deadline=None)


@FEW
@given(st.data())
def test_the_file_is_json_in_utf_8_with_every_slot_and_count(reports, data):
    """Whatever the texts hold, the file can be written and read again."""
    report = data.draw(reports)
    told = json.loads(as_json.render(report).encode("utf-8"))
    assert [entry["slot"] for entry in told["tests"]] == [line.slot for line in report.tests]
    assert told["counts"]["total"] == report.counts.total
    assert told["success_rate"] == report.success_rate


def test_times_are_iso_8601_and_absent_things_are_left_out(report):
    """A field that is there has something to say; an unknown success rate alone is told as null."""
    told = as_json.data(report)
    assert (told["started"], told["duration_s"]) == ("2026-11-18T11:06:40Z", 600.0)
    assert "ended" not in told
    assert told["tests"][0]["attempts"][0]["artifacts"][0]["bytes"] == 9


def test_every_format_has_a_suffix_of_its_own_and_renders(report):
    """The table is all that a door needs to know."""
    assert set(FORMATS) == {"markdown", "json", "junit"}
    assert len({row.suffix for row in FORMATS.values()}) == len(FORMATS)
    for row in FORMATS.values():
        assert row.render(report).endswith("\n")


def test_warmth_models_and_memory_stand_in_the_json(warm_report):
    """Each attempt with its own, each set of models with its slots."""
    told = as_json.data(warm_report)
    assert (told["load_saved_s"], told["memory_peak"][:4]) == (4.0, "VRAM")
    (use,) = told["model_uses"]
    assert (use["models"], use["slots"], use["saved_s"]) == (["base|1.safetensors"], [1, 2, 3, 4], 4.0)
    attempts = {line["slot"]: line["attempts"][0] for line in told["tests"]}
    assert [attempts[n]["warm"] for n in (1, 2, 3)] == [False, True, True]
    assert attempts[3]["memory"]["vram_peak"] == 8100
