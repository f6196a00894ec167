"""What keeps a workflow from running, in sentences: foreseen, or answered by a server."""

import json
import math
from typing import Any

import pytest

from mcp_e2e.adapters.comfyui import wiring, workflow
from mcp_e2e.adapters.comfyui.complaints import choices_of, nearest
from mcp_e2e.adapters.comfyui.rejections import foreseen, missing_models, rejected, unanswered, unknown_classes
from mcp_e2e.adapters.comfyui.wiring import surely_broken

from .conftest import graph, node, picture

INFO: dict[str, dict[str, Any]] = {
    "EmptyImage": {"input": {"required": {"width": ["INT", {}]}}, "output": ["IMAGE"], "output_node": False},
    "ImageInvert": {"input": {"required": {"image": ["IMAGE"]}}, "output": ["IMAGE"], "output_node": False},
    "SaveImage": {"input": {"required": {"images": ["IMAGE"]}}, "output": [], "output_node": True},
}


def inverts(**feeders: str) -> dict[str, Any]:
    """``n1="2"``: node 1 inverts what node 2 gives."""
    return {name[1:]: node("ImageInvert", image=[feeder, 0]) for name, feeder in feeders.items()}


def answer(node_id: str, kind: str, **extra: Any) -> dict[str, Any]:
    error = {"type": kind, "message": "Said by the server", "details": "", "extra_info": extra}
    return {"error": {"type": "prompt_outputs_failed_validation"}, "node_errors": {node_id: {"errors": [error]}}}


def test_a_sound_graph_has_no_fault() -> None:
    """With and without knowledge of the classes; freshening adds none."""
    work = workflow.freshen(picture("x"), "n")
    assert surely_broken(work) == ()
    assert foreseen(work, INFO, []) == ()


def test_a_link_to_nowhere_and_a_circle_are_known_without_a_server() -> None:
    """All at once, each named with node, class, input and the fix."""
    work = graph({**inverts(n1="77", n2="1", n4="5", n5="4"), "3": node("SaveImage", images=["2", 0], mask=["5", 0])})
    first, second = sorted(surely_broken(work))
    assert first == (
        "node 1 (ImageInvert): input image is linked to node 77, which is not in test.json; link it to one that is"
        " (1, 2, 4, 5, 3), or export the workflow again"
    )
    assert second == (
        "node 4 (ImageInvert): input image leads in a circle: 4 (ImageInvert) <- 5 (ImageInvert) <- 4 (ImageInvert);"
        " remove one of these links, since no node can wait for itself"
    )


@pytest.mark.parametrize("rest", [inverts(n9="77"), inverts(n8="9", n9="8"), inverts(n9="9")])
def test_a_broken_rest_that_no_output_needs_is_left_alone(rest: dict[str, Any]) -> None:
    """Every version measured runs such a workflow, so it must not be refused here."""
    work = graph({**picture("x").nodes, **rest})
    assert surely_broken(work) == ()
    assert foreseen(work, INFO, []) == ()


def test_a_broken_branch_beside_a_whole_one_is_found_when_the_outputs_are_known() -> None:
    """Without a server it might be a rest; with one it is an output that would be dropped."""
    work = graph({**picture("x").nodes, "9": node("SaveImage", images=["77", 0])})
    assert surely_broken(work) == ()
    assert [sentence[:18] for sentence in foreseen(work, INFO, [])] == ["node 9 (SaveImage)"]


def test_a_graph_that_is_nothing_but_a_circle_is_broken() -> None:
    """It has no end at all; a node that feeds itself is the smallest one."""
    for nodes in (inverts(n1="2", n2="1"), inverts(n1="1")):
        assert len(surely_broken(graph(nodes))) == 1
    assert "1 (ImageInvert) <- 1 (ImageInvert);" in surely_broken(graph(inverts(n1="1")))[0]


def test_two_circles_are_told_once_each() -> None:
    """Not once for each of their nodes."""
    work = graph({**inverts(n1="2", n2="3", n3="1", n4="5", n5="4"), "6": node("Save", a=["1", 0], b=["4", 0])})
    assert [sentence[:6] for sentence in wiring.circles(work)] == ["node 1", "node 4"]


