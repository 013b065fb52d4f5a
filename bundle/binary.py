"""Whether Amazon Linux 2023 can start a binary on the architecture that it is for, as far as its bytes tell."""

from __future__ import annotations

import re

# e_machine of the ELF header, https://refspecs.linuxfoundation.org/elf/gabi4+/ch4.eheader.html
_MACHINES = {"x86_64": 62, "arm64": 183}
# https://docs.aws.amazon.com/linux/al2023/ug/compare-with-al2.html
GLIBC = (2, 34)


class Unfit(Exception):
    """The binary would not start."""


def check(content: bytes, architecture: str) -> None:
    if content[:4] != b"\x7fELF":
        raise Unfit("the binary is no ELF file")
    machine = int.from_bytes(content[18:20], "little")
    if machine != _MACHINES[architecture]:
        raise Unfit(f"the binary is not for {architecture}: its ELF header says machine {machine}")
    newest = max((_version(match) for match in re.findall(rb"GLIBC_(2\.\d+)", content)), default=(0, 0))
    if newest > GLIBC:
        wanted, there = (".".join(map(str, version)) for version in (newest, GLIBC))
        raise Unfit(f"the binary needs glibc {wanted}, and Amazon Linux 2023 has {there}")


def _version(text: bytes) -> tuple[int, ...]:
    return tuple(int(part) for part in text.decode().split("."))
