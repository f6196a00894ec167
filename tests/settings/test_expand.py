"""``${NAME}`` in env values."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_e2e.errors import ConfigError
from mcp_e2e.settings import UnsetVariable, expand, masked, unset_names
from mcp_e2e.settings.expand import malformed


def test_names_are_replaced_and_two_dollars_are_not() -> None:
    """Several names in one value, an empty one, and the escape."""
    found = expand({"A": "x${B}-${C}", "D": "$${B}", "E": "$B"}, {"B": "1", "C": ""})

    assert found == {"A": "x1-", "D": "${B}", "E": "$B"}


def test_a_replaced_value_is_not_looked_through_again() -> None:
    """A secret that happens to hold ${…} stays as it is."""
    assert expand({"A": "${B}"}, {"B": "${A}"}) == {"A": "${A}"}


def test_every_unset_name_is_listed_with_the_keys_that_use_it() -> None:
    """One error names all, so that one repair is enough."""
    wanted = {"A": "${X}", "B": "${Y}${X}", "C": "${SET}"}

    with pytest.raises(UnsetVariable) as caught:
        expand(wanted, {"SET": "hunter2"})

    assert isinstance(caught.value, ConfigError)
    assert caught.value.facts == {"names": {"X": ["A", "B"], "Y": ["B"]}}
    assert "${X} (used by A, B); ${Y} (used by B)" in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert unset_names(wanted, {"SET": ""}) == ["X", "Y"]


@pytest.mark.parametrize(
    ("value", "said"),
    [("${A", "without"), ("${}", "only ${NAME}"), ("${A:-b}", "only ${NAME}"), ("$${A", None), ("a$b{}", None)],
)
def test_only_plain_names_are_known(value: str, said: str | None) -> None:
    """Shell defaults and unclosed braces are mistakes, found when the file is read."""
    problem = malformed(value)

    assert (problem is None) == (said is None)
    assert said is None or said in str(problem)


@pytest.mark.parametrize(
    ("value", "shown"),
    [("secret", "***"), ("${A}", "${A}"), ("Bearer ${A}", "***${A}"), ("${A}${B}x", "${A}${B}***"), ("", "")],
)
def test_only_names_are_shown(value: str, shown: str) -> None:
    """What is written literally may be a secret, also around a name."""
    assert masked(value) == shown


@given(st.dictionaries(st.text(min_size=1), st.text()))
def test_a_value_without_dollars_is_left_alone(mapping: dict[str, str]) -> None:
    """Only ${…} means anything."""
    plain = {key: value.replace("$", "") for key, value in mapping.items()}

    assert expand(plain, {}) == plain
