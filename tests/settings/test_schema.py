"""The tables: defaults of the contract, and the rules between keys."""

import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from pydantic import ValidationError

from mcp_e2e.settings import ReadyConfig, ServiceConfig, Settings, TestConfig, json_schema

CONTRACT = tomllib.loads(Path(__file__).with_name("contract.toml").read_text("utf-8"))
API = {"kind": "command", "command": ["api"], "port": 0}
COMFY = {"kind": "comfyui", "command": ["python", "main.py"]}


def settings(**tables: Any) -> Settings:
    return Settings.model_validate(tables)


def test_the_contracts_example_says_its_own_defaults() -> None:
    """Every value that CONTRACT 3 shows as a default is the default."""
    shown = settings(**CONTRACT)
    bare = settings(services={"comfyui": {"kind": "comfyui", "command": ["x"]}})

    for key in ("port", "slow_after_s", "stop_grace_s", "clean", "reload_on", "restart", "max_restarts", "owner"):
        assert getattr(bare.services["comfyui"], key) == getattr(shown.services["comfyui"], key)
    assert (bare.project, bare.run, bare.breaker, bare.guard) == (shown.project, shown.run, shown.breaker, shown.guard)
    assert (bare.exec.sandbox, bare.exec.timeout_s, bare.exec.env_allow) == ("auto", 600, None)
    assert TestConfig(id="a", command=["x"]).timeout_s == 300


def test_the_first_service_is_the_default_one() -> None:
    """A test without a service runs against the first table of the file."""
    found = settings(services={"z": API, "a": API}, tests=[{"id": "t", "command": ["x"]}])

    assert found.service_of(found.tests[0]) == "z"
    assert found.test("t") is found.tests[0]
    assert found.test("none") is None


def test_a_command_test_needs_no_service_at_all() -> None:
    """Where no service is configured, a command test runs without one."""
    found = settings(tests=[{"id": "t", "command": ["x"]}])

    assert found.service_of(found.tests[0]) is None


def test_a_command_service_with_a_port_is_ready_when_the_port_answers() -> None:
    """Readiness need not be written; a service without a port has none to look at."""
    assert ServiceConfig.model_validate(API).ready == ReadyConfig(tcp=True)
    assert ServiceConfig(kind="command", command=["x"]).ready is None
    assert ServiceConfig.model_validate(COMFY).ready is None


def test_a_workflow_is_always_expected_to_save_something() -> None:
    """Without expect a workflow still has one, all of its keys unset; a command has none."""
    workflow = TestConfig(id="a", workflow="a.json")

    assert workflow.expect is not None
    assert not workflow.expect.not_blank
    assert TestConfig(id="a", command=["x"]).expect is None


