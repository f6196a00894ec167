"""What a ComfyUI answers over HTTP, the awkward parts first: raw, one suite for simulated and real, version by version.

What differs between versions stands in ``differences.py``, nowhere else.
"""

from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
from PIL import Image

from mcp_e2e.adapters.comfyui.workflow import freshen

from .conftest import SCALED, Backend, graph, node, picture, prefix
from .differences import differs
from .listening import Wire, files, listening, new_id, talking

pytestmark = pytest.mark.timeout(240)

GOOD = picture("good").nodes
SAVE = GOOD["2"]


@pytest.fixture
async def server(wire: Backend) -> AsyncIterator[Wire]:
    async with talking(wire) as opened:
        yield opened
        await opened.quiet()


def is_text(reply: Any) -> bool:
    """The form of every error that the server did not foresee."""
    return reply.status_code == 500 and reply.headers["content-type"].startswith("text/plain")


@pytest.mark.parametrize("body", [b"{nope", b"", b'{"prompt": null}', b'{"prompt": [1]}'])
async def test_nonsense_is_answered_with_500_and_text(server: Wire, body: bytes) -> None:
    """No JSON, nothing, and what is no graph."""
    assert is_text(await server.http.post("/prompt", content=body))


@pytest.mark.parametrize("more", [{"number": "x"}, {"number": None}, {"extra_data": None, "client_id": "x"}])
async def test_nonsense_beside_a_good_graph_is_500_and_text_too(server: Wire, more: dict[str, Any]) -> None:
    """And nothing was queued."""
    assert is_text(await server.http.post("/prompt", json={"prompt": GOOD, **more}))
    assert (await server.http.get("/prompt")).json() == {"exec_info": {"queue_remaining": 0}}


@pytest.mark.parametrize("path", ["/free", "/queue", "/history"])
async def test_only_an_interrupt_may_have_no_body(server: Wire, path: str) -> None:
    """Everything else answers an empty body with 500."""
    assert is_text(await server.http.post(path))
    assert (await server.http.post(path, json={})).status_code == 200
    assert (await server.http.post("/interrupt", content=b"{nope")).status_code == 200


@pytest.mark.parametrize("prompt_id", ["X", "", None, 5, "6BA7B810-9DAD-41D1-80B4-00C04FD430C8"])
async def test_prompt_ids_that_are_no_uuid(server: Wire, prompt_id: object) -> None:
    """Older servers take anything as text, newer ones a canonical UUID or null for one of their own."""
    work = freshen(picture("id"), new_id()).nodes
    reply = await server.http.post("/prompt", json={"prompt": work, "prompt_id": prompt_id})
    if differs("any text is a prompt_id", server.backend):
        assert reply.json()["prompt_id"] == str(prompt_id)
    elif prompt_id is None:
        assert len(reply.json()["prompt_id"]) == 36
    else:
        assert (reply.status_code, reply.json()["error"]["type"]) == (400, "invalid_prompt_id")
    if reply.status_code == 200 and prompt_id != "":
        await server.ended(reply.json()["prompt_id"])


