"""The product on a real account and at GitHub, or what a run has left there: see docs/acceptance.md.

acceptance.py run      makes everything, tries it, and removes it
acceptance.py sweep [HOURS]    removes what runs left that began so many hours ago, 3 by default
"""

from __future__ import annotations

import sys

import preflight
import probes
from context import Run
from services import Services
from stages import STAGES
from sweep import Sweep
from transcript import Transcript

TRANSCRIPTS = preflight.ROOT / "target" / "acceptance"


def main(words: list[str]) -> int:
    try:
        chosen = preflight.settings()
        services = Services(chosen)
        preflight.check_account(chosen, services.client("sts").get_caller_identity()["Account"])
    except preflight.Refused as error:
        print(f"Nothing was made.\n{error}", file=sys.stderr)
        return 2
    what, hours = words[0], float(words[1]) if len(words) > 1 else 3.0
    if what == "check":
        print(preflight.announcement(chosen))
        return 0
    file = TRANSCRIPTS / f"{what}-{chosen.run}.txt"
    run = Run(chosen, services, Transcript(file, chosen.account, chosen.token))
    if what == "sweep":
        Sweep(run, hours).everything()
    else:
        print(preflight.announcement(chosen), flush=True)
        whole(run)
    run.transcript.ends()
    print(f"The transcript is {file}")
    return 1 if run.transcript.failures else 0


def whole(run: Run) -> None:
    run.transcript.say(f"run {run.settings.run} in {run.settings.region}")
    try:
        for what, stage, goes_on in STAGES:
            with run.transcript.step(what, goes_on=goes_on):
                stage(run)
        probes.all_of_them(run)
    except Exception:  # it is written down, and what was made has to go
        run.transcript.say("the run ends here")
    Sweep(run, 0, run.settings.run).everything()
    with run.transcript.step("look for what is left", goes_on=True):
        left = Sweep(run, 0, run.settings.run).everything()
        assert not left, f"there was still {', '.join(left)}"


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
