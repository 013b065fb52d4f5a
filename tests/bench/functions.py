"""How the function is started, in the environment that Lambda gives it, and the events that it gets.

They are the recorded events of this repository, for the account that the services simulate.
"""

from __future__ import annotations

import json
import ssl
import time
from pathlib import Path
from typing import Any

from measure import ROOT, Function, Services

# As the simulation has them: tests/simulation/account.rs.
ACCOUNT, REGION = "111122223333", "eu-west-1"
# Of the template.
_MEMORY = "256"
_NAME = "github-trust"
ISSUER = "token.actions.githubusercontent.com"


def lambdas_own(services: Services, handler: str) -> dict[str, str]:
    """What Lambda itself sets: docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html. Only LD_LIBRARY_PATH is
    left out: libraries are elsewhere on this machine, and would be looked for in vain in seven directories."""
    return {
        "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
        "AWS_DEFAULT_REGION": REGION,
        "AWS_EXECUTION_ENV": "AWS_Lambda_provided.al2023",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": _MEMORY,
        "AWS_LAMBDA_FUNCTION_NAME": _NAME,
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{_NAME}",
        "AWS_LAMBDA_LOG_STREAM_NAME": "2026/01/01/[$LATEST]0123456789abcdef0123456789abcdef",
        "AWS_LAMBDA_RUNTIME_API": services.places["runtime"],
        "AWS_REGION": REGION,
        "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        "AWS_SESSION_TOKEN": "IQoJb3JpZ2luX2VjEXAMPLETOKEN",
        "AWS_XRAY_CONTEXT_MISSING": "LOG_ERROR",
        "AWS_XRAY_DAEMON_ADDRESS": "169.254.79.129:2000",
        "LANG": "en_US.UTF-8",
        "PATH": "/usr/local/bin:/usr/bin/:/bin:/opt/bin",
        "TZ": ":UTC",
        "_HANDLER": handler,
        # Where AWS is on this machine.
        "AWS_ENDPOINT_URL_IAM": f"http://{services.places['iam']}",
        "AWS_ENDPOINT_URL_CLOUDFORMATION": f"http://{services.places['cloudformation']}",
        "AWS_ENDPOINT_URL_EKS": f"http://{services.places['eks']}",
        "AWS_ENDPOINT_URL_SECRETS_MANAGER": f"http://{services.places['secretsmanager']}",
    }


def bundle(services: Services) -> Path:
    """The public CAs of this machine and the one of the services: what a function reads has its real size."""
    path = services.directory / "bundle.pem"
    if not path.is_file():
        public = ssl.get_default_verify_paths().openssl_cafile
        found = next((Path(place) for place in [*_BUNDLES, public] if Path(place).is_file()), None)
        text = found.read_text() if found else ""
        path.write_text(text + Path(services.places["root"]).read_text())
    return path


_BUNDLES = ("/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/certs/ca-certificates.crt")


def ours(services: Services, bootstrap: Path, **variables: str) -> Function:
    environment = {
        **lambdas_own(services, "bootstrap"),
        "GITHUB_TRUST_GITHUB_API": f"{services.tls}/api/v3",
        "GITHUB_TRUST_HOSTS": f"{ISSUER}={services.places['tls']}",
        "GITHUB_TRUST_PRIVATE_ISSUERS": "true",
        "GITHUB_TRUST_RESPONSE_ORIGIN": services.tls,
        # The one that the recorded roles have.
        "GITHUB_TRUST_ROLE_PERMISSIONS_BOUNDARY": f"arn:aws:iam::{ACCOUNT}:policy/ci-boundary",
        "SSL_CERT_FILE": str(bundle(services)),
        **variables,
    }
    return Function("github-trust", [str(bootstrap)], environment)


def event(services: Services, name: str, **changes: Any) -> dict[str, Any]:
    """A recorded event, as CloudFormation would send it now to the account of the services."""
    text = (ROOT / "events" / f"{name}.json").read_text()
    text = text.replace("123456789012", ACCOUNT).replace("us-east-1", REGION)
    found: dict[str, Any] = json.loads(text)
    query = found["ResponseURL"].partition("?")[2]
    date = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    found["ResponseURL"] = f"{services.tls}/{found['LogicalResourceId']}?" + query.replace("20261121T000000Z", date)
    return {**found, **changes}


def provider_events(services: Services, number: int) -> list[dict[str, Any]]:
    """So many Creates, each of another provider: enterprises have issuers of their own, behind github.com's host."""
    events = [event(services, "oidc-provider-create") for _ in range(number)]
    for index, found in enumerate(events[1:], start=1):
        found["LogicalResourceId"] = f"Provider{index}"
        found["RequestId"] = f"{index:08d}-ab0e-53d4-8add-36e9676e92ae"
        found["ResourceProperties"]["Url"] = f"https://{ISSUER}/enterprise-{index}"
    return events
