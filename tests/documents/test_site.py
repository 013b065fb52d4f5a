"""The pages of the site, as site/build.py writes them."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from links import ROOT

sys.path.insert(0, str(ROOT / "site"))

import build

PAGE = """\
## 1. Deploy the function
See [below](#1-deploy-the-function), [there](docs/quick-start.md#2-let-a-repository-in), [code](src/lib.rs), [us](#us).

```sh
# 1. no heading, and [no link](#1-no-heading)
```
"""


def test_no_anchor_begins_with_a_digit() -> None:
    heading, text, *rest = build.linked(Path("README.md"), PAGE, "https://example.com").splitlines()
    assert heading == "## 1. Deploy the function {#step-1-deploy-the-function}"
    assert "[below](#step-1-deploy-the-function), [there](docs/quick-start.md#step-2-let-a-repository-in)" in text
    assert text.endswith("[code](https://example.com/src/lib.rs), [us](#us).")
    assert rest == PAGE.splitlines()[2:]


def test_no_message_of_a_diagram_has_a_semicolon() -> None:
    """Mermaid ends a statement there, and does not draw the rest."""
    for path in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]:
        for diagram in re.findall(r"```mermaid\n(.*?)```", path.read_text(), flags=re.DOTALL):
            if diagram.startswith("sequenceDiagram"):
                assert [line for line in diagram.splitlines() if ";" in line] == [], path


def test_an_anchor_is_github_s() -> None:
    assert build.slug("16. Own retry instead of the SDK's") == "16-own-retry-instead-of-the-sdks"
