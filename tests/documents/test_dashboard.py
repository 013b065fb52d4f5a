"""The dashboard shows metrics, log lines and alarms that there are."""

from __future__ import annotations

import json
import re
from itertools import combinations
from typing import Any

import pytest
import yaml

from test_workflows import ROOT

SOURCE = "\n".join(path.read_text() for path in sorted((ROOT / "src").rglob("*.rs")))
TEMPLATE = (ROOT / "template.yaml").read_text()


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
def widgets(dashboard: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(dashboard["Resources"]["Dashboard"]["Properties"]["DashboardBody"][0])[
        "widgets"
    ]
    return found


def test_widgets_have_the_members_that_cloudwatch_asks_for(widgets: list[dict[str, Any]]) -> None:
    # https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/CloudWatch-Dashboard-Body-Structure.html
    required = {"alarm": {"alarms"}, "log": {"query", "region"}, "metric": {"metrics", "region"}, "text": {"markdown"}}
    for widget in widgets:
        assert widget.keys() == {"type", "x", "y", "width", "height", "properties"}
        assert widget["properties"].keys() >= required[widget["type"]]
        assert widget["x"] + widget["width"] <= 24


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
