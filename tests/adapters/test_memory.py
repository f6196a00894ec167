"""Memory as ``/system_stats`` tells it, and as nonsense."""

from hypothesis import given
from hypothesis import strategies as st

from mcp_e2e.adapters.comfyui.memory import memory
from mcp_e2e.model.work import Usage

MIB = 1 << 20


def stats(*devices: dict[str, object]) -> dict[str, object]:
    return {"system": {"ram_total": 24000 * MIB, "ram_free": 23000 * MIB}, "devices": list(devices)}


def card(name: str = "cuda:0 Example", free: int = 8000) -> dict[str, object]:
    torch = {"torch_vram_total": 64 * MIB, "torch_vram_free": 60 * MIB}
    return {"name": name, "type": "cuda", "vram_total": 8192 * MIB, "vram_free": free * MIB, **torch}


def test_ram_and_every_device_are_told_in_mib_in_use() -> None:
    """RAM first, devices in the server's order, with what its own torch holds."""
    told = memory(stats(card(), card("cuda:1", 8192)))
    assert told == (
        Usage("RAM", 24000, 1000),
        Usage("cuda:0 Example", 8192, 192, 4),
        Usage("cuda:1", 8192, 0, 4),
    )


def test_the_numbers_of_a_cpu_device_are_ram_and_no_vram() -> None:
    """They repeat the RAM; where only they tell it, they stand for it."""
    cpu = {"name": "cpu", "type": "cpu", "vram_total": 100 * MIB, "vram_free": 40 * MIB, "torch_vram_total": 100 * MIB}
    assert memory(stats(cpu)) == (Usage("RAM", 24000, 1000),)
    assert memory({"system": {}, "devices": [cpu]}) == (Usage("RAM", 100, 60),)


def test_more_free_than_there_is_or_less_than_none_stays_within_the_total() -> None:
    """What is in use has its bounds, whatever a server reckons."""
    told = memory(stats(card(free=9000), card("cuda:1", -5)))
    assert [(usage.used, usage.total) for usage in told[1:]] == [(0, 8192), (8192, 8192)]


KEYS = ["system", "devices", "type", "name", "ram_total", "ram_free", "vram_total", "vram_free", "torch_vram_total"]
JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5),
    max_leaves=12,
)


@given(JSON)
def test_any_other_answer_tells_nothing_or_something_possible(answer: object) -> None:
    """A server of another kind or version gives no error and no impossible number."""
    for usage in memory(answer):
        assert 0 <= usage.used <= usage.total
