"""The guard's rules as whoever calls the use-cases meets them: advice first, then a refusal, and what clears it."""

import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from mcp_e2e.bootstrap import App
from mcp_e2e.errors import Refused
from tests.usecases.conftest import Servers


@pytest.fixture
def roomy(project: Path) -> None:
    """Ten reds open the breaker here, so that other rules come first."""
    add(project, "[breaker]\nconsecutive_failures = 10\n")


def add(project: Path, toml: str) -> None:
    with (project / "mcp-e2e.toml").open("a") as config:
        config.write(f"\n{toml}")


async def refused(app: App, test: str = "red") -> Refused:
    with pytest.raises(Refused) as caught:
        await app.attempts.run(app.caller, test=test)
    return caught.value


async def attempts_of(app: App) -> int:
    found: int = await app._place.run(lambda con: con.execute("SELECT count(*) FROM attempts").fetchone()[0])
    return found


@pytest.mark.usefixtures("roomy")
async def test_a_red_may_be_repeated_once_until_a_file_changes(server: Servers, project: Path) -> None:
    """Advice comes with the second answer, the third call is refused; a touched file is no change, an edit is."""
    async with server() as app:
        assert (await app.attempts.run(app.caller, test="red")).advice is None
        second = await app.attempts.run(app.caller, test="red")
        assert second.advice is not None
        assert second.advice.startswith("Rule R2 on run_test: it ended with fail once")
        first = await refused(app)
        os.utime(project / "service.py")
        again = await refused(app)
        for told, count in ((first.facts, 1), (again.facts, 2)):
            assert (told["rule"], told["state"], told["incident"]) == ("R2", "closed", None), count
            assert "a changed file" in told["cleared_by"]
        assert await attempts_of(app) == 2
        (project / "service.py").write_text((project / "service.py").read_text() + "# edited\n")
        third = await app.attempts.run(app.caller, test="red")
        assert (third.verdict, third.advice) == ("failed", None)


@pytest.mark.usefixtures("roomy")
async def test_a_checkpoint_with_a_new_note_buys_one_repetition(server: Servers) -> None:
    """It buys exactly one: after it neither the old note nor a newer one buys another."""
    async with server() as app:
        for _ in range(2):
            await app.attempts.run(app.caller, test="red")
        assert (await refused(app)).facts["rule"] == "R2"
        await app.runs.checkpoint(app.caller, result="failure", note="the API has lost its key")
        assert (await app.attempts.run(app.caller, test="red")).verdict == "failed"
        await app.runs.checkpoint(app.caller, result="failure", note="the API has lost its key")
        assert (await refused(app)).facts["rule"] == "R2"
        await app.attempts.run(app.caller, test="green")
        await app.runs.checkpoint(app.caller, result="success", note="something else")
        assert (await refused(app)).facts["rule"] in {"R2", "R3"}


@pytest.mark.usefixtures("roomy")
async def test_what_a_test_writes_itself_is_no_change(server: Servers, project: Path) -> None:
    """Another trace file with each run makes no new world, a file that somebody writes between runs does."""
    script = "n=$(ls | wc -l); echo $n > trace-$n.txt; date +%N > latest.txt; echo AssertionError: no; exit 1"
    add(project, f'[[tests]]\nid = "writes"\ncommand = ["sh", "-c", "{script}"]\n')
    commit(project)
    async with server() as app:
        for n in (1, 2):
            await app.attempts.run(app.caller, test="writes")
            assert len(list(project.glob("trace-*.txt"))) == n
        assert (await refused(app, "writes")).facts["rule"] == "R2"
        (project / "mine.py").write_text("a new helper")
        assert (await app.attempts.run(app.caller, test="writes")).verdict == "failed"


def commit(project: Path) -> None:
    who = ["-c", "user.name=t", "-c", "user.email=t@t"]
    for words in (["init", "-q"], ["add", "-A"], [*who, "commit", "-q", "-m", "all"]):
        subprocess.run(["git", *words], cwd=project, check=True)


async def test_idle_looks_get_the_last_answer_until_something_happens(server: Servers) -> None:
    """The sixth equal look is advised, from the tenth on no server looks again, and a new plan ends that."""
    async with server() as one, server(client="cursor", stops=False) as two:
        looks = [await (one, two)[n % 2].status.show(one.caller) for n in range(11)]
        said = [(look.advice or "")[:16] for look in looks]
        assert said == [*[""] * 5, "Rule R6 on statu", *[""] * 3, *["Nothing has chan"] * 2]
        assert [look.look_again_after_s is not None for look in looks] == [*[False] * 9, *[True] * 2]
        assert looks[10].look_again_after_s is not None
        assert 200 < looks[10].look_again_after_s <= 1200
        plain = {"advice": None, "look_again_after_s": None}
        assert looks[10].model_copy(update=plain) == looks[8]
        planned = await two.runs.plan(two.caller, tests=["green"])
        fresh = await one.status.show(one.caller)
        assert (fresh.advice, fresh.look_again_after_s) == (None, None)
        assert fresh.run is not None
        assert fresh.run["run"] == planned.run


