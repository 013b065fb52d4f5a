"""The dashboard shows metrics, log lines and alarms that there are."""

from __future__ import annotations

import json
import re
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from test_workflows import ROOT

SOURCE = "\n".join(path.read_text() for path in sorted((ROOT / "src").rglob("*.rs")))
TEMPLATE = (ROOT / "template.yaml").read_text()
SCHEMA = Draft202012Validator(json.loads(Path(__file__).with_name("dashboard.schema.json").read_text()))


class Loader(yaml.SafeLoader):
    """Takes the tags of CloudFormation for their values."""


def _value(loader: Loader, _: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.ScalarNode):
        return loader.construct_scalar(node)
    return loader.construct_sequence(node, deep=True) if isinstance(node, yaml.SequenceNode) else None


Loader.add_multi_constructor("!", _value)


@pytest.fixture
def dashboard() -> dict[str, Any]:
    found: dict[str, Any] = yaml.load((ROOT / "templates" / "dashboard.yaml").read_text(), Loader)  # noqa: S506
    return found


@pytest.fixture
def body(dashboard: dict[str, Any]) -> dict[str, Any]:
    """As CloudFormation passes it on, with values for its variables."""
    text: str = dashboard["Resources"]["Dashboard"]["Properties"]["DashboardBody"][0]
    values = {"Alarm": "arn:aws:cloudwatch:eu-west-1:111122223333:alarm", "AWS::Region": "eu-west-1"}
    found: dict[str, Any] = json.loads(re.sub(r"\$\{([^}]+)\}", lambda name: values.get(name[1], name[1]), text))
    return found


@pytest.fixture
def widgets(body: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = body["widgets"]
    return found


def problems(body: dict[str, Any]) -> list[str]:
    return [error.message for error in SCHEMA.iter_errors(body)]


def test_the_body_is_as_cloudwatch_documents_it(body: dict[str, Any]) -> None:
    assert problems(body) == []
    assert all(widget["x"] + widget["width"] <= 24 for widget in body["widgets"])


@pytest.mark.parametrize(
    ("type_", "member", "value"),
    [
        ("alarm", "alarms", ["FailedInvocations"]),
        ("log", "region", None),
        ("log", "query", "filter message = 'failed'"),
        ("metric", "period", 90),
        ("metric", "stat", "Total"),
        ("metric", "metrics", [["github-trust"]]),
        ("text", "markdow", "text"),
    ],
)
def test_a_mistake_in_a_widget_is_found(body: dict[str, Any], type_: str, member: str, value: object) -> None:
    properties = next(widget["properties"] for widget in body["widgets"] if widget["type"] == type_)
    properties[member] = value
    assert problems(body) != []


def test_widgets_do_not_cover_each_other(widgets: list[dict[str, Any]]) -> None:
    for one, other in combinations(widgets, 2):
        beside = one["x"] + one["width"] <= other["x"] or other["x"] + other["width"] <= one["x"]
        below = one["y"] + one["height"] <= other["y"] or other["y"] + other["height"] <= one["y"]
        assert beside or below, (one["properties"], other["properties"])


def test_the_function_writes_what_is_shown(widgets: list[dict[str, Any]]) -> None:
    metrics = [metric for widget in widgets for metric in widget["properties"].get("metrics", [])]
    ours = [metric[1] for metric in metrics if metric[0] == "github-trust"]
    assert ours
    assert [name for name in ours if f'"{name}"' not in SOURCE] == []
    queries = " ".join(widget["properties"].get("query", "") for widget in widgets)
    for word in re.findall(r"'([a-z]+)'", queries):
        assert f'"{word}")' in SOURCE, word
    assert "(guardrail `" in SOURCE
    assert "resource_type = " in SOURCE


def test_its_parameters_are_resources_of_the_function_s_stack(dashboard: dict[str, Any]) -> None:
    for name in dashboard["Parameters"].keys() - {"FunctionName", "Documents"}:
        assert re.search(rf"^  {name}:$", TEMPLATE, re.MULTILINE), name
        assert name in (ROOT / "docs" / "operations.md").read_text()


def test_each_alarm_names_the_section_that_says_what_to_do() -> None:
    headings = re.findall(r"^### (\w+)$", (ROOT / "docs" / "operations.md").read_text(), re.MULTILINE)
    named = re.findall(r"docs/operations\.md#([a-z]+)", TEMPLATE)
    assert sorted(named) == sorted(heading.lower() for heading in headings)