def test_a_long_chain_is_looked_at_in_no_time() -> None:
    """Five thousand nodes without a circle, and with one that closes over all of them."""
    chain = {str(n): node("ImageInvert", image=[str(n - 1), 0]) for n in range(1, 5000)}
    whole = graph({"0": node("EmptyImage"), **chain, "s": node("SaveImage", images=["4999", 0])})
    assert foreseen(whole, INFO, []) == ()
    closed = graph({**whole.nodes, "0": node("ImageInvert", image=["4999", 0])})
    assert len(foreseen(closed, INFO, [])) == 1


def test_an_output_that_a_class_does_not_have_is_told_with_those_it_has() -> None:
    """Known from the server's description of the class, before anything is queued; a negative one counts backwards."""
    work = graph({"1": node("EmptyImage"), "2": node("SaveImage", images=["1", 3])})
    (said,) = foreseen(work, INFO, [])
    assert "linked to output 3 of node 1 (EmptyImage), which has no such output (it has 0: IMAGE)" in said
    assert foreseen(graph({"1": node("EmptyImage"), "2": node("SaveImage", images=["1", -1])}), INFO, []) == ()


def test_a_class_that_gives_any_type_may_have_more_outputs_than_it_lists() -> None:
    """Its number is decided in the page, and the server takes a link to any of them."""
    info = {**INFO, "Any": {"input": {}, "output": ["*"], "output_node": False}}
    assert foreseen(graph({"1": node("Any"), "2": node("SaveImage", images=["1", 1])}), info, []) == ()


def test_a_workflow_without_an_output_node_is_foreseen() -> None:
    """Unless a class is unknown, which may be one."""
    assert "prompt_no_outputs" in foreseen(graph({"1": node("EmptyImage")}), INFO, [])[0]
    unknown = foreseen(graph({"1": node("EmptyImage"), "2": node("SaveGif", images=["1", 0])}), INFO, ["SaveImage"])
    assert [sentence[:16] for sentence in unknown] == ["node 2 (SaveGif)"]


def test_a_number_that_no_json_holds_is_told() -> None:
    """Python reads Infinity and NaN from a file; sending them would fail in other words."""
    work = workflow.load('{"1": {"class_type": "A", "inputs": {"width": Infinity, "cfg": NaN}}}', "w.json")
    assert [sentence.split("=")[0] for sentence in surely_broken(work)] == [
        "node 1 (A): input width ",
        "node 1 (A): input cfg ",
    ]
    assert math.isinf(work.nodes["1"]["inputs"]["width"])


def test_an_unknown_class_names_what_failed_to_import() -> None:
    """That is the likely reason; without such news the class has to be installed."""
    work = graph({"1": node("IPAdapter")})
    (plain,) = unknown_classes(work, {}, ["IPAdapterr"])
    (likely,) = unknown_classes(work, {}, [], ["ComfyUI_IPAdapter", "rgthree"])
    assert "nearest: 'IPAdapterr'; install the custom node that provides it" in plain
    assert "likely because custom nodes failed to import (ComfyUI_IPAdapter, rgthree)" in likely


@pytest.mark.parametrize(
    "error",
    [
        {"type": "invalid_prompt", "message": "node Foo does not exist.", "details": "Node ID '#1'", "extra_info": {}},
        {"type": "missing_node_type", "details": "", "extra_info": {"node_id": "1", "class_type": "Foo"}},
    ],
)
def test_an_unknown_class_is_told_alike_in_both_forms(error: dict[str, Any]) -> None:
    """Older servers name the node in words only, newer ones in a field."""
    work = graph({"1": {**node("Foo"), "_meta": {"title": "Upscaler"}}})
    (said,) = rejected(work, {"error": error, "node_errors": {}}, ["foo_pack"])
    assert said.startswith("node 1 \"Upscaler\" (Foo): this ComfyUI has no node class 'Foo'; likely because")


def test_a_circle_is_found_in_our_own_graph_whatever_the_server_tells() -> None:
    """Old versions refuse it without a word, new ones at each of its nodes."""
    work = graph({**inverts(n1="3", n3="1"), "2": node("SaveImage", images=["1", 0])})
    silent = {"error": {"type": "prompt_outputs_failed_validation", "details": ""}, "node_errors": {}}
    both = answer("1", "dependency_cycle")
    both["node_errors"] |= answer("3", "dependency_cycle")["node_errors"]
    assert rejected(work, silent) == rejected(work, both) == wiring.circles(work)
    assert len(wiring.circles(work)) == 1