async def test_a_plan_of_twenty_green_slots_is_not_commented(server: Servers) -> None:
    """The first verdict of each planned slot is progress, however equal they are."""
    async with server() as app:
        await app.runs.plan(app.caller, tests=["green"], count=20)
        for _ in range(20):
            done = await app.attempts.run(app.caller, checkpoint=True)
            assert (done.verdict, done.advice) == ("passed", None)
        assert (await app.reports.show(app.caller)).overall == "passed"
        rulings = await app._place.run(lambda con: con.execute("SELECT DISTINCT ruling FROM ledger").fetchall())
        assert [row["ruling"] for row in rulings] == ["allow"]


async def test_planning_the_same_for_the_fifth_time_is_refused(server: Servers) -> None:
    """R8, whatever reasons are given; another list is another plan."""
    async with server() as app:
        said = []
        for n in range(4):
            reason = f"reason {n}"
            said.append((await app.runs.plan(app.caller, tests=["green"], new=True, reason=reason)).advice)
        assert [bool(each) for each in said] == [False, False, True, False]
        with pytest.raises(Refused) as caught:
            await app.runs.plan(app.caller, tests=["green"], new=True, reason="a last one")
        assert caught.value.facts["rule"] == "R8"
        assert (await app.runs.plan(app.caller, tests=["green", "red"], new=True, reason="other")).total == 2


async def test_commands_that_fail_alike_are_refused_until_one_succeeds(server: Servers) -> None:
    """R5 tells how long to wait; a success of another program clears it, and nothing of it reaches the breaker."""
    async with server() as app:

        async def fails(n: int) -> str | None:
            done = await app.execs.run(app.caller, command=f"ls --color=never /nowhere && echo {n}")
            assert done.exit_code == 2
            return done.advice

        assert [(await fails(n) or "")[:7] for n in range(3)] == ["", "", "Rule R5"]
        with pytest.raises(Refused) as caught:
            await fails(3)
        assert caught.value.facts["rule"] == "R5"
        assert 0 < caught.value.facts["retry_after_s"] <= 300
        assert f"wait {caught.value.facts['retry_after_s']:.0f} s" in caught.value.text
        assert (await app.execs.run(app.caller, command="echo repaired")).exit_code == 0
        assert await fails(4) is None
        assert (await app.breaker.show()).consecutive_failures == 0


async def test_the_third_refusal_in_a_row_opens_the_breaker(server: Servers, project: Path) -> None:
    """R10, with an incident file that says so; it stops other work too, and the calls are listed."""
    async with server() as app:
        for _ in range(2):
            await app.attempts.run(app.caller, test="red")
        told = [(await refused(app)).facts for _ in range(3)]
        assert [(each["rule"], each["state"]) for each in told] == [("R2", "closed"), ("R2", "closed"), ("R10", "open")]
        assert (told[2]["owner_action_required"], told[2]["retry_after_s"]) == (True, None)
        file = project / ".mcp-e2e" / "private" / "incidents" / f"{told[2]['incident']}.json"
        facts = json.loads(file.read_text())
        assert (facts["rule"], len(facts["reds"])) == ("R10", 2)
        assert facts["evidence"][0].startswith("3 calls refused")
        assert (await refused(app, "green")).facts["rule"] == "R10"
        incident = await app.breaker.incident()
        assert incident is not None
        assert [call["args"]["test"] for call in incident["refused"]] == ["red", "green"]


async def test_a_success_between_refusals_keeps_it_closed(server: Servers) -> None:
    """Only refusals with nothing new between them count for R10."""
    async with server() as app:
        for _ in range(2):
            await app.attempts.run(app.caller, test="red")
        for n in range(3):
            assert (await refused(app)).facts["rule"] == "R2"
            await app.execs.run(app.caller, command=f"echo news {n}")
        assert (await app.breaker.show()).state == "closed"


async def test_a_person_is_judged_by_the_breaker_alone(server: Servers, project: Path) -> None:
    """Four equal reds by hand run without a word; the open breaker stops a person too, but not commands."""
    add(project, "[breaker]\nconsecutive_failures = 4\n")
    async with server() as app:
        person = replace(app.caller, door="cli", person=True)
        for _ in range(4):
            assert (await app.attempts.run(person, test="red")).advice is None
        assert (await app.breaker.show()).state == "open"
        with pytest.raises(Refused) as caught:
            await app.attempts.run(person, test="green")
        assert caught.value.facts["rule"] == "R1"
        for _ in range(12):
            assert (await app.status.show(person)).look_again_after_s is None
        assert (await app.execs.run(person, command="true")).exit_code == 0
