"""The bill of materials: CycloneDX 1.6, the same bytes for the same sources and the same binary."""

from __future__ import annotations

import datetime
import hashlib
import json
import uuid
from typing import Any
from urllib.parse import quote

from crates import Crate


def bill(crates: list[Crate], bootstrap: bytes, architecture: str, compiler: str, epoch: int) -> str:
    ours, *others = crates
    root = _component(ours, "application")
    root["hashes"] = [{"alg": "SHA-256", "content": hashlib.sha256(bootstrap).hexdigest()}]
    root["properties"] = [
        {"name": "github-trust:architecture", "value": architecture},
        {"name": "github-trust:hashes", "value": "of the file bootstrap in function.zip"},
    ]
    document: dict[str, Any] = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "timestamp": datetime.datetime.fromtimestamp(epoch, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "lifecycles": [{"phase": "build"}],
            "tools": {"components": [{"type": "application", "name": "rustc", "version": compiler}]},
            "component": root,
        },
        "components": [_component(crate, "library") for crate in others],
        "dependencies": [
            {"ref": purl(crate.key), "dependsOn": [purl(need) for need in crate.needs]} for crate in crates
        ],
    }
    # A number that is random would make every build another one.
    serial = uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(document, sort_keys=True))
    return json.dumps({**document, "serialNumber": f"urn:uuid:{serial}"}, indent=1, sort_keys=True) + "\n"


def purl(key: tuple[str, str]) -> str:
    name, version = key
    return f"pkg:cargo/{name}@{quote(version, safe='')}"


def _component(crate: Crate, kind: str) -> dict[str, Any]:
    found: dict[str, Any] = {
        "type": kind,
        "bom-ref": purl(crate.key),
        "name": crate.name,
        "version": crate.version,
        "description": crate.description,
        "purl": purl(crate.key),
        "licenses": [{"expression": crate.licence}],
    }
    if crate.checksum:
        found["hashes"] = [{"alg": "SHA-256", "content": crate.checksum}]
    return found
