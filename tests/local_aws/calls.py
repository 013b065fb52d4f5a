"""Which AWS calls the function makes for which request, from a recording."""

from __future__ import annotations

from typing import Any

from deployment import function_calls

Entry = dict[str, Any]


def by_request(recording: list[Entry]) -> list[tuple[Entry, list[Entry]]]:
    """Each request to a custom resource with the calls made before its answer.

    One request at a time: what two stacks do at once cannot be told apart.
    """
    found: list[tuple[Entry, list[Entry]]] = []
    open_request: tuple[Entry, list[Entry]] | None = None
    for entry in recording:
        if entry["kind"] == "request":
            open_request = (entry, [])
            found.append(open_request)
        elif entry["kind"] == "answer":
            open_request = None
        elif open_request is not None and function_calls([entry]):
            open_request[1].append(entry)
    return found


def changing(calls: list[Entry]) -> list[str]:
    return [call["action"] for call in calls if call["changes"]]


def table(recording: list[Entry]) -> str:
    """One line for each different way in which a kind of resource has met a kind of request."""
    lines: list[tuple[str, str, str]] = []
    for request, calls in by_request(recording):
        name = request["request"]
        if name == "Update" and not changing(calls):
            name = "Update to the same"
        line = (request["type"].removeprefix("Custom::"), name, summary(calls))
        if line not in lines:
            lines.append(line)
    order = ["Create", "Update to the same", "Update", "Delete"]
    lines.sort(key=lambda line: (line[0], order.index(line[1])))
    widths = [max(len(line[column]) for line in lines) for column in (0, 1)] if lines else []
    return "\n".join(f"{kind:{widths[0]}}  {name:{widths[1]}}  {actions}" for kind, name, actions in lines)


def summary(calls: list[Entry]) -> str:
    """The actions in order, repetitions counted, failures named."""
    counted: list[tuple[str, int]] = []
    for call in calls:
        text = call["action"] + ("*" if call["changes"] else "") + (f" ({call['error']})" if call["error"] else "")
        if counted and counted[-1][0] == text:
            counted[-1] = (text, counted[-1][1] + 1)
        else:
            counted.append((text, 1))
    return ", ".join(text if count == 1 else f"{text} ×{count}" for text, count in counted) or "none"