TURN = {"1": node("ImageScale", image=["3", 0], **SCALED), "3": node("ImageScale", image=["1", 0], **SCALED)}
WRONG_CHOICE = {"1": GOOD["1"], "3": node("ImageScale", image=["1", 0], **{**SCALED, "upscale_method": "lanczo"})}
# The graph, the type of the whole, and the types that some node complains of; "~" stands before a key of DIFFERS.
REFUSED: Mapping[str, tuple[dict[str, Any], str, Any]] = {
    "no outputs": ({"1": GOOD["1"]}, "prompt_no_outputs", set()),
    "unknown class": ({"7": node("NoSuchNode")}, "~type of an unknown class", set()),
    "no class": ({"7": {"inputs": {}}}, "~type of an unknown class", set()),
    "cycle": ({**TURN, "2": SAVE}, "prompt_outputs_failed_validation", "~nodes that complain of a cycle"),
    "no such node": ({"2": SAVE}, "prompt_outputs_failed_validation", {"exception_during_validation"}),
    "no such slot": (
        {"1": GOOD["1"], "2": node("SaveImage", images=["1", 7], **prefix("x"))},
        "prompt_outputs_failed_validation",
        {"exception_during_validation"},
    ),
    "no inputs": (
        {"1": {"class_type": "EmptyImage"}, "2": SAVE},
        "prompt_outputs_failed_validation",
        {"exception_during_inner_validation"},
    ),
    "input missing": (
        {"1": node("EmptyImage", height=64, batch_size=1, color=0), "2": SAVE},
        "prompt_outputs_failed_validation",
        {"required_input_missing"},
    ),
    "too big": (
        {"1": node("EmptyImage", width=999999, height=64, batch_size=1, color=0), "2": SAVE},
        "prompt_outputs_failed_validation",
        {"value_bigger_than_max"},
    ),
    "too small": (
        {"1": node("EmptyImage", width=0, height=64, batch_size=1, color=0), "2": SAVE},
        "prompt_outputs_failed_validation",
        {"value_smaller_than_min"},
    ),
    "no number": (
        {"1": node("EmptyImage", width="wide", height=64, batch_size=1, color=0), "2": SAVE},
        "prompt_outputs_failed_validation",
        {"invalid_input_type"},
    ),
    "other type": (
        {"1": node("EmptyLatentImage", width=64, height=64, batch_size=1), "2": SAVE},
        "prompt_outputs_failed_validation",
        {"return_type_mismatch"},
    ),
    "wrong choice": (
        {**WRONG_CHOICE, "2": node("SaveImage", images=["3", 0], **prefix("x"))},
        "prompt_outputs_failed_validation",
        {"value_not_in_list"},
    ),
    "what a wrong link hides": (
        {"1": node("CheckpointLoaderSimple", ckpt_name="no-such.safetensors"), "2": node("SaveImage", images=["1", 2])},
        "prompt_outputs_failed_validation",
        {"return_type_mismatch", "required_input_missing"},
    ),
    "missing picture": (
        {"1": node("LoadImage", image="no-such.png"), "2": SAVE},
        "prompt_outputs_failed_validation",
        {"custom_validation_failed"},
    ),
}


@pytest.mark.parametrize("what", REFUSED)
async def test_a_refused_graph(server: Wire, what: str) -> None:
    """Status 400 with the type of the whole, and for each bad node its class, its complaints and whom it holds up."""
    nodes, whole, wanted = REFUSED[what]
    whole, wanted = (
        differs(value[1:], server.backend) if isinstance(value, str) and value.startswith("~") else value
        for value in (whole, wanted)
    )
    reply = await server.http.post("/prompt", json={"prompt": nodes})
    answer = reply.json()
    assert reply.status_code == 400
    assert set(answer) == {"error", "node_errors"}
    assert set(answer["error"]) == {"type", "message", "details", "extra_info"}
    assert answer["error"]["type"] == whole
    assert {error["type"] for told in answer["node_errors"].values() for error in told["errors"]} == wanted
    for name, told in answer["node_errors"].items():
        assert told["class_type"] == nodes[name]["class_type"]
        assert told["dependent_outputs"] == ["2"]
        assert all(set(error) == {"type", "message", "details", "extra_info"} for error in told["errors"])


async def test_a_missing_model_is_refused_with_the_choices(server: Wire) -> None:
    """The complaint holds what was asked for and what there is."""
    work = server.backend.loading("missing").nodes
    (name,) = work["1"]["inputs"]
    body = {"prompt": {**work, "1": node(work["1"]["class_type"], **{name: "no-such.safetensors"})}}
    reply = await server.http.post("/prompt", json=body)
    (told,) = reply.json()["node_errors"]["1"]["errors"]
    assert (reply.status_code, told["type"]) == (400, "value_not_in_list")
    assert told["extra_info"]["input_name"] == name
    assert told["extra_info"]["received_value"] == "no-such.safetensors"
    assert work["1"]["inputs"][name] in told["extra_info"]["input_config"][0]


async def test_a_workflow_in_ui_format_and_no_prompt_at_all(server: Wire) -> None:
    """The first differs by version, the second has a type of its own."""
    reply = await server.http.post("/prompt", json={"prompt": {"nodes": [], "links": [], "version": 0.4}})
    status, kind = differs("a workflow in UI format", server.backend)
    assert reply.status_code == status
    assert is_text(reply) if kind is None else reply.json()["error"]["type"] == kind
    assert (await server.http.post("/prompt", json={})).json()["error"]["type"] == "no_prompt"


async def test_a_bad_branch_beside_a_good_one_is_dropped_with_200(server: Wire) -> None:
    """The answer lists its errors, the good branch runs, and the history says success."""
    bad = {"3": node("EmptyImage", height=64, batch_size=1, color=0), "4": node("SaveImage", images=["3", 0])}
    work = freshen(graph({**bad, **picture("half").nodes}), new_id()).nodes
    reply = await server.http.post("/prompt", json={"prompt": work, "client_id": "x"})
    answer = reply.json()
    assert (reply.status_code, set(answer)) == (200, {"prompt_id", "number", "node_errors"})
    assert {error["type"] for error in answer["node_errors"]["3"]["errors"]} == {"required_input_missing"}
    assert answer["node_errors"]["3"]["dependent_outputs"] == ["4"]
    entry = await server.ended(answer["prompt_id"])
    assert entry["status"]["status_str"] == "success"
    assert list(entry["outputs"]) == entry["prompt"][4] == ["2"]


