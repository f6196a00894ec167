"""From shell text to its simple commands, each with the folder it would run in and what feeds it.

The walk keeps its own stack: no nesting is too deep for it. Loops, branches and functions are read as if their bodies
ran once, in the order written.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from mcp_e2e.decisions.policy.parsing import Parsed
from mcp_e2e.decisions.policy.places import joined
from mcp_e2e.decisions.policy.programs import unwrapped
from mcp_e2e.decisions.policy.quoting import Reader
from mcp_e2e.decisions.policy.words import DYNAMIC, SHELL_PLACEHOLDER, Command, Redirect, Word, program, shown

if TYPE_CHECKING:
    from tree_sitter import Node

_FORKS = {"subshell", "command_substitution", "process_substitution"}
_CHAINS = {"list", "pipeline", "negated_command"}
_NO_ARGUMENT = {"variable_assignment", "comment", "file_descriptor", "heredoc_start", "heredoc_body", "heredoc_end"}
_NO_ARGUMENT |= {"pipeline", "list", "command", "subshell", "compound_statement", "redirected_statement"}
MOST_BEFORE = 16  # commands of a pipeline that a later one knows


@dataclass
class _Scope:
    """What a ``cd`` changes for the commands that follow it in the same shell."""

    cwd: str | None


@dataclass(frozen=True)
class _Visit:
    node: "Node"
    scope: _Scope
    holder: tuple[Word, ...] = ()
    before: tuple[Command, ...] = ()
    redirects_only: bool = False


@dataclass
class Walk:
    """The commands of a parsed text; iterate it once."""

    parsed: Parsed
    cwd: str | None
    home: str
    _stack: list[_Visit] = field(default_factory=list)
    _borne: dict[int, list["Node"]] = field(default_factory=dict)  # a statement's redirects, by its last command

    def __iter__(self) -> Iterator[Command]:
        self._stack = [_Visit(self.parsed.root, _Scope(self.cwd))]
        while self._stack:
            visit = self._stack.pop()
            node = visit.node
            if visit.redirects_only:
                yield Command(
                    (),
                    shown(self.parsed.source(node)),
                    visit.scope.cwd,
                    self._redirects(_redirects_of(node), visit.scope),
                )
            elif node.type == "command":
                yield self._command(visit)
            elif node.type == "pipeline":
                yield from self._pipeline(visit)
            elif node.type == "redirected_statement":
                self._statement(visit)
            else:
                scope = replace(visit.scope) if node.type in _FORKS else visit.scope
                self._push(replace(visit, node=child, scope=scope) for child in node.named_children)

    def _push(self, visits: Iterator[_Visit]) -> None:
        self._stack += reversed(list(visits))

    def _statement(self, visit: _Visit) -> None:
        redirects = _redirects_of(visit.node)
        if last := _last_command(visit.node):
            self._borne.setdefault(last.id, []).extend(redirects)
        else:
            self._stack.append(replace(visit, redirects_only=True))
            self._push(_Visit(redirect, visit.scope) for redirect in redirects)
        if body := visit.node.child_by_field_name("body"):
            self._stack.append(replace(visit, node=body))

    def _pipeline(self, visit: _Visit) -> Iterator[Command]:
        """Its simple commands, each knowing those before it; anything else waits on the stack."""
        before = visit.before
        for child in visit.node.named_children:
            node = child
            if child.type == "redirected_statement" and (last := _last_command(child)):
                self._borne.setdefault(last.id, []).extend(_redirects_of(child))
                node = child.child_by_field_name("body") or last
            part = replace(visit, node=node, scope=replace(visit.scope), before=before)
            if node.type == "command":
                before = (*before, self._command(part))[-MOST_BEFORE:]
                yield before[-1]
            else:
                self._stack.append(part)

    def _command(self, visit: _Visit) -> Command:
        node, scope = visit.node, visit.scope
        redirects = [*_redirects_of(node), *self._borne.pop(node.id, [])]
        command = Command(
            words=tuple(_words_of(node, redirects, self._reader(scope))),
            source=shown(self.parsed.source(node)),
            cwd=scope.cwd,
            redirects=self._redirects(redirects, scope),
            stdin="".join(self._stdin(redirect, scope) for redirect in redirects),
            before=visit.before,
            holder=visit.holder,
        )
        inside = replace(scope)
        self._push(self._inside(command, child, inside) for part in (node, *redirects) for child in part.named_children)
        scope.cwd = _cwd_after(command, self.home)
        return command

    def _inside(self, command: Command, node: "Node", scope: _Scope) -> _Visit:
        """A substitution in one of its words, or what the grammar hangs below its heredoc."""
        if node.type == "pipeline":
            return _Visit(node, scope, before=(*command.before, command)[-MOST_BEFORE:])
        return _Visit(node, scope, command.words)

    def _reader(self, scope: _Scope) -> Reader:
        known = {"~": self.home, "$HOME": self.home, "${HOME}": self.home}
        if scope.cwd is not None:
            known |= dict.fromkeys(("$PWD", "${PWD}", "$(pwd)", "`pwd`"), scope.cwd)
        return Reader(self.parsed, known)

    def _redirects(self, nodes: Sequence["Node"], scope: _Scope) -> tuple[Redirect, ...]:
        found = []
        for node in nodes:
            files = [node] if node.type == "file_redirect" else [c for c in node.children if c.type == "file_redirect"]
            for file in files:
                operator = next((child.type for child in file.children if not child.is_named), "")
                targets = self._reader(scope).words(target) if (target := _target(file)) else []
                found += [Redirect(operator, word) for word in targets]
        return tuple(found)

    def _stdin(self, redirect: "Node", scope: _Scope) -> str:
        if redirect.type == "heredoc_redirect":
            return "".join(self.parsed.source(child) for child in redirect.children if child.type == "heredoc_body")
        if redirect.type == "herestring_redirect":
            given = (word.text for child in redirect.named_children for word in self._reader(scope).words(child))
            return " ".join(given).replace(DYNAMIC, SHELL_PLACEHOLDER)
        return ""


def _redirects_of(node: "Node") -> list["Node"]:
    return [child for child in node.named_children if child.type.endswith("_redirect")]


def _last_command(statement: "Node") -> "Node | None":
    """The simple command that a redirect after ``statement`` belongs to; None when it belongs to a whole block."""
    node = statement.child_by_field_name("body")
    while node is not None and node.type in _CHAINS and node.named_children:
        node = node.named_children[-1]
    return node if node is not None and node.type == "command" else None


def _target(redirect: "Node") -> "Node | None":
    return next((child for child in redirect.named_children if child.type != "file_descriptor"), None)


def _argument_nodes(command: "Node", redirects: list["Node"]) -> Iterator["Node"]:
    """Its name and arguments, with those that the grammar has put behind a redirect's target."""
    for child in command.named_children:
        if child.type not in _NO_ARGUMENT and not child.type.endswith("_redirect"):
            yield child
    for redirect in redirects:
        skipped = None if redirect.type == "heredoc_redirect" else _target(redirect)
        for child in redirect.named_children:
            if child != skipped and child.type not in _NO_ARGUMENT and not child.type.endswith("_redirect"):
                yield child


def _words_of(command: "Node", redirects: list["Node"], reader: Reader) -> list[Word]:
    """Its words; two that only a continued line keeps apart are one."""
    found: list[Word] = []
    end = command.start_byte
    for node in _argument_nodes(command, redirects):
        parts = reader.words(node)
        if found and parts and reader.parsed.text[end : node.start_byte] == "\\\n":
            cut = found.pop()
            parts[0] = Word(cut.text + parts[0].text, cut.pattern or parts[0].pattern)
        found += parts
        end = node.end_byte
    return found


def _cwd_after(command: Command, home: str) -> str | None:
    inner = unwrapped(command)
    if program(inner) not in {"cd", "pushd", "popd"}:
        return command.cwd
    operands = [word for word in inner[1:] if word.text == "-" or not word.text.startswith("-")]
    if program(inner) == "cd" and not operands:
        return home
    return joined(command.cwd, operands[0]) if operands and operands[0].text != "-" else None
