"""CloudFormation's Lambda hooks: `AWS::CloudFormation::LambdaHook`, asked before resources are made or changed and for
change sets. Operations on whole stacks and Cloud Control are not there.

https://docs.aws.amazon.com/cloudformation-cli/latest/hooks-userguide/lambda-hooks-create-lambda-function.html
"""

from __future__ import annotations

import contextvars
import functools
import json
import re
import threading
import time
import uuid
from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import Any
from xml.sax.saxutils import escape

import botocore.session
import ministack.services.cloudformation.changesets as changesets
import ministack.services.cloudformation.custom_resource as custom_resource
import ministack.services.cloudformation.handlers as handlers
import ministack.services.cloudformation.provisioners as provisioners
import ministack.services.cloudformation.stacks as stacks
import ministack.services.iam as iam
import ministack.services.lambda_svc as lambda_svc
import ministack.services.sts as sts
from botocore.config import Config
from ministack.core.responses import get_account_id, get_region
from ministack.services.cloudformation import _change_sets, _stacks

from emulator.cloudformation import _client as s3

TYPE = "AWS::CloudFormation::LambdaHook"
PRINCIPAL = "hooks.cloudformation.amazonaws.com"
BUCKET = "cloudformation-hooks-payload"
WAITS_SECONDS = 30
LONGEST_MESSAGE = 4096
# "in progress" is taken so many times.
MOST_INVOCATIONS = 3
KNOWN_LATER = "{{changeSet:KNOWN_AFTER_APPLY}}"
ACTIONS = {"Add": "CREATE", "Modify": "UPDATE", "Remove": "DELETE", "Import": "IMPORT"}

# By account, region and ARN.
_hooks: dict[tuple[str, str], dict[str, dict[str, Any]]] = {}
_results: dict[str, dict[str, Any]] = {}


class _LaterAttributes(dict[str, str]):
    """The attributes of a resource that is not there yet."""

    def __contains__(self, name: object) -> bool:
        return True

    def __getitem__(self, name: str) -> str:
        return KNOWN_LATER


def install() -> None:
    provisioners._RESOURCE_HANDLERS[TYPE] = {"create": _create, "update": _update, "delete": _delete}
    lambda_svc._effective_func_record_for_qualifier = _named_as_invoked(lambda_svc._effective_func_record_for_qualifier)
    stock = stacks._runs_on_worker_thread
    # The function that is asked may call this process.
    stacks._runs_on_worker_thread = lambda kind: bool(_asked("RESOURCE", kind)) or stock(kind)
    stacks._provision_keeping_seed = _asking_before_creation(stacks._provision_keeping_seed)
    stacks._update_keeping_seed = _asking_before_update(stacks._update_keeping_seed)
    answers = handlers._ACTION_HANDLERS
    answers["CreateChangeSet"] = _asking_about_change_sets(answers["CreateChangeSet"])
    answers["ListHookResults"] = _list_results
    answers["GetHookResult"] = _get_result


# The resource


def _create(logical_id: str, properties: dict[str, Any], stack_name: str) -> tuple[str, dict[str, Any]]:
    _check(properties)
    name = properties["Alias"].replace("::", "-")
    arn = f"arn:aws:cloudformation:{get_region()}:{get_account_id()}:type/hook/{name}"
    here = _hooks.setdefault((get_account_id(), get_region()), {})
    if arn in here:
        raise ValueError(f"Resource of type '{TYPE}' with identifier '{arn}' already exists.")
    here[arn] = properties
    return arn, {"HookArn": arn}


def _update(physical_id: str, old: dict[str, Any], new: dict[str, Any], stack_name: str) -> tuple[str, dict[str, Any]]:
    _check(new)
    if old["Alias"] != new["Alias"]:
        raise ValueError("the local AWS does not rename hooks")
    _hooks[(get_account_id(), get_region())][physical_id] = new
    return physical_id, {"HookArn": physical_id}


def _delete(physical_id: str, properties: dict[str, Any]) -> None:
    _hooks.get((get_account_id(), get_region()), {}).pop(physical_id, None)


