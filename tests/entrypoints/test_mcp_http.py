"""``serve --http`` as a process of its own: what every request must pass, where it is found, how it ends."""

import json
import re
import signal
import socket
import stat
import time
from contextlib import AsyncExitStack
from pathlib import Path

import anyio
import httpx
import pytest

from tests.entrypoints.listening import MODERN, listening, message, modern

README = Path(__file__).resolve().parents[2] / "README.md"
TOKEN = "a-token-of-a-person-0123456789"


async def test_what_every_request_must_pass(environ, project) -> None:
    """Host, then Origin, then token, on every route alike; nothing for pages of other origins."""
    (where,) = re.findall(r"^mcp-e2e serve --http (\S+):8765$", README.read_text("utf-8"), re.MULTILINE)
    async with listening(environ, project, where=f"{where}:0") as server, server.raw() as raw:
        base, own = server.url.removesuffix("/mcp"), f"127.0.0.1:{server.port}"

        async def asked(path: str, **headers: str) -> tuple[int, str | None]:
            sent = {name.replace("_", "-"): value for name, value in headers.items()}
            answer = await raw.http.get(f"{base}{path}", headers=sent)
            known = answer.headers["content-type"] == "application/json" and "code" in answer.json()
            assert not [name for name in answer.headers if name.startswith("access-control")]
            return answer.status_code, answer.json()["code"] if known else None

        for path, status, code in [("/", 200, None), ("/mcp", 400, None), ("/nowhere", 404, "not_found")]:
            assert await asked(path) == (status, code)
            assert await asked(path, Host="localhost") == (status, code)
            assert await asked(path, Origin=f"http://{own}") == (status, code)
            assert await asked(path, Host="evil.example", Authorization="") == (421, "wrong_host")
            assert await asked(path, Host="127.0.0.1.evil.example") == (421, "wrong_host")
            for origin in ("http://evil.example", "null", "http://127.0.0.1:1", f"http://{own}.evil.example"):
                assert await asked(path, Origin=origin, Authorization="") == (403, "wrong_origin"), origin
            for shown in (
                "",
                "Bearer",
                f"Bearer {server.token}x",
                f"Bearer {server.token[:-1]}",
                f"Basic {server.token}",
            ):
                assert await asked(path, Authorization=shown) == (401, "unauthorized"), shown
        refused = await raw.http.get(server.url, headers={"Authorization": "Bearer ü".encode("latin-1")})
        assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
        assert {"code", "message", "remedy"} == refused.json().keys()
        assert "/mcp" in (await raw.http.get(f"{base}/mcp/")).json()["remedy"]
        assert (await raw.http.options(server.url)).status_code in {400, 405}
        assert (await raw.http.post(server.url, content=b" " * (4 * 2**20 + 1))).status_code == 413
        assert (await raw.http.get(server.url, headers={"X-Long": "x" * 2**17})).status_code == 400
        assert (await raw.post(message("tools/list", {"_meta": MODERN}), modern("tools/list"))).status_code == 200
    assert server.token not in "".join(server.said)


async def test_two_servers_on_one_project_are_found_and_do_not_disturb_each_other(environ, project) -> None:
    """One token, one file each, for this user alone; the file goes with its server."""
    folder = project / ".mcp-e2e" / "private" / "http"

    def found() -> dict[int, str]:
        told = [json.loads(file.read_text()) for file in folder.iterdir()]
        return {each["pid"]: each["url"] for each in told}

    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(listening(environ, project))
        second = await stack.enter_async_context(listening(environ, project, where="localhost:0"))
        assert found() == {first.process.pid: first.url, second.process.pid: second.url}
        token = project / ".mcp-e2e" / "private" / "http-token"
        private = [token, *folder.iterdir(), folder]
        assert {stat.S_IMODE(path.stat().st_mode) & 0o077 for path in private} == {0}
        assert (first.token, len(first.token)) == (second.token, 43)
        async with second.raw() as raw:
            await raw.open()
            assert await first.end(signal.SIGTERM) == 128 + signal.SIGTERM
            assert found() == {second.process.pid: second.url}
            assert (await raw.post(message("tools/list", {"_meta": MODERN}), modern("tools/list"))).status_code == 200
        assert await second.end(signal.SIGHUP) == 128 + signal.SIGHUP
    assert found() == {}
    assert first.said[-1] == "stopped; services and jobs live on"


