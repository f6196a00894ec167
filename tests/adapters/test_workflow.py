"""Workflows: telling formats apart, parameters, freshening, model files."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_e2e.adapters.comfyui import workflow
from mcp_e2e.adapters.comfyui.workflow import FRESH_INPUT, Graph, ModelFile
from mcp_e2e.errors import SetupError, UsageError

from .conftest import graph, node

SAMPLED = graph(
    {
        "1": node("CheckpointLoaderSimple", ckpt_name="tiny.safetensors"),
        "2": node("LoraLoader", model=["9", 0], clip=["1", 1], lora_name="styles/ink.safetensors", strength_model=1.0),
        "3": node("KSampler", model=["2", 0], seed=7, cfg=8, denoise=1.0, sampler_name="euler", tiled=False),
        "4": node("KSampler", model=["2", 0], latent_image=["3", 0], seed=8, cfg=7.5),
        "5": node("SaveImage", images=["4", 0], filename_prefix="x"),
        "9": node("ModelSamplingSD3", model=["1", 0], shift=3.0),
    }
)


def test_api_format_is_loaded_with_and_without_bom_and_wrapping() -> None:
    """A byte-order mark and a saved POST body are both read as the same graph."""
    text = json.dumps(SAMPLED.nodes)
    for spelling in (text, "\ufeff" + text, json.dumps({"prompt": SAMPLED.nodes, "client_id": "x"})):
        assert workflow.load(spelling, "test.json") == SAMPLED


def test_ui_format_is_refused_with_the_way_to_export() -> None:
    """The file that 'Save' writes is recognised, and the message says how to export the right one."""
    with pytest.raises(SetupError, match="UI format") as refused:
        workflow.load(json.dumps({"nodes": [], "links": [], "version": 0.4}), "portrait.json")
    assert "Export (API)" in refused.value.advice
    assert "File > Export" in refused.value.advice


def test_malformed_json_names_file_and_line() -> None:
    """A syntax error is told with its place."""
    with pytest.raises(SetupError, match=r"bad\.json is not JSON: .* at line 2, column"):
        workflow.load('{\n "1": nope}', "bad.json")


@pytest.mark.parametrize("text", ['{"1": ' + "7" * 5000 + "}", "[" * 200_000])
def test_json_that_no_parser_takes_is_a_setup_problem(text: str) -> None:
    """Too long a number, too deep a nesting: told with what to do, never with a traceback."""
    with pytest.raises(SetupError, match=r"w\.json holds a number too long or lists too deep") as refused:
        workflow.load(text, "w.json")
    assert "File > Export" in refused.value.advice


@pytest.mark.parametrize(
    "text", ["[]", "{}", "3", '{"1": 2}', '{"1": {"inputs": {}}}', '{"1":{"class_type":"A","inputs":[]}}']
)
def test_what_is_no_workflow_is_a_setup_problem(text: str) -> None:
    """JSON of another shape is refused in words, never with a traceback."""
    with pytest.raises(SetupError, match=r"w\.json"):
        workflow.load(text, "w.json")


@pytest.mark.parametrize("name", ["3.inputs.denoise", "3.denoise", "denoise"])
def test_an_input_has_three_names(name: str) -> None:
    """Full, short and, when it is unique, bare; the original graph is not changed."""
    changed = workflow.apply(SAMPLED, {name: 0.5})
    assert changed.nodes["3"]["inputs"]["denoise"] == 0.5
    assert SAMPLED.nodes["3"]["inputs"]["denoise"] == 1.0


def test_an_ambiguous_name_lists_its_candidates() -> None:
    """Two samplers have a seed: the caller has to say which."""
    with pytest.raises(UsageError, match="ambiguous") as refused:
        workflow.apply(SAMPLED, {"seed": 1})
    assert refused.value.facts["candidates"] == ["3.inputs.seed", "4.inputs.seed"]


def test_an_unknown_name_has_a_nearest_one() -> None:
    """A typing error is answered with what was probably meant."""
    with pytest.raises(UsageError, match="nearest: denoise"):
        workflow.apply(SAMPLED, {"denose": 1})


def test_a_linked_input_names_its_feeder() -> None:
    """Replacing a link by a value would cut the graph apart, so it is refused."""
    with pytest.raises(UsageError, match="fed by node 3"):
        workflow.apply(SAMPLED, {"4.latent_image": 1})


@pytest.mark.parametrize(
    ("name", "given_value", "stored"),
    [
        ("3.seed", "42", 42),
        ("3.seed", 42.0, 42),
        ("3.cfg", 6.5, 6.5),  # the UI writes 8.0 as 8
        ("denoise", 1, 1.0),
        ("denoise", "0.25", 0.25),
        ("tiled", "True", True),
        ("filename_prefix", 5, "5"),
        ("3.seed", 2**64 - 1, 2**64 - 1),
    ],
)
def test_a_value_keeps_the_type_of_the_input(name: str, given_value: Any, stored: Any) -> None:
    """Text from a command line becomes the number or truth value that the workflow has there."""
    changed = workflow.apply(SAMPLED, {name: given_value})
    (found,) = [
        value for new, (_, _, value) in zip(SAMPLED.inputs(), changed.inputs(), strict=True) if new[2] is not value
    ] or [stored]
    assert found == stored
    assert type(found) is type(stored)


@pytest.mark.parametrize(("name", "value"), [("3.seed", "x"), ("3.seed", True), ("3.seed", [1]), ("denoise", "NaN")])
def test_a_value_of_another_type_is_refused(name: str, value: Any) -> None:
    """A wrong type runs nothing and names the input."""
    with pytest.raises(UsageError, match=name):
        workflow.apply(SAMPLED, {name: value})


def test_freshening_spares_loaders_and_what_feeds_them() -> None:
    """Models stay resident: neither a loader nor anything upstream of one is touched, everything else is."""
    fresh = workflow.freshen(SAMPLED, "n1")
    marked = {name for name, body in fresh.nodes.items() if FRESH_INPUT in body["inputs"]}
    assert marked == {"3", "4", "5"}


@given(st.text(min_size=1), st.text(min_size=1))
def test_freshening_differs_exactly_when_the_nonce_does(one: str, two: str) -> None:
    """The same nonce gives the same graph, another nonce another one, and freshening twice is freshening once."""
    fresh = workflow.freshen(SAMPLED, one)
    assert (fresh == workflow.freshen(SAMPLED, two)) == (one == two)
    assert workflow.freshen(fresh, two) == workflow.freshen(SAMPLED, two)


def test_model_files_are_found_wherever_they_are_named() -> None:
    """Every input that names a model file is listed with its node."""
    assert workflow.model_files(SAMPLED) == (
        ModelFile("1", "CheckpointLoaderSimple", "ckpt_name", "tiny.safetensors"),
        ModelFile("2", "LoraLoader", "lora_name", "styles/ink.safetensors"),
    )


def test_a_graph_with_a_loop_or_a_dangling_link_is_freshened_too() -> None:
    """What the server will refuse does not hang or break us first."""
    odd = Graph("odd", {"1": node("XLoader", a=["2", 0], b=["77", 0]), "2": node("B", a=["1", 0])})
    assert workflow.freshen(odd, "n") == odd
