"""What people use instead, installed from pinned files: the CDK's own handler, and crhelper with boto3.

A peer that cannot be had here is left out, and the reason is told.
"""

from __future__ import annotations

import hashlib
import json
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from functions import bundle, event, lambdas_own
from measure import ROOT, Function, Services

HERE = Path(__file__).resolve().parent / "peers"
PLACE = ROOT / "target" / "bench"
_ENVIRONMENT = ROOT / ".venv" / "bench"
_HANDLERS = PLACE / "node_modules" / "aws-cdk-lib" / "custom-resource-handlers" / "dist"


class Missing(Exception):
    """It cannot be had on this machine."""


@dataclass(frozen=True)
class Peer:
    """How it is started, what its package holds, and in which versions it runs."""

    name: str
    function: Callable[[Services], Function]
    package: Mapping[str, bytes]
    versions: tuple[str, ...]


def event_for(services: Services, number: int) -> dict[str, Any]:
    """The same for both: they know an issuer by its address alone, and this machine's is localhost."""
    changed = event(services, "oidc-provider-create")
    properties = changed["ResourceProperties"]
    # The CDK's handler verifies the issuer's certificate only if it is told to.
    properties.update(
        Url=f"https://localhost/{number}", ClientIDList=properties["ClientIdList"], RejectUnauthorized="true"
    )
    return changed


def cdk() -> Peer:
    """As `CustomResourceProvider` deploys it: its entry point, and the handler as `index`."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if not node or not npm:
        raise Missing("there is no node or no npm on the PATH")
    _npm(npm)
    package = {
        "__entrypoint__.js": (_HANDLERS / "core" / "nodejs-entrypoint-handler" / "index.js").read_bytes(),
        "index.js": (_HANDLERS / "aws-iam" / "oidc-handler" / "index.js").read_bytes(),
    }
    place = PLACE / "cdk"
    place.mkdir(exist_ok=True)
    for name, content in package.items():
        (place / name).write_bytes(content)

    def function(services: Services) -> Function:
        environment = {
            **lambdas_own(services, "__entrypoint__.handler"),
            "AWS_EXECUTION_ENV": "AWS_Lambda_nodejs20.x",
            # A runtime of Lambda's has a newer Node.
            "AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED": "true",
            # Node has the public CAs compiled in.
            "NODE_EXTRA_CA_CERTS": services.places["root"],
        }
        return Function(
            "the CDK's handler", [node, str(HERE / "runtime.cjs"), str(place / "__entrypoint__.js")], environment
        )

    version = subprocess.run([node, "--version"], check=True, capture_output=True, text=True).stdout.strip()
    wanted = json.loads((HERE / "package.json").read_text())["dependencies"]
    return Peer("CDK", function, package, (f"Node {version}", *(f"{name} {number}" for name, number in wanted.items())))


def _npm(npm: str) -> None:
    lock = (HERE / "package-lock.json").read_bytes()
    stamp, wanted = PLACE / ".made-from", hashlib.sha256(lock).hexdigest()
    if stamp.is_file() and stamp.read_text() == wanted:
        return
    print("installing the CDK's handler from tests/bench/peers/package-lock.json", flush=True)
    PLACE.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(HERE / name, PLACE)
    command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    done = subprocess.run(command, cwd=PLACE, capture_output=True, text=True)
    if done.returncode:
        raise Missing(f"npm could not install it: {done.stderr.strip()}")
    stamp.write_text(wanted)


def crhelper() -> Peer:
    """As a Python function is deployed: its handler, and crhelper beside it. Lambda's runtime has boto3."""
    install = [sys.executable, str(ROOT / "requirements" / "install.py"), "bench"]
    if subprocess.run(install).returncode:
        raise Missing("its environment could not be made")
    python = _ENVIRONMENT / "bin" / "python"
    (library,) = (_ENVIRONMENT / "lib").glob("python*/site-packages/crhelper")
    package = {f"crhelper/{path.name}": path.read_bytes() for path in sorted(library.glob("*.py"))}
    package["handler.py"] = (HERE / "handler.py").read_bytes()

    def function(services: Services) -> Function:
        environment = {
            **lambdas_own(services, "handler.handler"),
            "AWS_EXECUTION_ENV": f"AWS_Lambda_python{'.'.join(platform.python_version_tuple()[:2])}",
            "ISSUER_PORT": services.places["tls"].rpartition(":")[2],
            "LAMBDA_TASK_ROOT": str(HERE),
            "PYTHONPATH": str(HERE),
            "SSL_CERT_FILE": str(bundle(services)),
        }
        return Function("crhelper", [str(python), "-m", "awslambdaric", "handler.handler"], environment)

    lines = (ROOT / "requirements" / "bench.txt").read_text().splitlines()
    pins = dict(line.split("==") for line in lines if "==" in line)
    versions = [f"{name} {pins[name]}" for name in ("crhelper", "boto3", "awslambdaric")]
    return Peer("crhelper", function, package, (f"Python {platform.python_version()}", *versions))


def all_of(services: Services) -> tuple[list[Peer], list[str]]:
    """Those that can be had, and why the others cannot."""
    peers, missing = [], []
    for name, make in (("the CDK's handler", cdk), ("crhelper", crhelper)):
        try:
            if make is cdk and not services.places["tls"].endswith(":443"):
                raise Missing(
                    "it knows no port but 443, where this user may not listen "
                    "(sudo sysctl net.ipv4.ip_unprivileged_port_start=443)"
                )
            peers.append(make())
        except Missing as error:
            missing.append(f"{name} is left out: {error}")
    return peers, missing