def _check(properties: dict[str, Any]) -> None:
    """By the schema of the type."""
    needed = ("Alias", "ExecutionRole", "FailureMode", "HookStatus", "LambdaFunction", "TargetOperations")
    if missing := [name for name in needed if not properties.get(name)]:
        raise ValueError(f"Model validation failed: required key [{missing[0]}] not found")
    names = [properties["Alias"], *(properties.get("TargetFilters") or {}).get("TargetNames", [])]
    for name in names:
        if not re.fullmatch(r"[A-Za-z0-9*?]{1,64}(::[A-Za-z0-9*?]{1,64}){2}", name):
            raise ValueError(f"Model validation failed: {name!r} has not three parts of letters and digits")
    if wrong := set(properties["TargetOperations"]) - {"RESOURCE", "STACK", "CHANGE_SET", "CLOUD_CONTROL"}:
        raise ValueError(f"Model validation failed: TargetOperations: {', '.join(sorted(wrong))}")
    if properties["FailureMode"] not in ("FAIL", "WARN"):
        raise ValueError("Model validation failed: FailureMode is FAIL or WARN")


def _asked(operation: str, resource_type: str = "", action: str = "") -> dict[str, dict[str, Any]]:
    """The enabled hooks for an operation, by ARN."""
    found = {}
    for arn, hook in _hooks.get((get_account_id(), get_region()), {}).items():
        filters = hook.get("TargetFilters") or {}
        names, actions = filters.get("TargetNames"), filters.get("Actions")
        if hook["HookStatus"] != "ENABLED" or operation not in hook["TargetOperations"]:
            continue
        if resource_type and names and not any(fnmatchcase(resource_type, name) for name in names):
            continue
        if action and actions and action not in actions:
            continue
        found[arn] = hook
    return found


# Asking


def _named_as_invoked(stock: Callable[..., Any]) -> Callable[..., Any]:
    """A function that is invoked by an alias is told so in its context, and answers for it."""

    def effective(function: dict[str, Any] | None, qualifier: str | None) -> Any:
        record, config = stock(function, qualifier)
        if config and function and qualifier in function.get("aliases", {}):
            config = {**config, "FunctionArn": f"{function['config']['FunctionArn']}:{qualifier}"}
        return record, config

    return effective


def _asking_before_creation(stock: Callable[..., Any]) -> Callable[..., Any]:
    def create(resource_type: str, logical_id: str, properties: dict[str, Any], stack_name: str) -> Any:
        _ask_about_resource("CREATE", resource_type, logical_id, stack_name, properties, None)
        return stock(resource_type, logical_id, properties, stack_name)

    return create


def _asking_before_update(stock: Callable[..., Any]) -> Callable[..., Any]:
    def update(
        resource_type: str, physical_id: str, old: Any, new: Any, stack_name: str, logical_id: str, *more: Any
    ) -> Any:
        if old != new:
            _ask_about_resource("UPDATE", resource_type, logical_id, stack_name, new, old)
        return stock(resource_type, physical_id, old, new, stack_name, logical_id, *more)

    return update


def _ask_about_resource(action: str, resource_type: str, logical_id: str, stack: str, new: Any, old: Any) -> None:
    stack_id = _stacks[stack]["StackId"]
    data = {
        "targetName": resource_type,
        "targetType": "RESOURCE",
        "targetLogicalId": logical_id,
        "targetModel": {"resourceProperties": new, "previousResourceProperties": old},
    }
    hooks = _asked("RESOURCE", resource_type, action)
    target = {"type": "RESOURCE", "id": stack_id, "name": resource_type, "logical_id": logical_id, "action": action}
    refused = [hook["Alias"] for arn, hook in hooks.items() if _refuses(arn, hook, target, stack_id, None, data)]
    if refused:
        raise ValueError(f"The following hook(s) failed: [{', '.join(refused)}]")


