"""What a keeper does for its service while nobody looks: a bounded log, and an end when nobody is left."""

from mcp_e2e.process.keeping import upkeep


def test_leases_that_cannot_be_seen_end_nothing(tmp_path):
    """A folder that is gone for the moment is no proof that nobody is there."""
    assert not upkeep.Users(str(tmp_path / "gone"), 0.0).idle()
    (tmp_path / "empty").mkdir()
    assert upkeep.Users(str(tmp_path / "empty"), 0.0).idle()
