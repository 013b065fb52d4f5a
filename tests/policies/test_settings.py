"""What the template sets for the function."""

from __future__ import annotations

import re

from render import ACCOUNT, REGION, ROOT, Template

# For a local AWS; docs/threat-model.md names them.
LOCAL = {
    "GITHUB_TRUST_RESPONSE_ORIGIN",
    "GITHUB_TRUST_GITHUB_API",
    "GITHUB_TRUST_HOSTS",
    "GITHUB_TRUST_IAM_LAG_SECONDS",
    "GITHUB_TRUST_THUMBPRINT_CONFIRMATION_SECONDS",
}


def test_the_template_sets_all_but_what_is_for_a_local_aws() -> None:
    read = set(re.findall(r'"(GITHUB_TRUST_[A-Z_]+[A-Z])"', (ROOT / "src" / "settings.rs").read_text()))
    assert read >= LOCAL
    assert not LOCAL & Template().environment().keys()
    assert read - LOCAL <= Template().environment().keys()


def test_the_threat_model_names_what_is_for_a_local_aws() -> None:
    told = (ROOT / "docs" / "threat-model.md").read_text()
    assert not [name for name in LOCAL if name not in told]


def test_the_function_has_the_code_signing_that_a_parameter_names() -> None:
    signing = f"arn:aws:lambda:{REGION}:{ACCOUNT}:code-signing-config:csc-0123456789abcdefg"
    assert Template(CodeSigningConfigArn=signing).function_property("CodeSigningConfigArn") == signing
    assert Template().function_property("CodeSigningConfigArn") is None