async def test_only_the_wanted_outputs_run(server: Wire) -> None:
    """``partial_execution_targets`` names output nodes; none of them, or others, is a prompt without outputs."""
    two = freshen(graph({**picture("one").nodes, "4": node("SaveImage", images=["1", 0], **prefix("two"))}), new_id())
    entry = await server.run(two, client_id="x", partial_execution_targets=["4"])
    assert list(entry["outputs"]) == ["4"]
    for targets in ([], ["1"]):
        body = {"prompt": two.nodes, "partial_execution_targets": targets}
        assert (await server.http.post("/prompt", json=body)).json()["error"]["type"] == "prompt_no_outputs"


async def test_every_posted_prompt_uses_up_a_number(server: Wire) -> None:
    """Refused ones too, so numbers have gaps; those of ``front`` are negative, an explicit one is kept as it is."""
    numbers = []
    for more in ({}, {"prompt": {}}, {}, {"front": True}, {"number": 2.5}, {}):
        body = {"prompt": freshen(picture("number"), new_id()).nodes, "client_id": "x", **more}
        answer = (await server.http.post("/prompt", json=body)).json()
        numbers.append(answer.get("number"))
        if "prompt_id" in answer:
            await server.ended(answer["prompt_id"])
    first = numbers[0]
    assert numbers == [first, None, first + 2, -(first + 3), 2.5, first + 4]


async def test_equal_numbers_and_ids_are_queued_though_the_answer_is_500(server: Wire) -> None:
    """Two waiting prompts that cannot be told apart by number and id; a delete takes one of them at a time."""
    me, twin = new_id(), {"prompt_id": new_id(), "number": 1e6, "client_id": "x"}
    async with listening(server.backend, me) as ear:
        slow = await server.post(server.backend.slow(10), client_id=me)
        await ear.until("executing", prompt_id=slow)
        replies = [
            await server.http.post("/prompt", json={"prompt": picture(name).nodes, **twin}) for name in ("t1", "t2")
        ]
        assert replies[0].status_code == 200
        assert is_text(replies[1])
        for left in (2, 1, 0):
            queue = (await server.http.get("/queue")).json()
            assert [item[1] for item in queue["queue_pending"]] == [twin["prompt_id"]] * left
            await server.http.post("/queue", json={"delete": [twin["prompt_id"]]})
        await server.http.post("/interrupt", json={"prompt_id": slow})
        await server.ended(slow)


async def test_pages_of_the_history(server: Wire) -> None:
    """``max_items`` alone gives the newest, with an offset from the oldest on; unknown ids give an empty object."""
    await server.http.post("/history", json={"clear": True})
    ids = [(await server.run(freshen(picture("page"), new_id()), client_id="x"))["prompt"][1] for _ in range(3)]
    wanted = {"": ids, "?max_items=2": ids[1:], "?max_items=2&offset=0": ids[:2], "?max_items=1&offset=1": ids[1:2]}
    for query, expected in wanted.items():
        assert list((await server.http.get(f"/history{query}")).json()) == expected
    assert is_text(await server.http.get("/history?max_items=x"))
    reply = await server.http.get(f"/history/{new_id()}")
    assert (reply.status_code, reply.json()) == (200, {})
    await server.http.post("/history", json={"delete": [ids[0], new_id()]})
    assert list((await server.http.get("/history")).json()) == ids[1:]


