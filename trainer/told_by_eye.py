"""Who fibrillates in recordings that have no annotations: docs/decisions/0014."""

FIBRILLATING = tuple(
    f"challenge2015/{name}"
    for name in (
        "a420s", "a446s", "b538s", "b730s", "t106s", "t117l", "t157l", "t252s", "t342s",
        "t357l", "t447l", "t506s", "t524s", "t744s", "v721l", "v258s", "v782s", "v783l",
    )
)  # fmt: skip
"""Whose atria fibrillate all the time, or nearly (t342s), or flutter (v258s): no beat of theirs is supraventricular by
the AAMI classes."""
