"""What a keeper does for its service while nobody looks: a bounded log, and an end when nobody is left."""

from mcp_e2e.process.keeping import upkeep
from mcp_e2e.process.locks import Lease


async def test_a_service_that_nobody_uses_ends_by_itself(room):
    """It stays while a server holds its lease, and is stopped, not restarted, once nobody has for a while."""
    leases = room.cwd / "leases"
    with Lease.take(leases, {"client": "test"}):
        used = await room.service("sleep", "60", idle_stop_s=0.4, leases=leases)
        never = await room.service("sleep", "60", idle_stop_s=None, leases=leases)
        watched = upkeep.Users(str(leases), 0.0)
        assert not watched.idle()
        assert room.look(used).live
    assert (await room.end(used)).exit.reason == "idle"
    assert room.look(never).live


def test_leases_that_cannot_be_seen_end_nothing(tmp_path):
    """A folder that is gone for the moment is no proof that nobody is there."""
    assert not upkeep.Users(str(tmp_path / "gone"), 0.0).idle()
    (tmp_path / "empty").mkdir()
    assert upkeep.Users(str(tmp_path / "empty"), 0.0).idle()
