"""A node's exception as the history tells it: title, inputs, and whose code raised."""

from typing import Any

import pytest

from mcp_e2e.adapters.comfyui.raised import node_error, shown
from mcp_e2e.adapters.comfyui.workflow import FRESH_INPUT

from .conftest import node

GRAPH = {
    "1": node("CheckpointLoaderSimple", ckpt_name="a.safetensors"),
    "2": node("PrimitiveInt", value=3),
    "3": {
        **node("KSampler", model=["1", 0], steps=["2", 0], cfg=8, text="a\nb", gone=["9", 0], **{FRESH_INPUT: "n"}),
        "_meta": {"title": "Sample it"},
    },
}
CURRENT = {"model": ["<comfy.model>"], "steps": [3], "cfg": [8], "text": ["a\nb"]}


def frames(*paths: str) -> list[str]:
    return [f'  File "{path}", line 12, in run\n    self.go()\n' for path in paths]


def said(**more: Any) -> dict[str, Any]:
    return {"node_id": "3", "node_type": "KSampler", "exception_type": "E", "exception_message": "m\n", **more}


def test_inputs_are_told_as_they_came_in() -> None:
    """A linked number by its value, a linked object by its node; the mark that freshens is nobody's input."""
    error = node_error(said(current_inputs=CURRENT), GRAPH)
    assert error.title == "Sample it"
    assert error.inputs == {
        "model": "from node 1 (CheckpointLoaderSimple)",
        "steps": "3",
        "cfg": "8",
        "text": "'a\\nb'",
        "gone": "from node 9",
    }


def test_a_node_that_another_one_made_is_told_by_the_server_alone() -> None:
    """Its id is not in the graph that was asked for."""
    error = node_error(said(node_id="3.0.1", current_inputs={"file": ["x.png"], "many": [1, 2]}), GRAPH)
    assert (error.node, error.title) == ("3.0.1", None)
    assert error.inputs == {"file": "'x.png'", "many": "[1, 2]"}


@pytest.mark.parametrize("odd", [{}, {"current_inputs": None, "traceback": None}, {"current_inputs": [1]}])
def test_what_is_missing_is_no_error(odd: dict[str, Any]) -> None:
    """Other versions may leave things out."""
    assert node_error({"node_id": 5, **odd}, {"5": None}).node == "5"
    assert node_error(odd, {}).inputs == {}


@pytest.mark.parametrize(
    ("paths", "name"),
    [
        (("/c/execution.py", "/c/custom_nodes/Pack-A/nodes.py"), "Pack-A"),
        (("/c/execution.py", "/c/custom_nodes/one.py", "/v/lib/python3.11/site-packages/torch/nn.py"), "one"),
        (("C:\\c\\execution.py", "C:\\c\\custom_nodes\\Pack-B\\a\\b.py"), "Pack-B"),
        (("/c/execution.py", "/c/custom_nodes/Hook/patch.py", "/c/comfy/sample.py"), None),
        (("/c/execution.py", "/c/nodes.py"), None),
        ((), None),
    ],
)
def test_the_custom_node_is_the_one_whose_code_raised(paths: tuple[str, ...], name: str | None) -> None:
    """Libraries it called do not count, and one that only wraps what ComfyUI does is not to blame."""
    assert node_error(said(traceback=frames(*paths)), GRAPH).custom_node == name


def test_a_custom_node_far_up_in_a_long_traceback_is_found() -> None:
    """What is kept of the traceback is its end only."""
    libraries = ["/v/lib/python3.11/site-packages/torch/module.py"] * 200
    error = node_error(said(traceback=frames("/c/custom_nodes/Deep/n.py", *libraries)), GRAPH)
    assert (error.custom_node, len(error.traceback)) == ("Deep", 4000)


def test_a_long_value_is_cut() -> None:
    """A prompt may hold a novel."""
    assert len(shown("x" * 999)) == 60
