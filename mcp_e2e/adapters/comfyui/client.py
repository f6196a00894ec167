"""An HTTP client of a ComfyUI server: asks, submits, listens, fetches, cancels and frees memory.

Every call raises ``ServiceUnavailable`` when the server cannot be reached or answers nonsense. What it answers over
HTTP is the truth; what a ``Listener`` hears only says when to ask.
"""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import anyio
import httpx

from mcp_e2e.adapters.comfyui import rejections
from mcp_e2e.adapters.comfyui.listening import Listener, listening
from mcp_e2e.adapters.comfyui.outputs import prompt_facts
from mcp_e2e.adapters.comfyui.workflow import Graph
from mcp_e2e.adapters.tls import trusted
from mcp_e2e.errors import NotFound, ServiceUnavailable, SetupError
from mcp_e2e.model.work import OutputFile, PromptFacts, PromptState, Queue

TIMEOUT = httpx.Timeout(30.0, connect=5.0)  # answers take under 0.4 s even while a sampler runs
POLL_S = 0.2
_ABOUT_THE_WORKFLOW = frozenset({200, 400, 413, 500})
_REPAIR = "Repair the workflow or install what is missing, then call again; nothing was run."


class ComfyUI:
    """A client of one server; use it as an async context manager."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self._http = httpx.AsyncClient(base_url=self.url, verify=trusted(), trust_env=False, timeout=TIMEOUT)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def check(self, graph: Graph, failed_nodes: Sequence[str] = ()) -> tuple[str, ...]:
        """One sentence for each unknown node class, missing model and broken link; empty when none. Queues nothing."""
        info: dict[str, Mapping[str, Any]] = {}
        at_once = anyio.Semaphore(8)

        async def ask(node_class: str) -> None:
            async with at_once:
                found = await self._json("GET", f"/object_info/{quote(node_class, safe='')}")
            info[node_class] = found.get(node_class, {})

        async with _one_error(), anyio.create_task_group() as group:
            for node_class in {graph.class_of(node) for node in graph.nodes}:
                group.start_soon(ask, node_class)
        known = [] if all(info.values()) else list(await self._json("GET", "/object_info"))
        return rejections.foreseen(graph, info, known, failed_nodes)

    def listening(self, prompt_id: str, graph: Graph | None = None) -> AbstractAsyncContextManager[Listener]:
        """Hear of a prompt while the block runs; ``graph`` is for the names of its nodes."""
        return listening(self._http, prompt_id, graph)

    async def submit(
        self, graph: Graph, prompt_id: str, client_id: str = "mcp_e2e", failed_nodes: Sequence[str] = ()
    ) -> None:
        """Queue ``graph`` under ``prompt_id``, a fresh ``str(uuid4())`` that is stored before this call.

        ``client_id``: who is told of it, a string and always sent, since some versions keep no outputs without.
        ``failed_nodes``: custom nodes that the server could not import, perhaps why it does not know a class.
        Raises ``SetupError`` with every complaint of the server; what it queued in part is cancelled first. A lost
        reply is settled by looking the id up. ``ServiceUnavailable`` has the fact ``sent``: False means never arrived.
        """
        body = {"prompt": graph.nodes, "prompt_id": prompt_id, "client_id": client_id}
        try:
            reply = await self._http.post("/prompt", json=body)
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise self._gone(error, sent=False) from error
        except httpx.HTTPError as error:
            if await self._arrived(prompt_id):
                return
            raise self._gone(error, sent=None) from error
        answer = _object(reply)
        if reply.status_code == 200 and answer is not None and not answer.get("node_errors"):
            return
        if reply.status_code == 200 or reply.status_code >= 500:
            await self.cancel(prompt_id)  # some versions queue and then answer 500
        if reply.status_code not in _ABOUT_THE_WORKFLOW:
            raise ServiceUnavailable(f"{self.url} answered {reply.status_code} to the workflow: {reply.text[:200]}")
        raise await self._rejection(graph, reply, answer, failed_nodes)

    async def _rejection(
        self, graph: Graph, reply: httpx.Response, answer: Mapping[str, Any] | None, failed_nodes: Sequence[str]
    ) -> SetupError:
        """All that is wrong with the workflow. Of unknown classes the server names only the first: we name them all."""
        if answer is None:
            said: tuple[str, ...] = (rejections.unanswered(graph, reply.status_code, reply.text),)
        else:
            said = rejections.rejected(graph, answer, failed_nodes)
        told_by_node = answer is not None and answer.get("node_errors")
        problems = said if told_by_node else await self.check(graph, failed_nodes) or said
        return SetupError("\n".join(problems), remedy=_REPAIR, problems=list(problems))

    async def _arrived(self, prompt_id: str, within_s: float = 5.0) -> bool:
        """Whether a prompt whose POST was cut off is known after all; the server may still be reading it."""
        give_up = anyio.current_time() + within_s
        while await self.state(prompt_id) is PromptState.UNKNOWN:
            if anyio.current_time() > give_up:
                return False
            await anyio.sleep(POLL_S)
        return True

    async def queue(self) -> Queue:
        """Who runs and who waits, in order of execution."""
        found = await self._json("GET", "/queue")
        pending = sorted(found.get("queue_pending", ()), key=lambda item: item[0])
        running = found.get("queue_running", ())
        return Queue(tuple(str(item[1]) for item in running), tuple(str(item[1]) for item in pending))

    async def state(self, prompt_id: str, queue: Queue | None = None) -> PromptState:
        """Where the prompt stands. The queue is asked first: the other way round a prompt can be missed in both."""
        queue = queue or await self.queue()
        if prompt_id in queue.running:
            return PromptState.RUNNING
        if prompt_id in queue.pending:
            return PromptState.PENDING
        return PromptState.DONE if await self.history(prompt_id) else PromptState.UNKNOWN

    async def history(self, prompt_id: str) -> PromptFacts | None:
        """How the prompt ended; None while it is pending, running or unknown."""
        found = await self._json("GET", f"/history/{quote(prompt_id, safe='')}")
        return prompt_facts(prompt_id, found[prompt_id]) if prompt_id in found else None

    async def follow(self, prompt_id: str, *, poll_s: float = POLL_S) -> PromptFacts | None:
        """Wait for the end, without a limit of its own; None when the server no longer knows the prompt."""
        while True:
            state = await self.state(prompt_id)
            if state in (PromptState.DONE, PromptState.UNKNOWN):
                return await self.history(prompt_id)
            await anyio.sleep(poll_s)

    async def cancel(self, prompt_id: str, *, within_s: float = 20.0) -> PromptState:
        """Dequeue or interrupt our own prompt and see it gone; other prompts are not touched.

        UNKNOWN: it never ran. DONE: it ended, and only ``history`` tells how, since an interrupt in the last node is
        lost. RUNNING after ``within_s``: a node does not listen, only ending the process helps.
        """
        give_up = anyio.current_time() + within_s
        while True:
            await self._send("POST", "/queue", json={"delete": [prompt_id]})
            await self._send("POST", "/interrupt", json={"prompt_id": prompt_id})
            state = await self.state(prompt_id)
            if state in (PromptState.DONE, PromptState.UNKNOWN) or anyio.current_time() > give_up:
                return state
            await anyio.sleep(POLL_S)

    async def free(self) -> None:
        """Have models unloaded and cached results forgotten; the server does so after the prompt that runs."""
        await self._send("POST", "/free", json={"unload_models": True, "free_memory": True})

    @asynccontextmanager
    async def fetch(self, file: OutputFile) -> AsyncGenerator[httpx.Response]:
        """The file as a response to stream from. Raises ``NotFound`` when the server lists it but has it no more."""
        params = {"filename": file.filename, "subfolder": file.subfolder, "type": file.type}
        try:
            async with self._http.stream("GET", "/view", params=params) as reply:
                if reply.status_code != 200:
                    raise NotFound(f"{file.filename}: the server answered {reply.status_code} for it.")
                yield reply
        except httpx.HTTPError as error:
            raise self._gone(error) from error

    async def _send(self, method: str, path: str, **how: Any) -> httpx.Response:
        try:
            reply = await self._http.request(method, path, **how)
        except httpx.HTTPError as error:
            raise self._gone(error) from error
        if reply.status_code != 200:
            raise ServiceUnavailable(f"{method} {self.url}{path} answered {reply.status_code}: {reply.text[:200]}")
        return reply

    async def _json(self, method: str, path: str) -> dict[str, Any]:
        found = _object(await self._send(method, path))
        if found is None:
            raise ServiceUnavailable(f"{method} {self.url}{path} did not answer with a JSON object.")
        return found

    def _gone(self, error: httpx.HTTPError, **facts: Any) -> ServiceUnavailable:
        return ServiceUnavailable(f"{self.url}: {type(error).__name__} {error}".rstrip(), **facts)


def _object(reply: httpx.Response) -> dict[str, Any] | None:
    try:
        found = reply.json()
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


@asynccontextmanager
async def _one_error() -> AsyncGenerator[None]:
    """Several tasks meet the same dead server: one plain error says it, not a group."""
    try:
        yield
    except* ServiceUnavailable as group:
        raise group.exceptions[0] from None
