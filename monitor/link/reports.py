"""What all stages of a daemon say of themselves, for whoever only wants to know that: no events, no hello."""

from collections.abc import Sequence

import zmq

from monitor.config import LinkSettings
from monitor.events import Status
from monitor.link.publisher import REPORTS
from monitor.link.sockets import Context, Socket, connecting, take
from monitor.wire import FrameError, decode


class ReportListener:
    """Hears the reports on any number of links.

    Args:
        endpoints: of the links.
    """

    def __init__(self, context: Context, endpoints: Sequence[str], settings: LinkSettings) -> None:
        self.rejected = 0
        """Frames refused since the start."""
        self._sub = connecting(context, zmq.SUB, settings.high_water_mark, endpoints[0])
        self._sub.setsockopt(zmq.MAXMSGSIZE, settings.max_frame_bytes)
        self._sub.setsockopt(zmq.SUBSCRIBE, REPORTS)
        for endpoint in endpoints:
            self._sub.connect(endpoint)

    @property
    def socket(self) -> Socket:
        return self._sub

    def receive(self) -> list[Status]:
        """The reports that are here; never waits."""
        out: list[Status] = []
        while (parts := take(self._sub)) is not None:
            try:
                frame = decode(parts[-1])
            except FrameError:
                self.rejected += 1
                continue
            out += [event for event in frame.events if isinstance(event, Status)]
        return out

    def close(self) -> None:
        self._sub.close()
