"""The answer of ``git status --porcelain=v2 -z --branch``, read. What is staged does not enter."""

from collections.abc import Iterator
from dataclasses import dataclass, field

_NOT_THERE = b"000000"
_SUBMODULE = b"160000"


@dataclass(frozen=True, slots=True)
class Change:
    """A path that may differ from HEAD; whether it does, the disk says."""

    #: ``mode blob-id`` in HEAD; empty when HEAD has no such path
    head: bytes = b""
    #: git's mode of a regular file in the working tree; empty when it does not say
    mode: bytes = b""
    #: a submodule, or a checkout that git does not look into
    nested: bool = False


@dataclass(frozen=True, slots=True)
class Status:
    """``head`` is the commit, or ``(initial)``. Paths are git's own bytes, relative to the root."""

    head: bytes = b""
    changes: dict[bytes, Change] = field(default_factory=dict)

    @property
    def algorithm(self) -> str:
        """The repository's hash function; before the first commit nothing is compared with HEAD."""
        return "sha256" if len(self.head) == 64 else "sha1"


def parsed(answer: bytes) -> Status:
    """Kinds of lines it does not know are left out: git announces that new ones may come."""
    head, changes = b"", dict[bytes, Change]()
    fields = iter(answer.split(b"\0"))
    for entry in fields:
        if entry.startswith(b"# branch.oid "):
            head = entry.rpartition(b" ")[2]
        elif entry.startswith(b"? "):
            path = entry[2:]
            # taken out of the index but left on disk, a file is listed twice: as deleted, with what HEAD has, and here
            changes.setdefault(path.rstrip(b"/"), Change(nested=path.endswith(b"/")))
        else:
            changes.update(_tracked(entry, fields))
    return Status(head, changes)


def _tracked(entry: bytes, fields: Iterator[bytes]) -> Iterator[tuple[bytes, Change]]:
    match entry[:2]:
        case b"1 ":
            _, _, sub, head, _, disk, oid, _, path = entry.split(b" ", 8)
            yield path, _change(sub, head, oid, disk)
        case b"2 ":  # not asked for, but a renamed or copied file is two facts: one path is new, the other had content
            _, _, sub, head, _, disk, oid, _, _, path = entry.split(b" ", 9)
            yield path, _change(sub, _NOT_THERE, b"", disk)
            yield next(fields), _change(sub, head, oid, b"")
        case b"u ":  # the second stage is what HEAD has
            _, _, sub, _, ours, _, disk, _, oid, _, path = entry.split(b" ", 10)
            yield path, _change(sub, ours, oid, disk)


def _change(sub: bytes, head: bytes, oid: bytes, disk: bytes) -> Change:
    nested = sub.startswith(b"S") or _SUBMODULE in {head, disk}
    if head == _NOT_THERE:  # the same whether staged or not
        return Change(nested=nested)
    return Change(head + b" " + oid, disk if disk in {b"100644", b"100755"} else b"", nested)
