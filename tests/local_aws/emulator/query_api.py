"""How the overlay adds to ministack's IAM: whole actions (`answers`) and checks before its own ones (`before`).

IAM speaks the Query API: flat form parameters in, XML out.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

import ministack.services.iam as iam

Params = dict[str, list[str]]
Response = tuple[int, dict[str, str], bytes]
Handler = Callable[[Params], Response]

_ANSWERS: dict[str, Callable[[Params], str | None]] = {}
_CHECKS: dict[str, list[Callable[[Params], None]]] = {}


class Refused(Exception):
    """An error of the service: its HTTP status, code and message."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


def answers(action: str) -> Callable[[Callable[[Params], str | None]], Callable[[Params], str | None]]:
    """The decorated function answers `action`: with the inside of the result element, or None if it has none."""

    def register(function: Callable[[Params], str | None]) -> Callable[[Params], str | None]:
        _ANSWERS[action] = function
        return function

    return register


def before(*actions: str) -> Callable[[Callable[[Params], None]], Callable[[Params], None]]:
    """The decorated function may refuse any of `actions`, which ministack otherwise answers itself."""

    def register(function: Callable[[Params], None]) -> Callable[[Params], None]:
        for action in actions:
            _CHECKS.setdefault(action, []).append(function)
        return function

    return register


def install() -> None:
    # ministack drops parameters that are empty, so `Description=` could never clear a description.
    iam.parse_qs = functools.partial(parse_qs, keep_blank_values=True)
    for action, function in _ANSWERS.items():
        iam._IAM_HANDLERS[action] = _answering(action, function)
    for action, checks in _CHECKS.items():
        iam._IAM_HANDLERS[action] = _checked(iam._IAM_HANDLERS[action], checks)


def _answering(action: str, function: Callable[[Params], str | None]) -> Handler:
    def handler(params: Params) -> Response:
        try:
            result = function(params)
        except Refused as refusal:
            return _error(refusal)
        inner = "" if result is None else f"<{action}Result>{result}</{action}Result>"
        return iam._xml(200, f"{action}Response", inner)

    return handler


def _checked(handler: Handler, checks: list[Callable[[Params], None]]) -> Handler:
    def checked(params: Params) -> Response:
        try:
            for check in checks:
                check(params)
        except Refused as refusal:
            return _error(refusal)
        return handler(params)

    return checked


def _error(refusal: Refused) -> Response:
    return iam._error(refusal.status, refusal.code, escape(refusal.message))


def value(params: Params, name: str) -> str | None:
    return params[name][0] if params.get(name) else None


def required(params: Params, name: str) -> str:
    found = value(params, name)
    if not found:
        field = name[0].lower() + name[1:]
        raise invalid(None, field, "Member must not be null")
    return found


def members(params: Params, name: str) -> list[str]:
    """The list `name.member.1`, `name.member.2`, …"""
    found: list[str] = []
    while (item := value(params, f"{name}.member.{len(found) + 1}")) is not None:
        found.append(item)
    return found


def tags(params: Params) -> dict[str, str]:
    found: dict[str, str] = {}
    number = 1
    while (key := value(params, f"Tags.member.{number}.Key")) is not None:
        found[key] = value(params, f"Tags.member.{number}.Value") or ""
        number += 1
    return found


def tags_xml(tag_list: list[dict[str, str]]) -> str:
    return "".join(
        f"<member><Key>{escape(tag['Key'])}</Key><Value>{escape(tag['Value'])}</Value></member>" for tag in tag_list
    )


def invalid(found: object, field: str, constraint: str) -> Refused:
    """The one form in which IAM reports a parameter that its model does not allow."""
    shown = "Value" if found is None else f"Value '{found}'"
    return Refused(
        400,
        "ValidationError",
        f"1 validation error detected: {shown} at '{field}' failed to satisfy constraint: {constraint}",
    )


def check_length(found: str, field: str, longest: int, shortest: int = 0) -> None:
    if len(found) > longest:
        raise invalid(found, field, f"Member must have length less than or equal to {longest}")
    if len(found) < shortest:
        raise invalid(found, field, f"Member must have length greater than or equal to {shortest}")


def check_pattern(found: str, field: str, pattern: str) -> None:
    if re.fullmatch(pattern, found) is None:
        raise invalid(found, field, f"Member must satisfy regular expression pattern: {pattern}")


TAGS_PER_RESOURCE = 50
_TAG_KEY = r"[\w\s.:/=+\-@]+"
_TAG_VALUE = r"[\w\s.:/=+\-@]*"


def check_tags(new: dict[str, str], old: list[dict[str, str]] | None = None) -> None:
    """`old` are the tags that a resource already has; None for one that is being made."""
    for key, text in new.items():
        check_length(key, "tags", 128, 1)
        check_length(text, "tags", 256)
        check_pattern(key, "tags", _TAG_KEY)
        check_pattern(text, "tags", _TAG_VALUE)
        if key.lower().startswith("aws:"):
            raise Refused(
                400, "InvalidInput", "System tag policy violation: Tag keys with the prefix 'aws:' are reserved."
            )
    if old is None and len(new) > TAGS_PER_RESOURCE:
        raise invalid(None, "tags", f"Member must have length less than or equal to {TAGS_PER_RESOURCE}")
    if len({tag["Key"] for tag in old or []} | set(new)) > TAGS_PER_RESOURCE:
        raise Refused(409, "LimitExceeded", f"The number of tags has reached the maximum limit: {TAGS_PER_RESOURCE}")
