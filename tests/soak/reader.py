"""What a client reads: resources, prompts, completions, each checked for what only the right answer holds."""

import json
from base64 import b64decode
from contextlib import suppress
from typing import Any

import anyio
from mcp import Client, MCPError
from mcp.types import PromptReference, ResourceTemplateReference, TextResourceContents

from tests.soak.actor import SILENT_S, Actor

ADDRESSES = ("status", "progress", "runs", "config", "run", "report", "session", "job", "artifact")


class Reader(Actor):
    era = ""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._words: dict[str, str] = {}  # its jobs, and the word that each has said
        self._attempts: list[str] = []  # of the test that writes its attempt into a file

    def _say(self, what: str) -> None:
        self._book.wrong.append(f"{self.name} ({self.era}): {what}")

    def _must(self, holds: bool, what: str) -> None:
        self._book.calls["answers checked for content"] += 1
        if not holds:
            self._say(what)

    async def _read(self, client: Client) -> None:
        uri = self._random.choice(ADDRESSES)
        read = getattr(self, f"_read_{uri}", None)
        if read is not None:
            await read(client)
            return
        data = json.loads(await self.text(client, f"e2e://{uri}"))
        self._must(bool(data) or uri == "runs", f"e2e://{uri} is empty")

    async def text(self, client: Client, uri: str) -> str:
        self._book.calls["resources/read"] += 1
        with anyio.fail_after(SILENT_S):
            result = await client.read_resource(uri, cache_mode="bypass")
        content = result.contents[0]
        self._must(str(content.uri) == uri, f"asked for {uri}, was given {content.uri}")
        return content.text if isinstance(content, TextResourceContents) else b64decode(content.blob).decode()

    async def _read_run(self, client: Client) -> None:
        runs = json.loads(await self.text(client, "e2e://runs"))
        if runs:
            run = self._random.choice(runs)["run"]
            shown = json.loads(await self.text(client, f"e2e://runs/{run}"))
            self._must(shown["run"] == run, f"e2e://runs/{run} is of {shown['run']}")

    async def _read_report(self, client: Client) -> None:
        runs = json.loads(await self.text(client, "e2e://runs"))
        if runs:
            run = self._random.choice(runs)["run"]
            self._must(run in await self.text(client, f"e2e://runs/{run}/report"), f"the report of {run} is another's")

    async def _read_session(self, client: Client) -> None:
        with suppress(MCPError):  # while there is no session yet
            await self.text(client, "e2e://sessions/api/log")

    async def _read_job(self, client: Client) -> None:
        if self._words:
            job, word = self._random.choice(list(self._words.items()))
            log = await self.text(client, f"e2e://jobs/{job}/log")
            self._must(not log or log.startswith(f"ran {word}"), f"the log of {job} ({word}): {log!r:.200}")

    async def _read_artifact(self, client: Client) -> None:
        if self._attempts:
            attempt = self._random.choice(self._attempts)
            made = await self.text(client, f"e2e://attempts/{attempt}/artifacts/made.txt")
            self._must(made == attempt, f"the artifact of {attempt} says {made!r:.200}")

    async def _prompt(self, client: Client) -> None:
        self._book.calls["prompts/get"] += 1
        word = f"{self.name}-{self._random.randrange(1 << 30):08x}"
        result = await client.get_prompt("debug-failure", {"test": "quick", "hint": word})
        self._must(word in str(result.messages[0].content), f"the prompt with {word} answered {result!r:.300}")

    async def _complete(self, client: Client) -> None:
        self._book.calls["completion/complete"] += 1
        if self._words and self._random.random() < 0.5:
            job = next(reversed(self._words))
            asked = ResourceTemplateReference(uri="e2e://jobs/{job}/log")
            found = (await client.complete(asked, {"name": "job", "value": job})).completion.values
            self._must(found == [job], f"completing {job} answered {found}")
            return
        prompt = PromptReference(name="debug-failure")
        found = (await client.complete(prompt, {"name": "test", "value": "qui"})).completion.values
        self._must(found == ["quick"], f"completing a test answered {found}")
