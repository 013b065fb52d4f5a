#!/usr/bin/env python3
"""Reads what went over the simulated wire with botocore's own parsers, and holds it against botocore's models.

    TRANSCRIPT=target/wire.jsonl cargo test --test suite transcribe -- --ignored
    pip install botocore && python3 tests/simulation/check_transcript.py target/wire.jsonl

For every request: the operation exists, and its parameters pass botocore's validation. For every answer: it can be
parsed, the members that the model requires are there, and an error's code is one of the operation's, or one of those
that are documented for every operation.
"""

import collections
import json
import sys
import urllib.parse

import botocore.loaders
import botocore.model
import botocore.parsers
import botocore.validate

# "Common errors" of both API references; ConcurrentModification beyond the model: terraform-provider-aws#34371.
COMMON = {
    "ValidationError",
    "Throttling",
    "ThrottlingException",
    "AccessDenied",
    "AccessDeniedException",
    "ConcurrentModification",
}
# Answered by the services though no list of errors says so: a boundary that does not exist; what is wrong with a path.
QUIRKS = {
    ("CreateRole", "NoSuchEntity"),
    ("PutRolePermissionsBoundary", "NoSuchEntity"),
}


PROTOCOLS = {
    "iam": "query",
    "cloudformation": "query",
    "eks": "rest-json",
    "secretsmanager": "json",
}


def models():
    loader = botocore.loaders.Loader()
    return {
        name: botocore.model.ServiceModel(
            loader.load_service_model(name, "service-2"), name
        )
        for name in PROTOCOLS
    }


def missing(shape, value, path):
    """Required members that are not there."""
    if shape.type_name == "structure":
        for name in shape.required_members:
            if name not in value:
                yield f"{path}.{name} is missing"
        for name, member in shape.members.items():
            if name in value:
                yield from missing(member, value[name], f"{path}.{name}")
    elif shape.type_name == "list":
        for index, item in enumerate(value):
            yield from missing(shape.member, item, f"{path}[{index}]")


def query_input(shape, form, prefix=""):
    """The parameters of a request in the Query protocol."""
    if shape.type_name == "structure":
        names = (
            {
                name: query_input(member, form, f"{prefix}{name}")
                for name, member in shape.members.items()
            }
            if not prefix
            else {
                name: query_input(member, form, f"{prefix}.{name}")
                for name, member in shape.members.items()
            }
        )
        return {
            name: value for name, value in names.items() if value is not None
        } or None
    if shape.type_name == "list":
        items, index = [], 1
        while (
            item := query_input(shape.member, form, f"{prefix}.member.{index}")
        ) is not None:
            items.append(item)
            index += 1
        return items if items or prefix in form else None
    if prefix not in form:
        return None
    return int(form[prefix]) if shape.type_name == "integer" else form[prefix]


def wrong_request(exchange, operation):
    if exchange["service"] != "iam" or operation.input_shape is None:
        return
    form = dict(urllib.parse.parse_qsl(exchange["request"], keep_blank_values=True))
    known = query_input(operation.input_shape, form) or {}
    report = botocore.validate.ParamValidator().validate(known, operation.input_shape)
    if report.has_errors():
        yield report.generate_report()


def wrong_answer(exchange, operation):
    parser = botocore.parsers.create_parser(PROTOCOLS[exchange["service"]])
    answer = {
        "status_code": exchange["status"],
        "headers": collections.ChainMap(exchange["headers"]),
        "body": exchange["answer"].encode(),
    }
    parsed = parser.parse(answer, operation.output_shape)
    if exchange["status"] >= 300:
        code = parsed["Error"]["Code"]
        listed = {shape.error_code for shape in operation.error_shapes} | {
            shape.name for shape in operation.error_shapes
        }
        if code not in listed | COMMON and (operation.name, code) not in QUIRKS:
            yield f"the error {code} is not one of {sorted(listed)}"
        if not parsed["Error"].get("Message"):
            yield f"the error {code} has no message"
    elif operation.output_shape is not None:
        parsed.pop("ResponseMetadata", None)
        yield from missing(operation.output_shape, parsed, operation.name)


def main(path):
    services, seen, complaints = models(), collections.Counter(), collections.Counter()
    with open(path) as transcript:
        for line in transcript:
            exchange = json.loads(line)
            if exchange["service"] not in services:
                continue
            operation = services[exchange["service"]].operation_model(
                exchange["action"]
            )
            seen[
                f"{exchange['service']}:{exchange['action']} {exchange['status']}"
            ] += 1
            for wrong in (
                *wrong_request(exchange, operation),
                *wrong_answer(exchange, operation),
            ):
                complaints[f"{exchange['action']}: {wrong}"] += 1
    for complaint, count in complaints.items():
        print(f"{count} × {complaint}")
    print(
        f"{sum(seen.values())} exchanges of {len(seen)} kinds read by botocore, {len(complaints)} complaints"
    )
    return bool(complaints) or not seen


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
