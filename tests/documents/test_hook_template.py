"""The hooks and their alarms name the alias that the function's template makes."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from test_dashboard import Loader
from test_workflows import ROOT


def loaded(path: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.load((ROOT / path).read_text(), Loader)  # noqa: S506
    return found


@pytest.fixture
def hook() -> dict[str, Any]:
    return loaded("templates/hook.yaml")


@pytest.fixture
def alias() -> str:
    resources = loaded("template.yaml")["Resources"]
    [found] = [resource for resource in resources.values() if resource["Type"] == "AWS::Lambda::Alias"]
    name: str = found["Properties"]["Name"]
    return name


def of_type(template: dict[str, Any], kind: str) -> dict[str, dict[str, Any]]:
    return {
        name: resource["Properties"] for name, resource in template["Resources"].items() if resource["Type"] == kind
    }


def test_a_stack_set_takes_the_template_as_it_is(hook: dict[str, Any]) -> None:
    # Without acknowledgement of macros, and without values of one account.
    assert "Transform" not in hook
    assert [name for name, parameter in hook["Parameters"].items() if "Default" not in parameter] == []
    assert hook["Parameters"]["FailureMode"]["Default"] == "WARN"


def test_hooks_and_their_role_name_the_alias_and_nothing_else(hook: dict[str, Any], alias: str) -> None:
    function = "arn:${AWS::Partition}:lambda:${AWS::Region}:${AWS::AccountId}:function:${FunctionName}:" + alias
    hooks = of_type(hook, "AWS::CloudFormation::LambdaHook")
    assert {name: properties["LambdaFunction"] for name, properties in hooks.items()} == {
        "ChangeSets": function,
        "NativeTrust": function,
    }
    [role] = of_type(hook, "AWS::IAM::Role").values()
    [policy] = role["Policies"]
    [statement] = policy["PolicyDocument"]["Statement"]
    assert statement == {"Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": function}


def test_both_alarms_watch_the_alias_that_hooks_invoke(hook: dict[str, Any], alias: str) -> None:
    alarms = of_type(hook, "AWS::CloudWatch::Alarm")
    assert {name: alarm["MetricName"] for name, alarm in alarms.items()} == {
        "FailedHooks": "Errors",
        "ThrottledHooks": "Throttles",
    }
    # `Resource` is a version or an alias: https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics.html
    dimensions = [
        {"Name": "FunctionName", "Value": "FunctionName"},
        {"Name": "Resource", "Value": "${FunctionName}:" + alias},
    ]
    for name, alarm in alarms.items():
        assert alarm["Namespace"] == "AWS/Lambda", name
        assert alarm["Dimensions"] == dimensions, name
        assert (alarm["Statistic"], alarm["Threshold"], alarm["TreatMissingData"]) == ("Sum", 1, "notBreaching"), name
        assert alarm["AlarmActions"] == ["HasAlarmTopic", ["AlarmTopicArn"], "AWS::NoValue"], name
