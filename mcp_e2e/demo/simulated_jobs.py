"""``/api/jobs`` of the SIMULATED ComfyUI, which newer versions have: a prompt's state wherever it is, in one answer."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from mcp_e2e.demo.simulated_queue import Engine, Item
from mcp_e2e.demo.simulated_view import Query, Reply

STATES = ("pending", "in_progress", "completed", "failed", "cancelled")
ONLY_OF_ONE = ("outputs", "execution_status", "workflow")


def jobs(engine: Engine, wanted: str, query: Query) -> Reply | Mapping[str, Any]:
    """The job ``wanted`` with its outputs, or, when that is empty, the list that ``query`` asks for, newest first."""
    known = {job["id"]: job for job in _all(engine)}
    if wanted:
        found = known.get(wanted)
        return found or Reply(b'{"error": "Job not found"}', "application/json", HTTPStatus.NOT_FOUND)
    chosen = query.get("status", ",".join(STATES)).split(",")
    if not set(chosen) <= set(STATES) or not query.get("limit", "0").isdecimal():
        return Reply(b'{"error": "A parameter is not valid"}', "application/json", HTTPStatus.BAD_REQUEST)
    listed = sorted((job for job in known.values() if job["status"] in chosen), key=lambda job: -job["create_time"])
    offset = int(query.get("offset", 0))
    limit = int(query["limit"]) if "limit" in query else None
    page = listed[offset:][:limit]
    more = offset + len(page) < len(listed)
    short = [{name: value for name, value in job.items() if name not in ONLY_OF_ONE} for job in page]
    return {"jobs": short, "pagination": {"offset": offset, "limit": limit, "total": len(listed), "has_more": more}}


def _all(engine: Engine) -> list[dict[str, Any]]:
    queue, history = engine.queue(), dict(engine.history)
    waiting = [_job(item, "pending") for item in queue["queue_pending"]]
    running = [_job(item, "in_progress") for item in queue["queue_running"]]
    return [*waiting, *running, *(_ended(entry) for entry in history.values())]


def _ended(entry: Mapping[str, Any]) -> dict[str, Any]:
    messages = entry["status"]["messages"]
    event, last = messages[-1]
    state = "completed" if entry["status"]["completed"] else "failed"
    if event == "execution_interrupted":
        state = "cancelled"
    times = {"execution_start_time": messages[0][1]["timestamp"], "execution_end_time": last["timestamp"]}
    told = {"execution_error": last} if event == "execution_error" else {}
    kept = {"outputs": entry["outputs"], "execution_status": entry["status"]}
    return {**_job(entry["prompt"], state), **times, **told, **kept, "outputs_count": len(entry["outputs"])}


def _job(item: Item, state: str) -> dict[str, Any]:
    number, prompt_id, graph, extra, _ = item
    about = {"id": prompt_id, "status": state, "priority": number, "create_time": extra["create_time"]}
    return {**about, "outputs_count": 0, "workflow": {"prompt": graph, "extra_data": extra}}
