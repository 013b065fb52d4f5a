"""What is set for workflows: variables, secrets and environments. Every request is held against GitHub's description
before it is carried out, and every secret is opened by libsodium."""

from __future__ import annotations

import base64
import datetime
import json
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from nacl.exceptions import CryptoError
from nacl.public import PrivateKey, SealedBox

from github.answers import answer, endpoint_of, refuse
from github.repositories import OPTED_IN, OPTED_OUT, UNPROTECTED

KEY_ID = "568250167242549743"
_ITEM = re.compile(r"(?P<place>/.+?)/(?P<sort>variables|secrets)(?:/(?P<name>[^/]+))?(?P<rest>/repositories)?")
_ENVIRONMENT = re.compile(r"(?P<place>/repos/[^/]+/[^/]+/environments/[^/]+)(?P<rest>/deployment-branch-policies.*)?")
_SUBJECTS = re.compile(r"/(?:repos/([^/]+/[^/]+)|orgs/([^/]+))/actions/oidc/customization/sub")
_TEXT = re.compile(r"[A-Z_][A-Z0-9_]*")

Answer = tuple[int, Any]


class Settings:
    """By place: `/repos/o/r/actions`, `/repos/o/r/environments/e` or `/orgs/o/actions`."""

    def __init__(self) -> None:
        self._key = PrivateKey.generate()
        self.items: dict[str, dict[str, Any]] = {}
        self.environments: dict[str, dict[str, Any]] = {}
        # Each request as `METHOD endpoint` of the description, with the status that it got.
        self.seen: list[tuple[str, int]] = []
        # The next answer of an endpoint, where a test wants another.
        self.refusals: dict[str, int] = {}
        # The number of such answers, where it is not one.
        self.times: dict[str, int] = {}
        # A PUT of an environment without `can_admins_bypass` lets administrators bypass its rules. No source tells.
        self.resets_bypass = False
        # A PUT with it is refused, as by older servers: terraform-provider-github#1804.
        self.refuses_bypass = False

    def local(self, body: dict[str, Any]) -> Answer:
        """What a test asks of this GitHub beside its API: to look, to set something by hand, to refuse."""
        for path, value in body.get("set", {}).items():
            self._write(path, {"value": value}, age=body.get("age", 0))
        for path in body.get("remove", []):
            self.items.pop(path, None)
            self.environments.pop(path, None)
        for path, protected in body.get("environments", {}).items():
            policy = {"protected_branches": True, "custom_branch_policies": False} if protected else None
            self._make(path, {"deployment_branch_policy": policy}, age=body.get("age", 0))
        for path, change in body.get("change", {}).items():
            self.environments[path].update(change)
        UNPROTECTED.update(body.get("unprotected", []))
        UNPROTECTED.difference_update(body.get("protected", []))
        self.resets_bypass = body.get("resets_bypass", self.resets_bypass)
        self.refuses_bypass = body.get("refuses_bypass", self.refuses_bypass)
        self.refusals.update(body.get("refuse", {}))
        self.times.update(body.get("times", {}))
        values = {path: item["value"] for path, item in self.items.items()}
        return 200, {
            "values": values,
            "items": self.items,
            "environments": self.environments,
            "seen": self.seen,
        }

    def checked(self, method: str, target: str, body: bytes, answered: Callable[[], Answer]) -> Answer:
        """An answer of the rest of the API, for a request that GitHub's description knows."""
        url = urlsplit(target)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        endpoint = endpoint_of(method, url.path, query, json.loads(body) if body else None)
        refusal = self.refusals.get(endpoint)
        self.times[endpoint] = self.times.get(endpoint, 1) - 1
        if self.times[endpoint] <= 0:
            self.refusals.pop(endpoint, None)
            del self.times[endpoint]
        found = answered() if refusal is None else refuse(endpoint, refusal)
        self.seen.append((endpoint, found[0]))
        return found

    def handle(self, method: str, target: str, known: bool, body: bytes) -> Answer | None:
        """Nothing for a path that is none of these."""
        url = urlsplit(target)
        path = url.path
        if method == "PUT" and known and (subjects := _SUBJECTS.fullmatch(path)):
            return self._opt(subjects[1] or subjects[2], path, json.loads(body))
        environment = _ENVIRONMENT.fullmatch(path)
        match = _ITEM.fullmatch(path)
        if not environment and (not match or "/oidc/" in path):
            return None
        content = json.loads(body) if body else None
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        endpoint = endpoint_of(method, path, query, content)
        if endpoint in self.refusals:
            found: Answer = refuse(endpoint, self.refusals.pop(endpoint))
        elif not known:
            found = _not_found()
        elif environment:
            found = self._environment(endpoint, method, unquote(environment["place"]), environment["rest"], content)
        else:
            found = self._item(endpoint, method, match, content or {}, query)
        self.seen.append((endpoint, found[0]))
        return found

    def _opt(self, whose: str, path: str, wanted: dict[str, Any]) -> Answer:
        endpoint = endpoint_of("PUT", path, {}, wanted)
        if endpoint in self.refusals:
            found = refuse(endpoint, self.refusals.pop(endpoint))
            self.seen.append((endpoint, found[0]))
            return found
        OPTED_IN.discard(whose)
        OPTED_OUT.discard(whose)
        choice = wanted.get("use_immutable_subject")
        if choice is not None:
            (OPTED_IN if choice else OPTED_OUT).add(whose)
        self.seen.append((endpoint, 201))
        return answer(endpoint, {})

    def _make(self, path: str, wanted: dict[str, Any], age: int = 0) -> None:
        new = {"created_at": _time(age), "patterns": {}, "can_admins_bypass": True, "hidden_reviewers": []}
        kept = self.environments.get(path, new)
        custom = (wanted.get("deployment_branch_policy") or {}).get("custom_branch_policies")
        bypass = wanted.get("can_admins_bypass", kept["can_admins_bypass"] or self.resets_bypass)
        changed = {"set": wanted, "can_admins_bypass": bypass}
        self.environments[path] = {**kept, **changed, **({} if custom else {"patterns": {}})}

    def _environment(
        self, endpoint: str, method: str, path: str, rest: str | None, content: dict[str, Any] | None
    ) -> Answer:
        if method == "PUT" and not rest:
            policy = (content or {}).get("deployment_branch_policy")
            if policy and policy["protected_branches"] == policy["custom_branch_policies"]:
                return refused(422, "protected_branches and custom_branch_policies cannot have the same value")
            if self.refuses_bypass and "can_admins_bypass" in (content or {}):
                return refused(422, 'Invalid request.\n\n"can_admins_bypass" is not a permitted key.')
            self._make(path, content or {})
        elif path not in self.environments:
            return _not_found()
        elif rest:
            return self._patterns(endpoint, method, self.environments[path], rest, content or {})
        elif method == "DELETE":
            del self.environments[path]
            self.items = {name: item for name, item in self.items.items() if not name.startswith(f"{path}/")}
            return 204, None
        return answer(endpoint, self._described(path))

    def _described(self, path: str) -> dict[str, Any]:
        environment = self.environments[path]
        wanted, rules = environment["set"], []
        if wanted.get("wait_timer"):
            rules.append({"id": 1, "node_id": "x", "type": "wait_timer", "wait_timer": wanted["wait_timer"]})
        if wanted.get("reviewers"):
            _, user = answer("GET /users/{username}", {})
            hidden = environment["hidden_reviewers"]
            shown = [
                {"type": "User"} if one["id"] in hidden else {"type": "User", "reviewer": {**user, "id": one["id"]}}
                for one in wanted["reviewers"]
            ]
            own = wanted.get("prevent_self_review", False)
            rule = {"id": 2, "node_id": "x", "type": "required_reviewers", "prevent_self_review": own}
            rules.append({**rule, "reviewers": shown})
        policy = wanted.get("deployment_branch_policy")
        if policy:
            rules.append({"id": 3, "node_id": "x", "type": "branch_policy"})
        return {
            "name": path.rsplit("/", 1)[-1],
            "created_at": environment["created_at"],
            "protection_rules": rules,
            "deployment_branch_policy": policy,
            "can_admins_bypass": environment["can_admins_bypass"],
        }

    def _patterns(
        self, endpoint: str, method: str, environment: dict[str, Any], rest: str, content: dict[str, Any]
    ) -> Answer:
        patterns: dict[str, Any] = environment["patterns"]
        if method == "GET":
            return answer(endpoint, {"total_count": len(patterns), "branch_policies": [*patterns.values()]})
        if method == "DELETE":
            return (204, None) if patterns.pop(rest.rsplit("/", 1)[-1], None) else _not_found()
        policy = environment["set"].get("deployment_branch_policy") or {}
        if not policy.get("custom_branch_policies"):
            return _not_found()
        if any(one["name"] == content["name"] and one["type"] == content["type"] for one in patterns.values()):
            return 303, None
        number = max(map(int, patterns), default=100) + 1
        patterns[str(number)] = {"id": number, "node_id": "x", **content}
        return answer(endpoint, patterns[str(number)])

    def _item(
        self, endpoint: str, method: str, match: re.Match[str], content: dict[str, Any], query: dict[str, str]
    ) -> Answer:
        place, sort, name = unquote(match["place"]), match["sort"], match["name"]
        if "/environments/" in place and place not in self.environments:
            return _not_found()
        if method == "GET" and name == "public-key":
            key = base64.b64encode(bytes(self._key.public_key)).decode()
            return answer(endpoint, {"key_id": KEY_ID, "key": key})
        if method == "GET" and not name:
            return self._listed(endpoint, f"{place}/{sort}/", sort, query)
        path = f"{place}/{sort}/{name or content.get('name')}"
        if match["rest"]:
            return self._selected(endpoint, path, query)
        if method == "POST":
            if path in self.items:
                return refused(409, "Already exists - Variable already exists")
            if not _TEXT.fullmatch(content["name"]):
                return refused(422, "Variable names can only contain alphanumeric characters")
            self._write(path, content)
            return answer(endpoint, {})
        if method == "PUT":
            return self._seal(endpoint, path, content)
        if path not in self.items:
            return _not_found()
        if method == "GET":
            return answer(endpoint, self._shown(path, sort))
        if method == "PATCH":
            self._write(path, content)
        else:
            del self.items[path]
        return 204, None

    def _listed(self, endpoint: str, beginning: str, sort: str, query: dict[str, str]) -> Answer:
        paths = sorted(path for path in self.items if path.startswith(beginning))
        size, page = min(int(query.get("per_page", 10)), 30), int(query.get("page", 1))
        shown = [self._shown(path, sort) for path in paths[(page - 1) * size : page * size]]
        return answer(endpoint, {"total_count": len(paths), sort: shown})

    def _seal(self, endpoint: str, path: str, content: dict[str, Any]) -> Answer:
        if content["key_id"] != KEY_ID:
            return refused(422, "The key_id is not that of the public key")
        try:
            value = SealedBox(self._key).decrypt(base64.b64decode(content["encrypted_value"])).decode()
        except CryptoError:
            return refused(422, "Bad request - the secret is not sealed to the public key")
        new = path not in self.items
        self._write(path, {**content, "value": value})
        return answer(endpoint, {}) if new else (204, None)

    def _write(self, path: str, content: dict[str, Any], age: int = 0) -> None:
        now = _time(age)
        item = self.items.setdefault(path, {"created_at": now, "value": ""})
        for name in ("value", "visibility", "selected_repository_ids"):
            if name in content:
                item[name] = content[name]
        item["updated_at"] = now

    def _shown(self, path: str, sort: str) -> dict[str, Any]:
        item = self.items[path]
        shown = {"name": path.rsplit("/", 1)[-1], "created_at": item["created_at"], "updated_at": item["updated_at"]}
        if sort == "variables":
            shown["value"] = item["value"]
        if path.startswith("/orgs/"):
            shown["visibility"] = item.get("visibility", "all")
        return shown

    def _selected(self, endpoint: str, path: str, query: dict[str, str]) -> Answer:
        item = self.items.get(path)
        if item is None:
            return _not_found()
        if item.get("visibility") != "selected":
            return refuse(endpoint, 409)
        ids = item.get("selected_repository_ids", [])
        size, page = int(query.get("per_page", 30)), int(query.get("page", 1))
        shown = ids[(page - 1) * size : page * size]
        _, whole = answer("GET /repos/{owner}/{repo}", {})
        described = [{**whole, "id": number} for number in shown]
        return answer(endpoint, {"total_count": len(ids), "repositories": described})


def refused(status: int, message: str) -> Answer:
    return status, {"message": message, "documentation_url": "https://docs.github.com/rest", "status": str(status)}


def _not_found() -> Answer:
    return refused(404, "Not Found")


def _time(age: int) -> str:
    moment = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(seconds=age)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