def _refuses(
    arn: str, hook: dict[str, Any], target: dict[str, str], stack_id: str, change_set: str | None, data: dict[str, Any]
) -> bool:
    """Invokes the function and keeps the result; true if the operation must not go on."""
    event = {
        "clientRequestToken": str(uuid.uuid4()),
        "awsAccountId": get_account_id(),
        "stackId": stack_id,
        "changeSetId": change_set,
        "hookTypeName": hook["Alias"],
        "hookTypeVersion": "00000001",
        "hookModel": {"LambdaFunction": hook["LambdaFunction"]},
        "actionInvocationPoint": f"{target['action']}_PRE_PROVISION",
        "requestData": data,
        "requestContext": {"invocation": 1, "callbackContext": None},
    }
    answer: dict[str, Any] = {}
    status, reason = "HOOK_FAILED", ""
    try:
        for invocation in range(1, MOST_INVOCATIONS + 2):
            event["requestContext"]["invocation"] = invocation
            answer = _invoke(arn, hook, event)
            if answer.get("hookStatus") != "IN_PROGRESS":
                break
            event["requestContext"]["callbackContext"] = answer.get("callbackContext")
        message = str(answer.get("message", ""))[:LONGEST_MESSAGE]
        if answer.get("hookStatus") == "SUCCESS":
            status, reason = "HOOK_COMPLETE_SUCCEEDED", f"Hook succeeded with message: {message}"
        elif answer.get("hookStatus") == "FAILED" and answer.get("errorCode") == "NonCompliant":
            status, reason = "HOOK_COMPLETE_FAILED", f"Hook failed with message: {message}"
        else:
            reason = f"Hook failed with message: {message or answer}"
    except Exception as error:
        reason = f"Hook failed with message: {error}"
    result = {"arn": arn, "hook": hook, "status": status, "reason": reason, "target": target, "time": time.time()}
    _results[str(uuid.uuid4())] = {**result, "annotations": answer.get("annotations") or []}
    return status != "HOOK_COMPLETE_SUCCEEDED" and hook["FailureMode"] == "FAIL"


def _invoke(arn: str, hook: dict[str, Any], event: dict[str, Any]) -> dict[str, Any]:
    """With the permissions of the execution role."""
    answered = _lambda(hook["ExecutionRole"]).invoke(FunctionName=hook["LambdaFunction"], Payload=json.dumps(event))
    body = answered["Payload"].read()
    if answered.get("FunctionError"):
        raise RuntimeError(f"the function failed: {body[:200].decode(errors='replace')}")
    answer = json.loads(body)
    if not isinstance(answer, dict):
        raise RuntimeError("the function answered no object")
    if len(answer.get("annotations") or []) > 100:
        raise RuntimeError("the function answered more than 100 annotations")
    return answer


def _lambda(role_arn: str) -> Any:
    name = role_arn.rsplit("/", 1)[-1]
    role = iam._roles.get(name)
    document = role and role["AssumeRolePolicyDocument"]
    policy = json.loads(document) if isinstance(document, str) else document
    trusted = [statement["Principal"].get("Service") for statement in (policy or {}).get("Statement", [])]
    if PRINCIPAL not in str(trusted):
        raise RuntimeError(f"{PRINCIPAL} may not assume {role_arn}")
    session = {"SecretAccessKey": "secret-of-hooks", "SessionToken": "token-of-hooks"}
    arn = f"arn:aws:sts::{get_account_id()}:assumed-role/{name}/hooks"
    key = f"ASIA{uuid.uuid5(uuid.NAMESPACE_URL, role_arn).hex[:16].upper()}"
    sts.register_session(key, {**session, "Arn": arn, "UserId": f"{name}:hooks"})
    return _client_of(key, session["SecretAccessKey"], session["SessionToken"])


@functools.cache
def _client_of(key: str, secret: str, token: str) -> Any:
    made = botocore.session.get_session()
    made.set_credentials(key, secret, token)
    config = Config(read_timeout=WAITS_SECONDS, retries={"total_max_attempts": 1})
    return made.create_client(
        "lambda", region_name=get_region(), endpoint_url=custom_resource._gateway_url(), config=config
    )


# Change sets


