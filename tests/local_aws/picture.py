"""Takes the picture of the audit's page: an account of the local AWS with roles as tutorials make them.

.venv/bin/python tests/local_aws/picture.py docs/audit.png
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from local_aws import ACCOUNT, ROOT, LocalAws
from tutorials import COMMAND_ALONE, ISSUER, build_command, make, run

sys.path.append(str(ROOT / "tests" / "page"))

from browser import look, missing

from deployment import create_cluster

PRINCIPAL = f"arn:aws:iam::{ACCOUNT}:role/with-ids"
EDIT = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSEditPolicy"


def main(into: Path) -> int:
    if problem := missing():
        raise SystemExit(problem)
    build_command(alone=True)
    with LocalAws() as aws, tempfile.TemporaryDirectory() as directory:
        iam, eks = aws.client("iam"), aws.client("eks")
        iam.create_open_id_connect_provider(
            Url=f"https://{ISSUER}", ClientIDList=["sts.amazonaws.com"], ThumbprintList=["1" * 40]
        )
        make(aws)
        create_cluster(aws, "production", "API")
        place = {"clusterName": "production", "principalArn": PRINCIPAL}
        eks.create_access_entry(**place)
        eks.associate_access_policy(**place, policyArn=EDIT, accessScope={"type": "cluster"})
        page = Path(directory) / "report.html"
        audited = run("audit", "--html", page, environment=aws.environment(), command=COMMAND_ALONE)
        if audited.returncode != 0:
            raise SystemExit(audited.stderr)
        look("picture", page, into.resolve())
    print(f"{into}: {into.stat().st_size / 1000:.0f} KB")
    return 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    raise SystemExit(main(Path(sys.argv[1])))
