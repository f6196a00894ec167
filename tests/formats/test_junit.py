import re
from xml.etree import ElementTree as ET

from hypothesis import given, settings
from hypothesis import strategies as st

from mcp_e2e.formats.junit import render

TIME = re.compile(r"\d+\.\d{3}")
INSIDE = {"failure", "error", "skipped", "rerunFailure", "flakyFailure", "system-out"}

FEW = settings(max_examples=60, deadline=None)


@FEW
@given(st.data())
def test_any_text_gives_a_well_formed_file_of_the_strict_profile(reports, data):
    """Whatever a test printed, the file parses and holds nothing that junit-10.xsd rejects."""
    report = data.draw(reports)
    root = ET.fromstring(render(report).encode("utf-8"))
    (suite,) = root
    assert set(root.attrib) == {"name", "tests", "failures", "errors", "time"}
    cases = suite.findall("testcase")
    for element in (root, suite, *cases):
        assert TIME.fullmatch(element.get("time"))
    for case in cases:
        assert {child.tag for child in case} <= INSIDE
        assert set(case.attrib) == {"name", "classname", "time"}
        assert all(child.get("type") for child in case if child.tag != "system-out")


@FEW
@given(st.data())
def test_counts_are_those_of_the_elements_and_names_are_unique(reports, data):
    """Every reader finds the same sums, and GitLab drops no slot for its name."""
    report = data.draw(reports)
    root = ET.fromstring(render(report).encode("utf-8"))
    suite = root[0]
    cases = suite.findall("testcase")
    assert len({case.get("name") for case in cases}) == len(cases) == report.counts.total
    for tag, name in (("failure", "failures"), ("error", "errors"), ("skipped", "skipped")):
        assert int(suite.get(name)) == sum(case.find(tag) is not None for case in cases)


@FEW
@given(st.data())
def test_a_slot_is_green_only_when_it_passed(reports, data):
    """CI reads a red, doubted, skipped or open slot never as a pass."""
    report = data.draw(reports)
    root = ET.fromstring(render(report).encode("utf-8"))
    green = [
        case for case in root.iter("testcase") if not {child.tag for child in case} & {"failure", "error", "skipped"}
    ]
    assert len(green) == report.counts.passed


def test_each_slot_is_told_in_the_words_of_ci(report):
    """Failure with its reruns, flaky pass, doubt, skip, unrecorded red, and 'not run'."""
    cases = ET.fromstring(render(report)).findall(".//testcase")
    assert [[child.tag for child in case] for case in cases] == [
        ["failure", "rerunFailure", "system-out"],
        ["flakyFailure", "system-out"],
        ["failure", "system-out"],
        ["skipped", "system-out"],
        ["failure", "system-out"],
        ["skipped"],
    ]
    failed, _, doubted, skipped, _, never = cases
    assert failed.find("failure").text == "2 images instead of 1\n\nAssertionError\n\nlog: /logs/x.log"
    assert (doubted.find("failure").get("type"), doubted.find("failure").text) == ("doubted", "blurred")
    assert skipped.find("skipped").text == "needs a second GPU"
    assert never.find("skipped").get("message") == "not run"
    assert failed.get("name") == "portrait (1/6)"
    assert failed.get("time") == "2.250"


def test_attachments_stand_on_lines_of_their_own_relative_to_the_project(report):
    """The form that GitLab and the Jenkins attachments plugin look for."""
    said = ET.fromstring(render(report)).find(".//testcase/system-out").text.splitlines()
    assert "[[ATTACHMENT|.mcp-e2e/artifacts/r1/a1-1/1.png]]" in said


def test_facts_of_the_run_are_properties_of_the_suite(report):
    """What a testcase may not carry in this profile stands once on the suite."""
    root = ET.fromstring(render(report))
    facts = {entry.get("name"): entry.get("value") for entry in root.iter("property")}
    assert facts["overall"] == "stopped"
    assert facts["env.python"] == "3.11.7"
    assert root[0].get("timestamp") == "2026-11-18T11:06:40"


def test_load_time_models_and_memory_are_properties_and_an_out_of_memory_failure_tells_its_own(warm_report):
    """CI keeps what a later schedule or a look at a full card needs."""
    root = ET.fromstring(render(warm_report))
    facts = {entry.get("name"): entry.get("value") for entry in root.iter("property")}
    assert facts["load_saved"].endswith("portrait 1 x (6.00 s - 2.00 s) = 4.0 s")
    assert facts["memory_peak"].startswith("VRAM 500 MiB before, peak 8100 of 8192 MiB (cuda:0 RTX_A)")
    assert facts["models.1"] == (
        "portrait (slots 1, 2, 3, 4): base|1.safetensors; 1 cold, median 6.000 s; 1 warm, median 2.000 s"
    )
    failure, other = root.iter("failure")
    assert "memory: " not in other.text
    assert failure.text.startswith("node 3: CUDA out of memory\n\nmemory: VRAM 500 MiB before, peak 8100 of 8192 MiB")


def test_a_run_without_models_has_empty_words_for_them(report):
    """As one without a measured boot."""
    facts = {entry.get("name"): entry.get("value") for entry in ET.fromstring(render(report)).iter("property")}
    assert (facts["load_saved"], facts["memory_peak"], "models.1" in facts) == ("", "", False)
