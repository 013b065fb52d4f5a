"""One local AWS for the whole session."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import subprocess
import zipfile
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError

import deployment
from local_aws import ROOT, LocalAws
from stack import Stack


@pytest.fixture(scope="session")
def aws() -> Iterator[LocalAws]:
    with LocalAws() as running:
        yield running


@pytest.fixture(scope="session")
def service_token(aws: LocalAws) -> str:
    """template.yaml, deployed with the real function."""
    deployment.build(aws)
    return deployment.deploy(aws)["ServiceToken"]


@pytest.fixture(scope="session")
def default_account(service_token: str) -> Iterator[LocalAws]:
    """Another account, with the product as it is by default."""
    del service_token  # it has built the function
    with LocalAws() as running:
        deployment.deploy_as(running, deployment.FUNCTION)
        deployment.create_cluster(running, "examples", "API")
        yield running


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The archive of `make bundle`, as it is released. That takes minutes, so everything that looks at it shares it.
    `BUNDLE=target/bundle/….zip` takes one that is there.
    """
    if there := os.environ.get("BUNDLE"):
        return Path(there)
    into = tmp_path_factory.mktemp("bundle")
    environment = {**os.environ, "ARCHITECTURE": deployment.ARCHITECTURE, "BUNDLES": str(into)}
    with deployment.building():
        subprocess.run(["make", "--no-print-directory", "bundle"], cwd=ROOT, env=environment, check=True)
    (found,) = into.iterdir()
    return found


@pytest.fixture(scope="session")
def unpacked(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("unpacked")
    with zipfile.ZipFile(archive) as files:
        files.extractall(directory)
    return directory


@pytest.fixture(scope="session")
def cluster(aws: LocalAws) -> str:
    deployment.create_cluster(aws, "tests", "API")
    return "tests"


@pytest.fixture
def deny(aws: LocalAws, service_token: str) -> Iterator[Callable[..., None]]:
    """`deny("iam:AttachRolePolicy")` takes that from the function's role, until the end of the test or `deny()`."""
    configuration = aws.client("lambda").get_function_configuration(FunctionName=service_token)
    place = {"RoleName": configuration["Role"].rsplit("/", 1)[-1], "PolicyName": "denied-by-a-test"}
    iam = aws.client("iam")

    def say(*actions: str) -> None:
        if actions:
            statement = {"Effect": "Deny", "Action": list(actions), "Resource": "*"}
            policy = {"Version": "2012-10-17", "Statement": [statement]}
            iam.put_role_policy(**place, PolicyDocument=json.dumps(policy))
        else:
            with contextlib.suppress(iam.exceptions.NoSuchEntityException):
                iam.delete_role_policy(**place)

    yield say
    say()


@pytest.fixture
def iam(aws: LocalAws) -> Any:
    return aws.client("iam")


@pytest.fixture
def github_provider(iam: Any) -> Iterator[str]:
    """GitHub's provider, made by hand: a role of a provider that is not there is refused."""
    made = {"Url": "https://token.actions.githubusercontent.com", "ClientIDList": ["sts.amazonaws.com"]}
    arn = iam.create_open_id_connect_provider(**made, ThumbprintList=["1" * 40])["OpenIDConnectProviderArn"]
    yield arn
    iam.delete_open_id_connect_provider(OpenIDConnectProviderArn=arn)


@pytest.fixture
def eks(aws: LocalAws) -> Any:
    return aws.client("eks")


@pytest.fixture
def principal(iam: Any, name: str) -> Iterator[str]:
    """The ARN of a role that nothing of ours owns. The role is gone after the test."""
    statement = {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    role = iam.create_role(RoleName=f"{name}-role", Path="/team/", AssumeRolePolicyDocument=policy)["Role"]
    yield role["Arn"]
    with contextlib.suppress(iam.exceptions.NoSuchEntityException):
        iam.delete_role(RoleName=role["RoleName"])


_numbers = itertools.count(1)


@pytest.fixture
def name() -> str:
    """A name that no other test uses: all of them share one account."""
    return f"t{next(_numbers)}"


@pytest.fixture
def stack(aws: LocalAws, name: str) -> Iterator[Stack]:
    """A stack that is gone after the test."""
    stack = Stack(aws, name)
    yield stack
    with contextlib.suppress(ClientError):
        stack.delete()


Refused = Callable[..., contextlib.AbstractContextManager[None]]


@pytest.fixture
def refused() -> Refused:
    """`with refused("NoSuchEntity", "text"):` expects that error of an AWS call."""

    @contextlib.contextmanager
    def expect(code: str, *texts: str) -> Iterator[None]:
        with pytest.raises(ClientError) as raised:
            yield
        error = raised.value.response["Error"]
        assert error["Code"] == code, error
        for text in texts:
            assert text in error["Message"]

    return expect


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failed test shows the end of the function's log beside its own output."""
    report = yield
    aws = getattr(item, "funcargs", {}).get("aws")
    if report.failed and "service_token" in getattr(item, "fixturenames", []) and isinstance(aws, LocalAws):
        # At the end of the session there may be no AWS any more.
        with contextlib.suppress(BotoCoreError, ClientError):
            log = aws.function_log(deployment.FUNCTION).splitlines()
            report.sections.append(("the function's log", "\n".join(log[-30:])))
    return report
