"""One local AWS for the whole session."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local_aws import LocalAws
from stack import Stack


@pytest.fixture(scope="session")
def aws() -> Iterator[LocalAws]:
    with LocalAws() as running:
        yield running


@pytest.fixture
def iam(aws: LocalAws) -> Any:
    return aws.client("iam")


@pytest.fixture
def eks(aws: LocalAws) -> Any:
    return aws.client("eks")


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