@pytest.mark.parametrize(
    ("tables", "said"),
    [
        ({"services": {"a": {"kind": "command"}}}, "neither command nor url"),
        ({"services": {"a": {**API, "url": "http://h"}}}, "both command and url"),
        ({"services": {"a": {**API, "ready": {}}}}, "exactly one of http, tcp, log, exec"),
        ({"services": {"a": {**API, "ready": {"tcp": True, "log": "x"}}}}, "exactly one of"),
        ({"services": {"a": {**COMFY, "ready": {"tcp": True}}}}, "asked for its own state"),
        ({"services": {"a": {**COMFY, "clean": ["*.png", "output/**.png"]}}}, "png' has .* within a name"),
        ({"services": {"a": {**COMFY, "reload_on": ["**py"]}}}, "py' has .* within a name"),
        ({"services": {"a": {"kind": "command", "command": ["x"], "ready": {"tcp": True}}}}, "has none"),
        ({"services": {"a": {"kind": "command", "command": ["x", "{port}"]}}}, "has no port"),
        ({"services": {"a": {"kind": "command", "command": ["x"], "env": {"PORT": "{port}"}}}}, "has no port"),
        ({"services": {"a": {"kind": "command", "url": "http://h", "ready": {"log": "x"}}}}, "not ours to read"),
        ({"services": {"a": {**API, "liveness": {}}}}, "exactly one of http, tcp, exec"),
        ({"services": {"a": {**API, "liveness": {"log": "x"}}}}, "not permitted"),
        ({"services": {"a": {"kind": "comfyui", "url": "http://h", "liveness": {"tcp": True}}}}, "never restarted"),
        ({"services": {"a": {"kind": "command", "command": ["x"], "liveness": {"tcp": True}}}}, "has none"),
        ({"services": {"a": {"kind": "command", "command": ["x"], "liveness": {"exec": ["y"]}}}}, "nothing tells"),
        ({"services": {"a": {**API, "liveness_every_s": 0.5}}}, "greater than or equal to 1"),
        ({"services": {"a": {"kind": "comfyui", "url": "localhost:8188"}}}, "no http address"),
        ({"services": {"a": {"kind": "comfyui", "url": "http://me:pw@host"}}}, "would show in logs"),
        ({"services": {"a": {"kind": "comfyui", "url": "http://host:99999"}}}, "no address"),
        ({"services": {"a": {"kind": "comfyui", "url": "http://host/?q=1"}}}, "query"),
        ({"services": {"a": {**API, "command": [""]}}}, "program is empty"),
        ({"services": {"..": API}}, "pattern"),
        ({"services": {"a": {**API, "slow_after_s": float("inf")}}}, "finite"),
        ({"services": {"a": {**API, "port": 65536}}}, "65535"),
        ({"services": {"a": {**API, "port": True}}}, "integer"),
        ({"tests": [{"id": "t"}]}, "neither workflow nor command"),
        ({"tests": [{"id": "t", "workflow": "w", "command": ["x"]}], "services": {"a": COMFY}}, "both workflow and"),
        ({"tests": [{"id": "t", "command": ["x"], "expect": {}}]}, "only with workflow"),
        ({"tests": [{"id": "t", "command": ["x"]}] * 2}, "2 tests have the id 't'"),
        ({"tests": [{"id": "t", "command": ["x"], "service": "b"}], "services": {"a": API}}, "no service 'b'"),
        ({"tests": [{"id": "t", "workflow": "w"}]}, "none is configured"),
        ({"tests": [{"id": "t", "workflow": "w"}], "services": {"a": API}}, "'a' is of kind command"),
        ({"tests": [{"id": "t/1", "command": ["x"]}]}, "pattern"),
        ({"tests": [{"id": "t", "command": []}]}, "at least 1 item"),
        ({"tests": [{"id": "t", "command": ["x"], "timeout_s": 0}]}, "greater than 0"),
        ({"breaker": {"consecutive_failures": 0}}, "greater than or equal to 1"),
        ({"breaker": {"consecutive_failures": 11}}, "less than or equal to 10"),
        ({"run": {"max_attempts_without_checkpoint": 0}}, "greater than or equal to 1"),
        ({"exec": {"sandbox": "on"}}, "'auto', 'required' or 'off'"),
    ],
)
def test_what_contradicts_itself_is_refused(tables: dict[str, Any], said: str) -> None:
    """Each rule between keys refuses what breaks it and says so."""
    with pytest.raises(ValidationError, match=said):
        settings(**tables)


def test_settings_cannot_be_changed() -> None:
    """A table is frozen once it is loaded."""
    with pytest.raises(ValidationError, match="frozen"):
        settings().breaker.consecutive_failures = 9  # type: ignore[misc]


def test_a_printed_table_hides_the_values_of_env() -> None:
    """Logs print tables; a secret written straight into env must not follow."""
    service = ServiceConfig.model_validate({**API, "env": {"TOKEN": "hunter2"}})

    assert "hunter2" not in repr(service)
    assert "hunter2" not in str(Settings(services={"a": service}))


def test_the_json_schema_is_valid_and_accepts_the_contracts_example() -> None:
    """Editors check the file with it, so it must agree with what we load."""
    schema = json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)

    assert list(validator.iter_errors(CONTRACT)) == []
    assert list(validator.iter_errors({"tests": [{"id": "a", "command": ["x"], "workflow": "w"}]}))
    assert list(validator.iter_errors({"bogus": 1}))


def test_every_key_of_the_json_schema_is_described() -> None:
    """``config schema`` is also the reference of the file."""
    schema = json_schema()
    tables = [schema, *schema["$defs"].values()]

    assert [(t["title"], key) for t in tables for key, p in t["properties"].items() if not p.get("description")] == []


def test_a_ready_log_that_is_no_pattern_is_told_before_anything_starts() -> None:
    """A service would wait for ever for a line that nothing can match."""
    with pytest.raises(ValidationError, match="no regular expression"):
        ReadyConfig(log="up (")
    assert ReadyConfig(log=r"up \\(now\\)").log