def test_a_refusal_without_any_word_is_told_as_such() -> None:
    """What the server did not say is not made up."""
    body = {"error": {"type": "invalid_prompt", "message": "", "details": ""}, "node_errors": {}}
    (said,) = rejected(picture("x"), body)
    assert said.startswith("test.json: invalid_prompt: no details given")
    assert rejected(picture("x"), {"error": "no luck"}) == ("test.json: no luck",)
    assert rejected(picture("x"), {"node_errors": {}}) == ()


@pytest.mark.parametrize(
    ("kind", "extra", "says"),
    [
        (
            "return_type_mismatch",
            {"input_config": ["IMAGE", {}], "received_type": "MODEL", "linked_node": ["1", 0]},
            "takes IMAGE, but output 0 of node 1 (EmptyImage) gives MODEL: link it to an output that gives IMAGE",
        ),
        (
            "return_type_mismatch",
            {"input_config": [["a", "b"], {}], "received_type": "INT", "linked_node": ["1", 0]},
            "takes one of a list, but output 0 of node 1 (EmptyImage) gives INT",
        ),
        ("value_bigger_than_max", {"received_value": 9, "input_config": ["INT", {"max": 5}]},
         "is too big: give at most 5"),
        ("value_smaller_than_min", {"received_value": 1, "input_config": ["INT", {"min": 3}]}, "give at least 3"),
        ("invalid_input_type", {"received_value": "x", "input_config": ["FLOAT"]}, "as FLOAT: give a number"),
        ("value_not_in_list", {"received_value": "x"}, "= 'x': Said by the server"),
        ("brand_new_kind", {"received_value": "x" * 999}, "xxx…: Said by the server"),
    ],
)  # fmt: skip
def test_a_complaint_about_an_input_says_what_it_takes(kind: str, extra: dict[str, Any], says: str) -> None:
    """Also one of a kind that is not known yet."""
    (said,) = rejected(picture("x"), answer("2", kind, input_name="images", **extra))
    assert said.startswith("node 2 (SaveImage): input images ")
    assert says in said
    assert len(said) < 300


def test_a_refused_value_is_taken_from_our_own_graph() -> None:
    """The server does not repeat it; a file is to be put where it is looked for, anything else to be changed."""
    work = graph({"1": node("LoadImage", image="a b.png [output]"), "2": node("Steps", steps=3)})
    body = answer("1", "custom_validation_failed", input_name="image")
    body["node_errors"] |= answer("2", "custom_validation_failed", input_name="steps")["node_errors"]
    file, number = rejected(work, body)
    assert "input image = 'a b.png [output]' is refused by the node: Said by the server; put that file" in file
    assert "input steps = 3 is refused by the node: Said by the server; change it" in number


def test_a_link_that_the_server_stumbled_over_is_the_one_with_the_highest_output() -> None:
    """Its answer names no input; what is known of the graph does."""
    work = graph({"1": node("Loader"), "2": node("Use", a=["1", 0], b=["1", 7], c=["1", 1])})
    (said,) = rejected(work, answer("2", "exception_during_validation", exception_type="IndexError"))
    assert said.startswith("node 2 (Use): input b is linked to output 7 of node 1 (Loader), which has no such output;")


def test_another_stumble_is_told_with_the_plain_values_of_the_node() -> None:
    """One of them is wrong; the mark that freshens is not among them."""
    work = workflow.freshen(graph({"1": node("A", file=5, image=["2", 0]), "2": node("B")}), "nonce")
    (said,) = rejected(work, answer("1", "exception_during_inner_validation", exception_type="AttributeError"))
    assert "checking its inputs raised AttributeError" in said
    assert "(it has file = 5)" in said


def test_a_link_to_nowhere_is_told_whatever_the_server_said_of_it() -> None:
    """It answers with the missing id as a bare KeyError."""
    work = graph({"2": node("SaveImage", images=["77", 0])})
    (said,) = rejected(work, answer("2", "exception_during_validation", exception_type="KeyError"))
    assert "input images is linked to node 77, which is not in test.json" in said


def test_an_answer_without_json_is_told_by_its_status() -> None:
    """Too large has another fix than everything else."""
    large, other = unanswered(picture("x"), 413, "Maximum  size\nexceeded"), unanswered(picture("x"), 500, "x" * 9999)
    assert "larger than this ComfyUI accepts (Maximum size exceeded)" in large
    assert "--max-upload-size" in large
    assert "answered 500 without saying which node" in other
    assert len(other) < 500