def _asking_about_change_sets(stock: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def create(params: Any) -> Any:
        answer = stock(params)
        found = re.search(r"<CreateChangeSetResult><Id>([^<]+)</Id>", answer[2].decode())
        change_set = _change_sets.get(found[1]) if found else None
        hooks = _asked("CHANGE_SET", action="CREATE")
        if change_set and hooks and change_set["Status"] == "CREATE_COMPLETE":
            executable = change_set["ExecutionStatus"]
            change_set.update(Status="CREATE_IN_PROGRESS", ExecutionStatus="UNAVAILABLE")
            work = functools.partial(_ask_about_change_set, change_set, hooks, executable)
            threading.Thread(target=contextvars.copy_context().run, args=(work,), daemon=True).start()
        return answer

    return create


def _ask_about_change_set(change_set: dict[str, Any], hooks: dict[str, dict[str, Any]], executable: str) -> None:
    arn, stack_id = change_set["ChangeSetId"], change_set["StackId"]
    try:
        url = _payload(change_set)
        data = {"targetName": "CHANGE_SET", "targetType": "CHANGE_SET", "targetLogicalId": arn, "payload": url}
        target = {"type": "CHANGE_SET", "id": arn, "action": "CREATE"}
        refused = [hook["Alias"] for name, hook in hooks.items() if _refuses(name, hook, target, stack_id, arn, data)]
    except Exception as error:
        change_set.update(Status="FAILED", StatusReason=f"the local AWS could not ask hooks: {error!r}")
        return
    if refused:
        change_set.update(Status="FAILED", StatusReason=f"The following hook(s) failed: [{', '.join(refused)}]")
    else:
        change_set.update(Status="CREATE_COMPLETE", ExecutionStatus=executable)


def _payload(change_set: dict[str, Any]) -> str:
    """The pre-signed URL of what a hook is told of a change set."""
    template, stack = change_set["_template"], _stacks[change_set["StackName"]]
    now = stack.get("_resources", {})
    params = change_set["_resolved_params"]
    known = {
        name: now.get(name, {"PhysicalResourceId": KNOWN_LATER, "Attributes": _LaterAttributes()})
        for name in template.get("Resources", {})
    }
    conditions = changesets._evaluate_conditions(template, params)

    def context(properties: Any) -> str | None:
        as_text = custom_resource._normalise_resource_properties(properties or {})
        return json.dumps({"Properties": as_text})

    changed = []
    for change in (entry["ResourceChange"] for entry in change_set["Changes"]):
        name = change["LogicalResourceId"]
        raw = template.get("Resources", {}).get(name, {}).get("Properties", {})
        resolved = changesets._resolve_refs(
            raw, known, params, conditions, template.get("Mappings", {}), stack["StackName"], stack["StackId"]
        )
        changed.append(
            {
                "logicalResourceId": name,
                "resourceType": change["ResourceType"],
                "action": ACTIONS[change["Action"]],
                "lineNumber": 1,
                "beforeContext": context(now[name].get("Properties")) if name in now else None,
                "afterContext": None if change["Action"] == "Remove" else context(resolved),
            }
        )
    body = {"template": json.dumps(template), "changedResources": changed}
    s3().create_bucket(Bucket=BUCKET)
    place = {"Bucket": BUCKET, "Key": str(uuid.uuid4())}
    s3().put_object(**place, Body=json.dumps(body).encode())
    return str(s3().generate_presigned_url("get_object", Params=place, ExpiresIn=600))


# Telling


def _list_results(params: Any) -> Any:
    kind, target = handlers._p(params, "TargetType"), handlers._p(params, "TargetId")
    shown = "".join(
        f"<member>{_summary(name, result)}</member>"
        for name, result in _results.items()
        if (result["target"]["type"], result["target"]["id"]) == (kind, target)
    )
    body = f"<TargetType>{kind}</TargetType><TargetId>{escape(target)}</TargetId><HookResults>{shown}</HookResults>"
    return handlers._xml(200, "ListHookResultsResponse", f"<ListHookResultsResult>{body}</ListHookResultsResult>")


def _get_result(params: Any) -> Any:
    name = handlers._p(params, "HookResultId")
    result = _results.get(name)
    if result is None:
        return handlers._error("HookResultNotFound", f"Hook result {name} does not exist", 404)
    target = result["target"]
    about = {
        "TargetType": target["type"],
        "TargetTypeName": target.get("name"),
        "TargetId": target.get("logical_id", target["id"]),
        "Action": target["action"],
    }
    annotations = "".join(
        f"<member>{_members({key[0].upper() + key[1:]: text for key, text in one.items()})}</member>"
        for one in result["annotations"]
    )
    body = f"{_summary(name, result)}<Target>{_members(about)}</Target><Annotations>{annotations}</Annotations>"
    return handlers._xml(200, "GetHookResultResponse", f"<GetHookResultResult>{body}</GetHookResultResult>")


def _summary(name: str, result: dict[str, Any]) -> str:
    return _members(
        {
            "HookResultId": name,
            "InvocationPoint": "PRE_PROVISION",
            "FailureMode": result["hook"]["FailureMode"],
            "TypeName": result["hook"]["Alias"],
            "TypeArn": result["arn"],
            "Status": result["status"],
            "HookStatusReason": result["reason"],
            "InvokedAt": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(result["time"])),
        }
    )


def _members(values: dict[str, Any]) -> str:
    return "".join(f"<{name}>{escape(str(text))}</{name}>" for name, text in values.items() if text is not None)