async def test_views_of_a_saved_picture(server: Wire) -> None:
    """Whole, in part, only its headers, re-encoded, by channel."""
    (name,) = files(await server.run(freshen(picture("view"), new_id()), client_id="x"))
    url = f"/view?filename={name}&subfolder=&type=output"
    whole = await server.http.get(url)
    assert (whole.status_code, whole.headers["content-type"]) == (200, "image/png")
    assert whole.headers["content-disposition"] == f'filename="{name}"'
    head = await server.http.head(url)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(whole.content))
    for wanted, part in (("2-9", whole.content[2:10]), ("2-", whole.content[2:]), ("-4", whole.content[-4:])):
        reply = await server.http.get(url, headers={"Range": f"bytes={wanted}"})
        assert (reply.status_code, reply.content) == (206, part)
        assert reply.headers["content-range"].endswith(f"/{len(whole.content)}")
    assert (await server.http.get(url, headers={"Range": "bytes=999999-"})).status_code == 416
    for query, kind in (
        ("preview=webp;50", "webp"),
        ("preview=jpeg", "jpeg"),
        ("channel=rgb", "png"),
        ("channel=a", "png"),
    ):
        reply = await server.http.get(f"{url}&{query}")
        assert reply.headers["content-type"] == f"image/{kind}"
        assert reply.content != whole.content


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("filename=../x.png", 400),
        ("filename=/x.png", 400),
        ("filename=x.png&type=zz", 400),
        ("filename=x.png&subfolder=../..", 403),
        ("filename=x.png", 404),
        ("filename=x.png&type=temp", 404),
        ("filename=x.png&type=input", 404),
        ("", 404),
    ],
)
async def test_views_that_are_refused(server: Wire, query: str, status: int) -> None:
    """By status alone; there is no body."""
    reply = await server.http.get(f"/view?{query}")
    assert (reply.status_code, reply.content) == (status, b"")


async def test_a_saved_picture_tells_its_prompt(server: Wire) -> None:
    """So equal pictures of two attempts are not equal bytes; and the extra data of the UI travels with it."""
    works = [freshen(picture("told"), new_id()) for _ in range(2)]
    more = {"client_id": "x", "extra_data": {"extra_pnginfo": {"workflow": {"from": "the UI"}}}}
    names = [files(await server.run(work, **more))[0] for work in works]
    paths = [next(server.backend.outputs.rglob(name)) for name in names]
    assert paths[0].read_bytes() != paths[1].read_bytes()
    with Image.open(paths[0]) as first, Image.open(paths[1]) as second:
        assert first.tobytes() == second.tobytes()
        assert first.info["prompt"] != second.info["prompt"]
        assert first.info["workflow"] == '{"from": "the UI"}'


async def test_routes_and_their_prefix(server: Wire) -> None:
    """All answer under /api too; unknown ones 404, wrong methods 405 or 404; an unknown node class is an ``{}``."""
    assert (await server.http.get("/api/prompt")).json() == (await server.http.get("/prompt")).json()
    described = (await server.http.get("/object_info/EmptyImage")).json()
    assert (await server.http.get("/api/object_info/EmptyImage")).json() == described
    assert described["EmptyImage"]["input"]["required"]["width"][0] == "INT"
    assert described["EmptyImage"]["output"] == ["IMAGE"]
    assert described["EmptyImage"]["output_node"] is False
    assert (await server.http.get("/object_info/NoSuchNode")).json() == {}
    statuses = {"/free": 404, "/no-such": 404, "/ws": 400}
    assert {path: (await server.http.get(path)).status_code for path in statuses} == statuses
    assert (await server.http.post("/object_info", json={})).status_code == 405


async def test_jobs_where_the_version_has_them(server: Wire) -> None:
    """One answer for waiting, running and ended prompts; elsewhere 404, by which versions are told apart."""
    known = differs("/api/jobs", server.backend)
    assert (await server.http.get("/api/jobs")).status_code == (200 if known else 404)
    assert (await server.http.get("/jobs")).status_code == 404
    if not known:
        return
    me = new_id()
    async with listening(server.backend, me) as ear:
        slow = await server.post(server.backend.slow(11), client_id=me)
        await ear.until("executing", prompt_id=slow)
        waiting = await server.post(freshen(picture("job"), new_id()), client_id=me)
        states = [(await job(server, prompt_id))["status"] for prompt_id in (slow, waiting)]
        await server.http.post("/interrupt", json={"prompt_id": slow})
        await server.ended(waiting)
    assert states == ["in_progress", "pending"]
    assert (await job(server, slow))["status"] == "cancelled"
    ended = await job(server, waiting)
    assert (ended["status"], list(ended["outputs"])) == ("completed", ["2"])
    assert ended["execution_start_time"] <= ended["execution_end_time"]
    page = (await server.http.get("/api/jobs?status=completed&limit=1")).json()
    assert [listed["id"] for listed in page["jobs"]] == [waiting]
    assert page["pagination"]["limit"] == 1
    unknown = await server.http.get(f"/api/jobs/{new_id()}")
    assert (unknown.status_code, "error" in unknown.json()) == (404, True)
    assert (await server.http.get("/api/jobs?status=zz")).status_code == 400


async def job(server: Wire, prompt_id: str) -> dict[str, Any]:
    found: dict[str, Any] = (await server.http.get(f"/api/jobs/{prompt_id}")).json()
    return found