def test_equal_complaints_are_told_once() -> None:
    """A node that two branches need is complained about in each."""
    body = answer("1", "required_input_missing", input_name="width")
    body["node_errors"]["1"]["errors"] *= 2
    assert len(rejected(picture("x"), body)) == 1


def test_missing_models_are_found_in_both_spellings_of_a_list() -> None:
    """Old nodes write the list itself, newer ones put it under options; lists of other things are left alone."""
    work = graph({"1": node("A", m="x.ckpt", mode="odd"), "2": node("B", m="y.safetensors"), "3": node("A", m="ok.pt")})
    info: dict[str, dict[str, Any]] = {
        "A": {"input": {"required": {"m": [["ok.pt"]], "mode": [["even"]]}}},
        "B": {"input": {"optional": {"m": ["COMBO", {"options": ["y2.safetensors"]}]}}},
    }
    first, second = missing_models(work, info)
    assert "'x.ckpt' is not installed; put it into models/<its folder> or choose another; valid: 'ok.pt'" in first
    assert "nearest: 'y2.safetensors'" in second
    assert choices_of(["INT", {}]) is None


def test_a_model_that_no_output_needs_is_not_missed() -> None:
    """The server does not look there, and runs the rest."""
    info = {**INFO, "Load": {"input": {"required": {"m": [["ok.pt"]]}}, "output": ["IMAGE"], "output_node": False}}
    work = graph({**picture("x").nodes, "9": node("Load", m="gone.pt")})
    assert foreseen(work, info, []) == ()
    used = graph({**work.nodes, "10": node("SaveImage", images=["9", 0])})
    assert ["gone.pt" in sentence for sentence in foreseen(used, info, [])] == [True]


def test_a_class_that_says_null_for_its_inputs_is_read() -> None:
    """Custom nodes do; what they list elsewhere is looked at all the same."""
    info: dict[str, dict[str, Any]] = {
        "A": {"input": {"required": {"m": [["ok.pt"]]}, "optional": None}},
        "B": {"input": None},
    }
    (said,) = missing_models(graph({"1": node("A", m="gone.pt"), "2": node("B", m="x.pt")}), info)
    assert said.startswith("node 1 (A)")


@pytest.mark.parametrize(
    ("node_class", "name", "folder"),
    [
        ("LoraLoader", "lora_name", "models/loras"),
        ("DualCLIPLoader", "clip_name2", "models/text_encoders"),
        ("CLIPVisionLoader", "clip_name", "models/clip_vision"),
        ("UpscaleModelLoader", "model_name", "models/upscale_models"),
    ],
)
def test_a_missing_model_is_told_its_folder(node_class: str, name: str, folder: str) -> None:
    """Where the server looks for it."""
    info = {node_class: {"input": {"required": {name: [["other.pth"]]}}}}
    (said,) = missing_models(graph({"1": node(node_class, **{name: "mine.pth"})}), info)
    assert f"put it into {folder} " in said


@pytest.mark.parametrize(
    ("received", "choices", "says"),
    [
        ("x", [], "; the server has none to choose from"),
        ("lanczo", ["area", "lanczos"], "; nearest: 'lanczos'"),
        ("none.safetensors", ["other.safetensors"], "; valid: 'other.safetensors'"),
        ("SD15.safetensors", ["xl.safetensors", "sub\\sd15.safetensors"], "; nearest: 'sub\\\\sd15.safetensors'"),
        ("sd15.safetensor", ["sd15.safetensors"], "; nearest: 'sd15.safetensors'"),
        ("sd15.ckpt", ["xl.ckpt", "sd15.safetensors"], "; nearest: 'sd15.safetensors'"),
        (7, list(range(100, 109)), "; valid: '100', '101', '102', '103', '104' and 4 more"),
    ],
)
def test_the_nearest_choice_is_of_the_same_name_not_of_the_same_suffix(
    received: object, choices: list[object], says: str
) -> None:
    """Moved into a folder or written in another case it is still the same file."""
    assert nearest(received, choices) == says


def test_what_was_checked_is_json() -> None:
    """The sentences hold plain text, whatever a graph holds."""
    work = graph({"1": {**node("A\n\u2028B", a=["9", 0]), "_meta": {"title": "line\nbreak " * 20}}})
    (said,) = surely_broken(work)
    assert json.loads(json.dumps(said)) == said
    assert 'node 1 "line break' in said
    assert len(said) < 300
