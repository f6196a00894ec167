from hypothesis import given
from hypothesis import strategies as st

from mcp_e2e.decisions.memory import fullest, highest, sentence, told
from mcp_e2e.model.work import RAM, Usage

GPU = "cuda:0 Example 8 GB"


def sample(ram, vram=None, torch=None):
    card = () if vram is None else (Usage(GPU, 8192, vram, torch),)
    return (Usage(RAM, 24000, ram), *card)


def test_before_peak_and_after_of_ram_and_the_device_are_told_in_mib():
    """Whole memory, then what the server's own torch held of it at most."""
    looks = [sample(900, 500, 100), sample(2000, 8100, 7700), sample(1500, 3000, 2500)]
    assert told(looks[0], highest(highest(looks[0], looks[1]), looks[2]), looks[2], 3) == {
        "unit": "MiB",
        "looks": 3,
        "ram_total": 24000,
        "ram_before": 900,
        "ram_peak": 2000,
        "ram_after": 1500,
        "device": GPU,
        "vram_total": 8192,
        "vram_before": 500,
        "vram_peak": 8100,
        "vram_after": 3000,
        "torch_vram_peak": 7700,
    }


def test_a_server_without_a_gpu_is_told_as_such():
    """Only its RAM counts."""
    facts = told(sample(900), sample(2000), (), 2)
    assert (facts["device"], "vram_total" in facts, "ram_after" in facts) == ("cpu", False, False)
    assert sentence(facts) == "RAM 900 MiB before, peak 2000 of 24000 MiB"


def test_a_second_device_stands_beside_the_first():
    """Each with its own total and peak, also in the sentence."""
    two = (*sample(900, 500), Usage("cuda:1", 4096, 4000))
    facts = told(two, two, two, 2)
    other = {"device": "cuda:1", "vram_total": 4096, "vram_before": 4000, "vram_peak": 4000, "vram_after": 4000}
    assert facts["more_devices"] == [other]
    assert "VRAM 4000 MiB before, peak 4000 of 4096 MiB (cuda:1)" in sentence(facts)


def test_nothing_seen_is_nothing_told():
    """A server that never answered has no memory facts, and a moment not seen is left out of the sentence."""
    assert told((), (), (), 0) is None
    assert sentence(told((), sample(5, 700, 600), (), 1)) == (
        f"VRAM peak 700 of 8192 MiB (600 of them the server's own, {GPU}); RAM peak 5 of 24000 MiB"
    )


SAMPLES = st.lists(
    st.tuples(st.sampled_from([RAM, "cuda:0", "cuda:1"]), st.integers(0, 9000)),
    max_size=3,
    unique_by=lambda pair: pair[0],
).map(lambda pairs: tuple(Usage(name, 9000, used) for name, used in pairs))


@given(SAMPLES, SAMPLES)
def test_the_highest_is_at_least_each_and_takes_no_memory_from_elsewhere(one, other):
    """The peak is one that was seen."""
    peak = {usage.name: usage.used for usage in highest(one, other)}
    assert peak.keys() == {usage.name for usage in (*one, *other)}
    for name, used in peak.items():
        assert used == max(usage.used for usage in (*one, *other) if usage.name == name)


def test_the_fullest_is_the_one_nearest_to_the_limit_of_its_vram():
    """RAM counts only where the server computes in it."""
    small, large = told((), sample(23000, 500), (), 1), told((), sample(100, 8000), (), 1)
    assert fullest([small, large]) is large
    on_cpu = [told((), sample(used), (), 1) for used in (100, 23000)]
    assert fullest(on_cpu) is on_cpu[1]
    assert fullest([]) is None
