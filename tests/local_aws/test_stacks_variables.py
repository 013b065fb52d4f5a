"""The hand-over, end to end: what the function sends is what GitHub's description allows, and libsodium opens it."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from typing import Any

import pytest

from deployment import FUNCTION, SECRET_NAME, example
from github import apps
from github.answers import documented, endpoint_of
from github.repositories import TOKEN, number
from local_aws import LocalAws
from stack import Stack, template

KIND = "Custom::GitHubVariable"
REPOSITORY = "/repos/octo-org/hand-over"
LIVE = f"{REPOSITORY}/environments/live"
ORGANISATION = "/orgs/octo-org/actions"
# Nobody but GitHub may see it.
HIDDEN = "hunter2-of-the-hand-over"


@pytest.fixture(autouse=True)
def tidy(aws: LocalAws) -> Iterator[None]:
    aws.at_github(environments={LIVE: True})
    yield
    aws.at_github(remove=list(aws.at_github()["values"]), resets_bypass=False, refuses_bypass=False)
    aws.at_github(protected=["octo-org/hand-over"])
    # A request that GitHub's description does not know would have been answered with this.
    unknown = [one for one in aws.at_github()["seen"] if one[1] == 400 and tuple(one) not in LISTED]
    assert unknown == []


def declared(service_token: str, **properties: Any) -> Any:
    plain = {"Name": "ROLE", "Value": "one"}
    if "Organization" not in properties:
        plain["Repository"] = "octo-org/hand-over"
    return template(service_token, {"Variable": (KIND, {**plain, **properties})})


PLACES = {
    f"{REPOSITORY}/actions/variables/ROLE": {},
    f"{REPOSITORY}/actions/secrets/ROLE": {"Secret": "true"},
    f"{LIVE}/variables/ROLE": {"Environment": "live"},
    f"{LIVE}/secrets/ROLE": {"Environment": "live", "Secret": "true"},
    f"{ORGANISATION}/variables/ROLE": {"Organization": "octo-org", "Visibility": "all"},
    f"{ORGANISATION}/secrets/ROLE": {
        "Organization": "octo-org",
        "Visibility": "selected",
        "SelectedRepositories": ["a", "b"],
        "Secret": "true",
    },
}


@pytest.mark.parametrize("path", PLACES, ids=lambda path: path[1:].replace("/", "-"))
def test_a_value_comes_changes_and_goes(aws: LocalAws, service_token: str, stack: Stack, path: str) -> None:
    where = PLACES[path]
    assert stack.create(declared(service_token, **where)) == "CREATE_COMPLETE", stack.reasons()
    assert aws.at_github()["values"][path] == "one"
    (first,) = stack.physical_ids().values()
    assert stack.update(declared(service_token, **where, Value="two")) == "UPDATE_COMPLETE", stack.reasons()
    found = aws.at_github()
    assert found["values"][path] == "two"
    assert [*stack.physical_ids().values()] == [first]
    if "selected" in where.values():
        assert sorted(found["items"][path]["selected_repository_ids"]) == sorted(
            number(f"octo-org/{name}") for name in ("a", "b")
        )
    assert stack.delete() == "DELETE_COMPLETE"
    assert path not in aws.at_github()["values"]


def test_each_error_that_is_documented_is_told_or_overcome(aws: LocalAws, service_token: str, stack: Stack) -> None:
    """Those of the description, and those that it leaves to the pages on troubleshooting and rate limits."""
    asked = {
        "GET /repos/{owner}/{repo}/actions/variables": {},
        "GET /repos/{owner}/{repo}/actions/secrets/{secret_name}": {"Secret": "true"},
        "POST /repos/{owner}/{repo}/actions/variables": {},
        "PUT /repos/{owner}/{repo}/actions/secrets/{secret_name}": {"Secret": "true"},
        "GET /repos/{owner}/{repo}/actions/secrets/public-key": {"Secret": "true"},
        "GET /repos/{owner}/{repo}/environments/{environment_name}": {"Environment": "live"},
    }
    told = {401: "renew the secret", 403: "lacks a permission", 404: "may not see it", 422: "Validation Failed"}
    # To look finds nothing, which is no error.
    fine = {("GET /repos/{owner}/{repo}/actions/secrets/{secret_name}", 404)}
    # A repository that is not shown takes no claim either, so that no list alone ends like that.
    never = {("GET /repos/{owner}/{repo}/actions/variables", 404)}
    for (endpoint, where), status in itertools.product(asked.items(), told):
        if (endpoint, status) in never:
            continue
        aws.at_github(refuse={endpoint: status})
        ended = stack.create(declared(service_token, **where))
        if (endpoint, status) in fine:
            assert ended == "CREATE_COMPLETE", stack.reasons()
        else:
            assert ended == "ROLLBACK_COMPLETE", (endpoint, status)
            assert told[status] in stack.reasons()["Variable"], stack.reasons()
        assert stack.delete() == "DELETE_COMPLETE"
        assert aws.at_github()["values"] == {}


SUBJECTS = "/repos/{owner}/{repo}/actions/oidc/customization/sub"
ALL_SUBJECTS = "/orgs/{org}/actions/oidc/customization/sub"
PATTERNS = "POST /repos/{owner}/{repo}/environments/{environment_name}/deployment-branch-policies"
TOKENS = "POST /app/installations/{installation_id}/access_tokens"
ROLE = {"Trust": [{"Repository": "octo-org/hand-over", "Branches": ["main"], "Actors": ["octocat"]}]}
BY_NUMBER = {"Trust": [{"Repository": "octo-org/hand-over", "Branches": ["main"], "Actors": ["583231"]}]}
OPTS = ("Custom::GitHubRepositoryOidc", {"UseImmutableSubject": True})
ALL_OPT = ("Custom::GitHubRepositoryOidc", {"UseImmutableSubject": True, "Organization": "octo-org"})
STAGE = ("Custom::GitHubEnvironment", {"Name": "stage", "DeploymentBranchPolicy": {"Branches": ["main"]}})
PROTECTED = ("Custom::GitHubEnvironment", {"Name": "stage", "DeploymentBranchPolicy": {"ProtectedBranches": True}})
# Each error that GitHub's description lists, what asks there, and what is said; nothing where it is overcome.
LISTED: dict[tuple[str, int], tuple[tuple[str, dict[str, Any]], str | None]] = {
    ("GET /repos/{owner}/{repo}", 301): (("Custom::GitHubRole", ROLE), "it answers with a redirect to somewhere else"),
    ("GET /repos/{owner}/{repo}", 403): (("Custom::GitHubRole", ROLE), "it answers with status 403. To go on without"),
    ("GET /repos/{owner}/{repo}", 404): (("Custom::GitHubRole", ROLE), "shows no such repository to the function's"),
    ("GET /users/{username}", 404): (("Custom::GitHubRole", ROLE), "there is no user or organisation of that name"),
    # The attribute `Warning` says that it is not known.
    ("GET /repos/{owner}/{repo}/branches", 404): (PROTECTED, None),
    # The attribute `Warning` names the number.
    ("GET /user/{account_id}", 404): (("Custom::GitHubRole", BY_NUMBER), None),
    # What its subjects are made of is then what new repositories send.
    (f"GET {SUBJECTS}", 400): (("Custom::GitHubRole", ROLE), None),
    (f"GET {SUBJECTS}", 404): (OPTS, "GitHub shows no repository octo-org/classic to the function's credential"),
    (f"PUT {SUBJECTS}", 400): (OPTS, "failed (400): Bad Request"),
    (f"PUT {SUBJECTS}", 404): (OPTS, "the credential may not see it"),
    (f"PUT {SUBJECTS}", 422): (OPTS, "failed (422): Validation Failed"),
    (f"PUT {ALL_SUBJECTS}", 403): (ALL_OPT, "the credential lacks a permission for this"),
    (f"PUT {ALL_SUBJECTS}", 404): (ALL_OPT, "the credential may not see it"),
    ("PUT /repos/{owner}/{repo}/environments/{environment_name}", 422): (STAGE, "failed (422): Validation Failed"),
    # "If the same branch name pattern already exists": it does not.
    (PATTERNS, 303): (STAGE, "failed (303): See Other"),
    (PATTERNS, 404): (STAGE, "the credential may not see it"),
    (TOKENS, 401): ((KIND, {}), "do not belong together"),
    (TOKENS, 403): ((KIND, {}), "the installation is suspended"),
    (TOKENS, 404): ((KIND, {}), "it is no installation of this App"),
    (TOKENS, 422): ((KIND, {}), "the App does not have what is asked for"),
}
# The one that has a test of its own, because it comes with an update.
SELECTED = ("GET /orgs/{org}/actions/variables/{name}/repositories", 409)


def test_the_errors_that_github_s_description_lists_are_these() -> None:
    assert {*documented()} == {*LISTED, SELECTED}


@pytest.mark.parametrize("listed", LISTED, ids=lambda listed: f"{listed[0]}-{listed[1]}".replace("/", "-"))
def test_each_error_that_github_s_description_lists_is_told_or_overcome(
    aws: LocalAws, service_token: str, github_provider: str, stack: Stack, credential: Any, listed: tuple[str, int]
) -> None:
    (kind, properties), told = LISTED[listed]
    whole: dict[str, Any] = {**properties}
    if kind == "Custom::GitHubRole":
        whole["ProviderArn"] = github_provider
    elif "Organization" not in properties:
        whole["Repository"] = "octo-org/classic" if (kind, properties) == OPTS else "octo-org/hand-over"
    if kind == KIND:
        whole |= {"Name": "ROLE", "Value": "one"}
        credential(APP)
    # Looks that run beside each other ask for a token each, and two for the subjects of a repository.
    is_repeated = listed[0] == TOKENS or listed == (f"GET {SUBJECTS}", 404)
    aws.at_github(refuse={listed[0]: listed[1]}, times={listed[0]: 3} if is_repeated else {})
    ended = stack.create(template(service_token, {"Asking": (kind, whole)}))
    if told is None:
        assert ended == "CREATE_COMPLETE", stack.reasons()
    else:
        assert ended == "ROLLBACK_COMPLETE"
        assert told in stack.reasons()["Asking"], stack.reasons()
    assert listed in [tuple(one) for one in aws.at_github()["seen"]]
    assert stack.delete() == "DELETE_COMPLETE"


APP = {"app_id": apps.APP, "installation_id": apps.INSTALLATION, "private_key": apps.KEY}


@pytest.fixture
def credential(aws: LocalAws) -> Iterator[Any]:
    """`credential({…})` gives the function another one until the test ends."""
    secrets = aws.client("secretsmanager")

    def give(content: dict[str, Any]) -> None:
        secrets.put_secret_value(SecretId=SECRET_NAME, SecretString=json.dumps(content))

    yield give
    give({"token": TOKEN})


def test_an_app_signs_for_one_token_a_request_and_sets_variables_with_it(
    aws: LocalAws, service_token: str, stack: Stack, credential: Any
) -> None:
    credential(APP)
    path, *_ = PLACES
    start = len(aws.at_github()["seen"])
    assert stack.create(declared(service_token)) == "CREATE_COMPLETE", stack.reasons()
    assert aws.at_github()["values"][path] == "one"
    assert stack.delete() == "DELETE_COMPLETE"
    assert path not in aws.at_github()["values"]
    seen = [tuple(one) for one in aws.at_github()["seen"][start:]]
    # Two requests, and more than one call in each.
    assert seen.count((TOKENS, 201)) == 2
    assert len(seen) > 5
    for text in (aws.function_log(FUNCTION), aws.emulator_log(), str(stack.events())):
        assert apps.GIVEN not in text
        assert "PRIVATE KEY" not in text


def test_the_error_that_comes_with_an_update_passes(aws: LocalAws, service_token: str, stack: Stack) -> None:
    """409: the variable is for selected repositories no more when its repositories are asked for."""
    where = {"Organization": "octo-org", "Visibility": "selected", "SelectedRepositories": ["a"]}
    assert stack.create(declared(service_token, **where)) == "CREATE_COMPLETE", stack.reasons()
    aws.at_github(refuse=dict([SELECTED]))
    assert stack.update(declared(service_token, **where, Value="two")) == "UPDATE_COMPLETE", stack.reasons()
    assert aws.at_github()["values"][f"{ORGANISATION}/variables/ROLE"] == "two"


def test_the_local_github_takes_what_github_s_description_says() -> None:
    path = f"{REPOSITORY}/actions/variables"
    assert endpoint_of("POST", path, {}, {"name": "X", "value": "v"}) == "POST /repos/{owner}/{repo}/actions/variables"
    for method, where, query, body in [
        ("POST", path, {}, {"name": "X"}),
        ("POST", path, {}, {"name": "X", "value": 1}),
        ("POST", path, {}, {"name": "X", "value": "v", "owner": "us"}),
        ("POST", path, {}, None),
        ("GET", f"{path}/X", {}, {"name": "X"}),
        ("GET", f"{path}/X", {"page": "1"}, None),
        ("PUT", f"{path}/X", {}, {"value": "v"}),
        ("PUT", f"{REPOSITORY}/actions/secrets/X", {}, {"encrypted_value": "not base64!", "key_id": "1"}),
    ]:
        with pytest.raises(ValueError, match=r"know|take|body"):
            endpoint_of(method, where, query, body)


def test_the_hand_over_puts_the_role_s_arn_where_the_workflow_reads_it(
    aws: LocalAws, service_token: str, stack: Stack
) -> None:
    assert service_token
    made = f"{REPOSITORY}/environments/made"
    parameters = {"Repository": "octo-org/hand-over", "Environment": "made"}
    assert stack.create(example("hand-over.yaml"), **parameters) == "CREATE_COMPLETE", stack.reasons()
    assert aws.at_github()["values"][f"{made}/variables/AWS_ROLE_ARN"] == stack.outputs()["RoleArn"]
    assert stack.delete() == "DELETE_COMPLETE"
    assert aws.at_github()["values"] == {}
    assert made not in aws.at_github()["environments"]


def test_the_role_s_arn_becomes_a_secret_of_the_organisation(aws: LocalAws, service_token: str, stack: Stack) -> None:
    assert service_token
    parameters = {"Organization": "octo-org", "Repositories": "hand-over,octo-repo"}
    assert stack.create(example("organization-secret.yaml"), **parameters) == "CREATE_COMPLETE", stack.reasons()
    assert aws.at_github()["values"][f"{ORGANISATION}/secrets/AWS_OIDC_ROLE"] == stack.outputs()["RoleArn"]
    assert stack.delete() == "DELETE_COMPLETE"
    assert aws.at_github()["values"] == {}


def test_an_environment_comes_with_its_protection_changes_and_goes(
    aws: LocalAws, service_token: str, stack: Stack
) -> None:
    path = f"{REPOSITORY}/environments/stage"

    def environment(**properties: Any) -> Any:
        plain = {"Repository": "octo-org/hand-over", "Name": "stage"}
        inside = {**plain, "Environment": {"Fn::GetAtt": ["Environment", "Name"]}, "Name": "ROLE", "Value": "one"}
        resources = {"Environment": ("Custom::GitHubEnvironment", {**plain, **properties}), "Variable": (KIND, inside)}
        return template(service_token, resources)

    first = {"DeploymentBranchPolicy": {"Branches": ["main", "release/*"]}}
    assert stack.create(environment(**first)) == "CREATE_COMPLETE", stack.reasons()
    found = aws.at_github()
    assert sorted(one["name"] for one in found["environments"][path]["patterns"].values()) == ["main", "release/*"]
    assert found["values"][f"{path}/variables/ROLE"] == "one"
    second = {
        "Reviewers": [{"Type": "User", "Id": 7}],
        "PreventSelfReview": True,
        "DeploymentBranchPolicy": {"Branches": ["main"], "Tags": ["v*"]},
    }
    assert stack.update(environment(**second)) == "UPDATE_COMPLETE", stack.reasons()
    changed = aws.at_github()["environments"][path]
    assert sorted((one["type"], one["name"]) for one in changed["patterns"].values()) == [
        ("branch", "main"),
        ("tag", "v*"),
    ]
    assert changed["set"]["reviewers"] == [{"type": "User", "id": 7}]
    assert stack.delete() == "DELETE_COMPLETE"
    assert path not in aws.at_github()["environments"]


@pytest.mark.parametrize(("resets", "refuses"), [(False, False), (False, True), (True, False)])
def test_an_update_keeps_that_administrators_may_not_bypass(
    aws: LocalAws, service_token: str, stack: Stack, resets: bool, refuses: bool
) -> None:
    path = f"{REPOSITORY}/environments/stage"

    def environment(wait: int) -> Any:
        properties = {"Repository": "octo-org/hand-over", "Name": "stage", "WaitTimer": wait}
        return template(service_token, {"Environment": ("Custom::GitHubEnvironment", properties)})

    assert stack.create(environment(1)) == "CREATE_COMPLETE", stack.reasons()
    aws.at_github(change={path: {"can_admins_bypass": False}}, resets_bypass=resets, refuses_bypass=refuses)
    assert stack.update(environment(2)) == "UPDATE_COMPLETE", stack.reasons()
    found = aws.at_github()["environments"][path]
    assert (found["set"]["wait_timer"], found["can_admins_bypass"]) == (2, False)
    assert stack.delete() == "DELETE_COMPLETE"


def test_an_update_that_would_lose_a_reviewer_who_is_not_shown_is_refused(
    aws: LocalAws, service_token: str, stack: Stack
) -> None:
    path = f"{REPOSITORY}/environments/stage"

    def environment(**properties: Any) -> Any:
        whole = {"Repository": "octo-org/hand-over", "Name": "stage", **properties}
        return template(service_token, {"Environment": ("Custom::GitHubEnvironment", whole)})

    assert stack.create(environment(WaitTimer=1)) == "CREATE_COMPLETE", stack.reasons()
    by_hand = {"wait_timer": 1, "reviewers": [{"type": "User", "id": 9}]}
    aws.at_github(change={path: {"set": by_hand, "hidden_reviewers": [9]}})
    assert stack.update(environment(WaitTimer=2)) == "UPDATE_ROLLBACK_COMPLETE"
    assert "GitHub does not show a reviewer" in stack.reasons()["Environment"], stack.reasons()
    assert aws.at_github()["environments"][path]["set"] == by_hand
    assert stack.delete() == "DELETE_COMPLETE"


def test_protected_branches_that_restrict_nothing_are_a_warning(
    aws: LocalAws, service_token: str, stack: Stack
) -> None:
    kind, properties = PROTECTED
    resources = {"Environment": (kind, {"Repository": "octo-org/hand-over", **properties})}
    outputs = {"Warning": {"Fn::GetAtt": ["Environment", "Warning"]}}
    aws.at_github(unprotected=["octo-org/hand-over"])
    assert stack.create(template(service_token, resources, outputs)) == "CREATE_COMPLETE", stack.reasons()
    assert stack.outputs()["Warning"].startswith("`ProtectedBranches` restricts nothing")
    assert stack.delete() == "DELETE_COMPLETE"


def test_no_secret_and_no_token_is_in_anything_that_is_written(aws: LocalAws, service_token: str, stack: Stack) -> None:
    where = {"Secret": "true", "Value": HIDDEN}
    assert stack.create(declared(service_token, **where)) == "CREATE_COMPLETE", stack.reasons()
    mistaken = {**where, "Value": f"{HIDDEN}-2", "Visibility": "all"}
    assert stack.update(declared(service_token, **mistaken)) == "UPDATE_ROLLBACK_COMPLETE"
    events = str(stack.events())
    assert stack.delete() == "DELETE_COMPLETE"
    log = aws.function_log(FUNCTION)
    assert "github:PUT /repos/octo-org/hand-over/actions/secrets/ROLE" in log
    for text in (log, aws.emulator_log(), events):
        assert HIDDEN not in text
        assert TOKEN not in text
