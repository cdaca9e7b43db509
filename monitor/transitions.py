"""The life of an alert as a table: from its phase and what is seen of its condition to the next phase and what is told.

Every phase meets every sight; the laws that the table keeps are those of ``alarms.py``, and tests visit every cell.
"""

from enum import Enum, auto

from monitor.events import AlertState
from monitor.patient import Phase


class Sight(Enum):
    """What an alert's rule, what stands over it, and people say now."""

    SAME = auto()  # the condition holds, as before
    MORE = auto()  # it holds, and its value has changed by a step
    AGAIN = auto()  # HOLD: it has come a second time
    ABSENT = auto()  # it does not hold, but has not been absent for long enough
    OVER = auto()  # it does not hold any more
    LEFT = auto()  # the same, or nothing can be said any more, of a kind that latches
    OVERRULED = auto()  # something worse, or the end of analysis or of the stream, makes it pointless
    ANSWERED = auto()  # a person acknowledges it


class Act(Enum):
    """What is told."""

    NOTHING = auto()
    RAISE = auto()
    UPDATE = auto()
    RENEW = auto()  # END and RAISE: the same kind, but another event
    LATCH = auto()
    ACKNOWLEDGE = auto()
    END = auto()


TRANSITIONS: dict[tuple[Phase, Sight], tuple[Phase, Act]] = {
    (Phase.IDLE, Sight.SAME): (Phase.ACTIVE, Act.RAISE),
    (Phase.IDLE, Sight.MORE): (Phase.ACTIVE, Act.RAISE),
    (Phase.IDLE, Sight.AGAIN): (Phase.ACTIVE, Act.RAISE),
    (Phase.IDLE, Sight.ABSENT): (Phase.IDLE, Act.NOTHING),
    (Phase.IDLE, Sight.OVER): (Phase.IDLE, Act.NOTHING),
    (Phase.IDLE, Sight.LEFT): (Phase.IDLE, Act.NOTHING),
    (Phase.IDLE, Sight.OVERRULED): (Phase.IDLE, Act.NOTHING),
    (Phase.IDLE, Sight.ANSWERED): (Phase.IDLE, Act.NOTHING),
    (Phase.ACTIVE, Sight.SAME): (Phase.ACTIVE, Act.NOTHING),
    (Phase.ACTIVE, Sight.MORE): (Phase.ACTIVE, Act.UPDATE),
    (Phase.ACTIVE, Sight.AGAIN): (Phase.ACTIVE, Act.RENEW),
    (Phase.ACTIVE, Sight.ABSENT): (Phase.ACTIVE, Act.NOTHING),
    (Phase.ACTIVE, Sight.OVER): (Phase.IDLE, Act.END),
    (Phase.ACTIVE, Sight.LEFT): (Phase.LATCHED, Act.LATCH),
    (Phase.ACTIVE, Sight.OVERRULED): (Phase.IDLE, Act.END),
    (Phase.ACTIVE, Sight.ANSWERED): (Phase.ACKNOWLEDGED, Act.ACKNOWLEDGE),
    (Phase.ACKNOWLEDGED, Sight.SAME): (Phase.ACKNOWLEDGED, Act.NOTHING),
    (Phase.ACKNOWLEDGED, Sight.MORE): (Phase.ACKNOWLEDGED, Act.UPDATE),
    (Phase.ACKNOWLEDGED, Sight.AGAIN): (Phase.ACTIVE, Act.RENEW),
    (Phase.ACKNOWLEDGED, Sight.ABSENT): (Phase.ACKNOWLEDGED, Act.NOTHING),
    (Phase.ACKNOWLEDGED, Sight.OVER): (Phase.IDLE, Act.END),
    (Phase.ACKNOWLEDGED, Sight.LEFT): (Phase.IDLE, Act.END),
    (Phase.ACKNOWLEDGED, Sight.OVERRULED): (Phase.IDLE, Act.END),
    (Phase.ACKNOWLEDGED, Sight.ANSWERED): (Phase.ACKNOWLEDGED, Act.NOTHING),
    (Phase.LATCHED, Sight.SAME): (Phase.ACTIVE, Act.RENEW),
    (Phase.LATCHED, Sight.MORE): (Phase.ACTIVE, Act.RENEW),
    (Phase.LATCHED, Sight.AGAIN): (Phase.ACTIVE, Act.RENEW),
    (Phase.LATCHED, Sight.ABSENT): (Phase.LATCHED, Act.NOTHING),
    (Phase.LATCHED, Sight.OVER): (Phase.IDLE, Act.END),
    (Phase.LATCHED, Sight.LEFT): (Phase.LATCHED, Act.NOTHING),
    (Phase.LATCHED, Sight.OVERRULED): (Phase.IDLE, Act.END),
    (Phase.LATCHED, Sight.ANSWERED): (Phase.IDLE, Act.END),
}

STATES = {
    Act.RAISE: AlertState.RAISED,
    Act.UPDATE: AlertState.UPDATED,
    Act.LATCH: AlertState.UPDATED,
    Act.ACKNOWLEDGE: AlertState.ACKNOWLEDGED,
    Act.END: AlertState.ENDED,
}
"""What an act is called where alerts are told."""
