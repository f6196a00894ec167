"""Addresses: each finds its reader and its names, and nothing else does. (Contents: ``test_mcp_serve``.)"""

import pytest
from mcp import MCPError

from mcp_e2e.entrypoints.mcp import resources


def found(uri: str) -> tuple[str, list[str]] | None:
    for row in resources._TABLE:
        names = row.names(uri)
        if names is not None:
            return row.name, names
    return None


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("e2e://status", ("status", [])),
        ("e2e://runs", ("runs", [])),
        ("e2e://runs/r1", ("run", ["r1"])),
        ("e2e://runs/r1/report", ("report", ["r1"])),
        ("e2e://sessions/comfyui/log", ("session-log", ["comfyui"])),
        ("e2e://jobs/j-1/log", ("job-log", ["j-1"])),
        ("e2e://attempts/a1/artifacts/out.png", ("artifact", ["a1", "out.png"])),
        ("e2e://attempts/a1/artifacts/in%20a/f%C3%BC.png", ("artifact", ["a1", "in a/fü.png"])),
        ("e2e://attempts/a1/artifacts/in%2Fb.png", ("artifact", ["a1", "in/b.png"])),
        ("e2e://attempts/a1/artifacts/in%2Fb.png/thumbnail", ("thumbnail", ["a1", "in/b.png"])),
        ("e2e://attempts/a1/artifacts/in%2Fthumbnail", ("artifact", ["a1", "in/thumbnail"])),
        ("e2e://runs/", None),
        ("e2e://runs//report", None),
        ("e2e://jobs/j1", None),
        ("e2e://nothing", None),
        ("http://status", None),
        ("", None),
    ],
)
def test_an_address_finds_its_reader(uri: str, expected: tuple[str, list[str]] | None) -> None:
    """Names are decoded, and an artifact's may hold a folder."""
    assert found(uri) == expected


def test_a_runs_report_is_no_run_of_that_name() -> None:
    """The longer form is looked at first."""
    assert found("e2e://runs/a/report") == ("report", ["a"])


def test_the_lists_say_where_things_are() -> None:
    """Fixed addresses and templates, as in the contract."""
    assert [resource.uri for resource in resources.resources()] == [
        "e2e://status",
        "e2e://progress",
        "e2e://runs",
        "e2e://config",
    ]
    assert sorted(template.uri_template for template in resources.templates()) == [
        "e2e://attempts/{attempt}/artifacts/{name}",
        "e2e://attempts/{attempt}/artifacts/{name}/thumbnail",
        "e2e://jobs/{job}/log",
        "e2e://runs/{run}",
        "e2e://runs/{run}/report",
        "e2e://sessions/{service}/log",
    ]


def test_a_long_log_is_read_from_its_end() -> None:
    """Cut at a line, and it says so."""
    log = "".join(f"line {n}\n" for n in range(200_000))
    shown = resources._tail(log)
    assert len(shown) <= resources.MAX_LOG_BYTES + 100
    assert shown.splitlines()[1].startswith("line ")
    assert shown.endswith("line 199999\n")


async def test_a_long_address_of_nothing_is_not_sent_back_whole() -> None:
    """The error has a bound, its message and its data."""
    with pytest.raises(MCPError) as caught:
        await resources.read(None, None, "e2e://nothing/" + "x" * 1_000_000)
    assert caught.value.code == -32602
    assert len(str(caught.value.error)) < 4_000
    assert caught.value.error.data["uri"].startswith("e2e://nothing/xxx")
