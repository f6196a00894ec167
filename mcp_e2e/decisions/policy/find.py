"""What ``find`` would hand to ``-delete``, ``-exec`` or the ``xargs`` behind it, as far as its own words tell."""

from collections.abc import Iterator

from mcp_e2e.decisions.policy.words import Word, program

_NARROWING = {
    "-iname", "-regex", "-iregex", "-iwholename", "-ipath", "-mtime", "-mmin", "-newer", "-size", "-empty", "-user",
    "-perm", "-atime", "-ctime", "-amin", "-cmin", "-links", "-inum", "-samefile", "-lname",
}  # fmt: skip
_ENDS = {";", "+"}


def _start_points(words: tuple[Word, ...]) -> tuple[tuple[Word, ...], tuple[Word, ...]]:
    """The folders to search, and the expression behind them."""
    at = 1
    while at < len(words) and words[at].text in {"-H", "-L", "-P"}:
        at += 1
    first = at
    while at < len(words) and words[at].text[:1] not in {"-", "(", "!"}:
        at += 1
    return words[first:at] or (Word("."),), words[at:]


def found_by(words: tuple[Word, ...]) -> tuple[Word, ...]:
    """Words that stand for what it finds: ``./**/*.pyc`` for ``find . -name '*.pyc'``, the folder itself if all."""
    folders, expression = _start_points(words)
    narrowed = [_narrowed(test, value) for test, value in _tests(expression)]
    names = [name for name in narrowed if name is not None]
    named = next((name for name in names if name.text != "found"), names[0] if names else None)
    return tuple(folder if named is None else _below(folder, named) for folder in folders)


def _tests(expression: tuple[Word, ...]) -> Iterator[tuple[str, Word]]:
    """Tests with their value that select what is found: neither negated nor only there to prune."""
    for at, word in enumerate(expression):
        before = expression[at - 1].text if at else ""
        after = expression[at + 2].text if at + 2 < len(expression) else ""
        if before not in {"!", "-not"} and after != "-prune":
            yield word.text, expression[at + 1] if at + 1 < len(expression) else Word("")


def _narrowed(test: str, value: Word) -> Word | None:
    if test in {"-name", "-path", "-wholename"} and value.text.strip("*?/."):
        return Word(value.text, pattern=True)
    if test == "-name" and value.text and value.text != "*":
        return Word(value.text, pattern=True)
    return Word("found") if test in _NARROWING else None


def _below(folder: Word, named: Word) -> Word:
    if named.text.startswith(("/", "./", f"{folder.text}/")):
        return named
    deep = named.text if "/" in named.text else f"**/{named.text}"
    return Word(f"{folder.text}/{deep}", pattern=folder.pattern or any(sign in named.text for sign in "*?["))


def deletes(words: tuple[Word, ...]) -> bool:
    return any(word.text == "-delete" for word in words)


def executed(words: tuple[Word, ...]) -> Iterator[tuple[Word, ...]]:
    """The command of every ``-exec``, its ``{}`` replaced by what is found."""
    every = found_by(words)
    waiting = iter(words)
    for word in waiting:
        if word.text in {"-exec", "-execdir", "-ok", "-okdir"}:
            inner: list[Word] = []
            found = every
            for argument in waiting:
                if argument.text in _ENDS:
                    break
                if argument.text == "{}":
                    inner += found
                    found = found[:1]
                else:
                    inner.append(argument)
            if program(inner):
                yield tuple(inner)
