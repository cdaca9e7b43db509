"""What a stage has to say to whoever runs it: one JSON object a line, on standard error."""

import json
import sys
import time
from typing import Any


def line(stage: str, what: str, **more: Any) -> str:
    """Wall clock (s since the Unix epoch), stage, what happened, and what belongs to it."""
    return json.dumps({"time": round(time.time(), 3), "stage": stage, "what": what, **more})


def say(stage: str, what: str, **more: Any) -> None:
    """One line on standard error."""
    print(line(stage, what, **more), file=sys.stderr, flush=True)
