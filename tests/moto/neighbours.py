"""The issuers and the GitHub of tests/local_aws, without its AWS: `neighbours.py DIRECTORY ISSUERS API TOKENS` (ports).

They end when their standard input does.
"""

from __future__ import annotations

import socket
import sys
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "local_aws"))

from emulator.issuers import Issuers
from github import server


def main(directory: Path, issuers: int, api: int, tokens: int) -> None:
    listener = socket.create_server(("127.0.0.1", issuers))
    threading.Thread(target=Issuers(directory).serve, args=(listener,), daemon=True).start()
    server.start(api, tokens, directory)
    sys.stdin.read()


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))
