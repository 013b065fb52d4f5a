"""Starts the local AWS: settings come from the environment (see `local_aws.py`)."""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path

from emulator import upstream
from github import server


def main() -> None:
    upstream.check()
    if os.environ.get("EMULATOR_STOPS_WITH_STDIN"):
        threading.Thread(target=_stop_with_stdin, daemon=True).start()
    # Only now: these modules touch the names that have just been found to exist.
    import ministack.app

    from emulator import (
        authorization,
        cloudformation,
        conditions,
        eks,
        hooks,
        iam_providers,
        iam_roles,
        issuers,
        managed_policies,
        native_entry,
        native_function,
        native_provider,
        query_api,
        recording,
        references,
        sts,
    )

    del iam_providers  # importing it has registered its actions
    query_api.install()
    iam_roles.install()
    managed_policies.install()
    eks.install()
    cloudformation.install()
    conditions.install()
    references.install()
    native_function.install()
    native_provider.install()
    native_entry.install()
    hooks.install()
    authorization.install()
    recording.install()
    sts.install()
    ports = (int(os.environ[f"EMULATOR_GITHUB_{name}_PORT"]) for name in ("API", "ISSUER"))
    server.start(*ports, Path(os.environ["EMULATOR_GITHUB_CA"]).parent)
    issuers.install()
    ministack.app.main()


def _stop_with_stdin() -> None:
    """Ends the emulator and its functions once the process that started it is gone, however it ended."""
    sys.stdin.buffer.read()
    os.killpg(os.getpgrp(), signal.SIGTERM)


if __name__ == "__main__":
    main()
