"""The answer of git status, byte for byte."""

from mcp_e2e.world.porcelain import Change, Status, parsed

ONE, TWO, NO = b"1" * 40, b"2" * 40, b"0" * 40


def answer(*fields: bytes) -> Status:
    return parsed(b"\0".join((b"# branch.oid " + ONE, b"# branch.head a b", *fields, b"")))


def test_a_clean_checkout():
    """HEAD and nothing else."""
    assert answer() == Status(ONE, {})
    assert parsed(b"") == Status()


def test_a_rename_is_a_new_path_and_one_that_had_content():
    """Its old name comes in a field of its own, which must not be taken for a line."""
    renamed = b"2 R. N... 100644 100644 100644 %s %s R100 new name" % (ONE, TWO)
    assert answer(renamed, b"? old\nname", b"? x").changes == {
        b"new name": Change(),
        b"? old\nname": Change(b"100644 " + ONE),
        b"x": Change(),
    }


def test_an_unmerged_path_has_what_our_side_has():
    """The second of the three stages."""
    line = b"u UU N... 100644 100755 100644 100755 %s %s %s a file" % (NO, ONE, TWO)
    assert answer(line).changes == {b"a file": Change(b"100755 " + ONE, b"100755")}


def test_a_path_that_only_they_have_is_new():
    """So it is after the merge, too."""
    line = b"u UA N... 000000 000000 100644 100644 %s %s %s a" % (NO, NO, TWO)
    assert answer(line).changes == {b"a": Change()}


def test_what_is_staged_does_not_enter():
    """Three stages of one edit read the same."""
    stages = [
        b"1 .M N... 100644 100644 100644 %s %s a" % (ONE, ONE),
        b"1 M. N... 100644 100644 100644 %s %s a" % (ONE, TWO),
        b"1 MM N... 100644 100644 100644 %s %s a" % (ONE, NO),
    ]
    assert [answer(stage).changes for stage in stages] == [{b"a": Change(b"100644 " + ONE, b"100644")}] * 3
    new = b"1 A. N... 000000 100644 100644 %s %s a" % (NO, TWO)
    assert answer(new) == answer(b"? a")


def test_a_file_out_of_the_index_keeps_what_head_has():
    """Whichever of its two lines comes first."""
    lines = [b"1 D. N... 100644 000000 000000 %s %s a" % (ONE, NO), b"? a"]
    assert answer(*lines) == answer(*reversed(lines)) == Status(ONE, {b"a": Change(b"100644 " + ONE)})


def test_submodules_and_checkouts_are_nested():
    """Also one that is not in HEAD yet."""
    submodule = b"1 .M SCMU 160000 160000 160000 %s %s sub" % (ONE, ONE)
    added = b"1 A. S... 000000 160000 160000 %s %s new" % (NO, ONE)
    assert answer(submodule, added, b"? dir/").changes == {
        b"sub": Change(b"160000 " + ONE, nested=True),
        b"new": Change(nested=True),
        b"dir": Change(nested=True),
    }


def test_lines_of_a_newer_git_are_left_out():
    """It announces that there may be some."""
    assert answer(b"# stash 3", b"x news", b"! ignored").changes == {}