async def test_the_token_does_not_go_out(environ, project, cli) -> None:
    """Not in what a command prints, whichever process shows it, and no command has it in its environment."""
    kept = project / ".mcp-e2e" / "private" / "http-token"
    async with listening(environ, project) as server, server.client("auto") as client:
        told = await client.call_tool("safe_exec", {"command": f"cat {kept}"})
        assert told.structured_content["stdout"].strip() == "***"
    assert server.token not in cli("exec", "--", "cat", str(kept)).stdout
    async with listening(environ | {"MCP_E2E_HTTP_TOKEN": TOKEN}, project) as server, server.client("auto") as client:
        told = await client.call_tool("safe_exec", {"command": f"env; echo is-{TOKEN}"})
        assert "MCP_E2E_HTTP_TOKEN" not in told.structured_content["stdout"]
        assert "is-***" in told.structured_content["stdout"]
    assert TOKEN not in "".join(server.said)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_ends_it_with_streams_open_and_a_call_running(environ, project, cli, number) -> None:
    """Within three seconds; what is open ends whole, as the protocol of transport wants it."""
    call = {"name": "run_test", "arguments": {"test": "waits"}}
    asked = message("tools/call", call | {"_meta": MODERN | {"progressToken": 1}})
    ended: list[bytes] = []
    async with listening(environ, project) as server, server.raw() as raw, anyio.create_task_group() as group:
        session = await raw.open()
        opened = [anyio.Event(), anyio.Event()]

        async def read(at: int, method: str, headers: dict[str, str], body: object) -> None:
            async with raw.http.stream(method, server.url, headers=headers, json=body) as answer:
                assert answer.headers["content-type"].startswith("text/event-stream")
                if method == "GET":
                    opened[at].set()
                said = b""
                async for part in answer.aiter_bytes():  # an answer that is cut off raises
                    said += part
                    opened[at].set()
                ended.append(said)

        group.start_soon(read, 0, "GET", session, None)
        group.start_soon(read, 1, "POST", modern("tools/call", "run_test"), asked)
        with anyio.fail_after(20):
            for event in opened:
                await event.wait()
        begun = time.monotonic()
        assert await server.end(number) == 128 + number
        assert time.monotonic() - begun < 3
    assert len(ended) == 2
    assert server.said[1:] == ["stopped; services and jobs live on"]
    (project / "go").touch()
    assert cli("run", "waits", "--json").returncode == 0


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_hanging_up_stops_the_waiting_and_not_the_work(environ, project, meet, mode) -> None:
    """The verdict is kept for whoever asks next: it was handed over to nobody."""
    async with listening(environ, project) as server, server.raw() as raw:
        call = {"name": "run_test", "arguments": {"test": "waits"}, "_meta": MODERN | {"progressToken": 1}}
        headers = await raw.open() if mode == "legacy" else modern("tools/call", "run_test")
        async with raw.http.stream("POST", server.url, headers=headers, json=message("tools/call", call)) as answer:
            async for line in answer.aiter_lines():
                if "running" in line:
                    break
        async with server.client(mode) as client:
            agent = await meet(client)
            running = (await agent.call("run_test", test="waits", wait_seconds=0)).structured_content
            (project / "go").touch()
            with anyio.fail_after(20):
                while ((await agent.does("status")).get("run") or {}).get("running"):
                    await anyio.sleep(0.1)
            verdict = await agent.does("run_test", test="waits")
            assert (verdict.get("attempt"), verdict.get("verdict")) == (running["attempt"], "passed"), (
                running,
                verdict,
            )
            await agent.does("stop_session")
    assert server.said[1:] == ["stopped; services and jobs live on"]


async def test_many_clients_are_told_apart(environ, project, meet) -> None:
    """By the name each gives, in both eras, on one server; a plan of one is joined by the other."""
    async with listening(environ, project, "--no-auth") as server:
        assert server.token is None
        async with server.client("legacy", "alice") as alice, server.client("auto", "bob") as bob:
            await (await meet(alice)).does("plan_run", tests=["asks"])
            joined = await (await meet(bob)).does("plan_run")
            assert joined["begun_by"] == f"alice (pid {server.process.pid})"


async def test_a_broken_file_does_not_keep_it_from_starting(environ, project, meet) -> None:
    """The token then lies in a folder of that one time; every call says what is wrong, until it is mended."""
    file = project / "mcp-e2e.toml"
    right = file.read_text()
    file.write_text("[project\n")
    async with listening(environ, project) as server, server.client("auto") as client:
        agent = await meet(client)
        place = Path(server.said[0].partition("bearer token: ")[2].rstrip(")"))
        assert (await agent.fails("plan_run"))["code"] == "config"
        assert (place.read_text().strip(), stat.S_IMODE(place.stat().st_mode)) == (server.token, 0o600)
        file.write_text(right)
        assert (await agent.does("plan_run", tests=["asks"]))["total"] == 1
    assert not place.parent.exists()


async def test_other_machines_need_the_token_and_a_name_that_is_known(environ, project) -> None:
    """Bound to every address, it warns, and answers to the names it was told."""
    more = environ | {"MCP_E2E_HTTP_ALLOWED_HOSTS": "box.local, 10.0.0.7"}
    async with listening(more, project, where="0.0.0.0:0") as server:
        url = f"http://127.0.0.1:{server.port}/"
        async with httpx.AsyncClient(trust_env=False) as http:
            hosts = ["127.0.0.1", "box.local:80", "10.0.0.7", "other.local"]
            answers = [(await http.get(url, headers={"Host": host} | server.headers)).status_code for host in hosts]
            assert answers == [200, 200, 200, 421]
            assert (await http.get(url)).status_code == 401
        with anyio.fail_after(10):
            while len(server.said) < 2:
                await anyio.sleep(0.01)
    assert "token in the clear" in server.said[1]


def test_a_start_that_cannot_be_is_one_clear_error(cli) -> None:
    """Before anything is opened or written."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        told = cli("serve", "--http", f"127.0.0.1:{port}", "--json")
    assert (told.returncode, json.loads(told.stdout)["error"]["code"]) == (4, "port_taken")
    told = cli("serve", "--http", "127.0.0.1:0", "--json", MCP_E2E_HTTP_TOKEN="short")
    assert (told.returncode, json.loads(told.stdout)["error"]["code"]) == (8, "config")
    assert "MCP_E2E_HTTP_TOKEN" in json.loads(told.stdout)["error"]["message"]
