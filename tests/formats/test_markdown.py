from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from mcp_e2e.formats import markdown

FEW = settings(max_examples=60, deadline=None)


@FEW
@given(st.data())
def test_every_slot_has_one_row_whatever_the_texts_hold(reports, data):
    """No note, message or name can break the table or end a block early."""
    report = data.draw(reports)
    text = markdown.render(report)
    text.encode("utf-8")
    table = text.split("\n## All slots\n\n")[1].split("\n## Environment\n")[0]
    rows = table.strip().split("\n")[2:]
    assert len(rows) == report.counts.total
    assert all(row.replace("\\|", "").count("|") == 8 for row in rows)


def test_failures_stand_above_the_table_with_message_log_and_artifacts(report):
    """A reader sees the advice first, then what failed, with the place of its evidence."""
    text = markdown.render(report)
    assert text.startswith("# Run r1: stopped\n")
    assert text.index("### 1 portrait: failed") < text.index("### 2 portrait: flaky") < text.index("## All slots")
    assert "```text\n2 images instead of 1\n```" in text
    assert "Log: `/logs/x.log`" in text
    assert "a person has to clear it: mcp-e2e status" in text
    assert "Boot time saved: 1 min 24 s" in text


def test_a_report_too_large_for_a_ci_summary_is_cut_and_says_so(report):
    """GitHub drops a larger summary as a whole."""
    text = markdown.render(replace(report, tests=report.tests * 2000))
    assert len(text.encode()) <= markdown.LIMIT
    assert "the rest is in the JSON report" in text


def test_a_fence_is_longer_than_any_in_the_message():
    """Output that holds markdown stays inside its block."""
    assert markdown._fenced("a\n````\nb").startswith("`````text\n")


def test_models_have_a_table_and_the_fullest_memory_a_line(warm_report):
    """Cold and warm medians with their counts, what that saved, and where memory was shortest."""
    text = markdown.render(warm_report)
    assert "| base\\|1.safetensors | portrait | 1, 2, 3, 4 | 1 x 6.0 s | 1 x 2.0 s | 4.0 s |\n" in text
    assert text.index("## Models") < text.index("## All slots")
    assert "- Model load time saved: 4.0 s (warm attempts x (median cold - median warm)" in text
    assert "- Memory at its fullest: VRAM 500 MiB before, peak 8100 of 8192 MiB (cuda:0 RTX\\_A)" in text


def test_only_an_attempt_that_ran_out_of_memory_tells_its_own(warm_report):
    """Before, peak and total stand beside its message."""
    text = markdown.render(warm_report)
    assert "\n\nMemory: VRAM 500 MiB before, peak 8100 of 8192 MiB (cuda:0 RTX\\_A); RAM 900 MiB before" in text
    assert text.count("\nMemory: ") == 1


def test_attempts_stored_without_these_facts_have_no_models_and_no_memory(report):
    """Runs of older versions are reported as before."""
    text = markdown.render(report)
    assert not [word for word in ("## Models", "Model load", "Memory") if word in text]


def test_a_long_list_of_models_is_cut_and_says_so(warm_report):
    """The whole of it is in the JSON report."""
    (use,) = warm_report.model_uses
    many = replace(warm_report, model_uses=(replace(use, models=tuple("abcdefgh")),) * (markdown.MOST_USES + 7))
    text = markdown.render(many)
    assert text.count("| a, b, c, d, e, f and 2 more | portrait |") == markdown.MOST_USES
    assert "*7 more rows are in the JSON report.*" in text
