"""Links between stages: what is published arrives, in order, once. The only folder that knows ZeroMQ.

A link has one publisher and any number of subscribers, and two sockets:

* PUB → SUB carries frames (``wire.py``) as they are made. It may drop: before a subscription arrives, at the
  high-water mark, while a process is dead.
* ROUTER ↔ DEALER carries requests: a subscriber says hello, acknowledges, and asks for what it missed; the publisher
  answers from a bounded history.

Laws:

* Events of one stream are delivered in the order of ``seq``, each once. A gap in ``seq`` is asked for; what cannot be
  had back is counted and delivered as one :class:`Gap` with cause ``lost``, never silently.
* A publisher is never more than ``link.window`` messages ahead of a subscriber that is *needed*; it tells so with
  ``congested`` and its owner waits. Others may be as slow as they like. A needed subscriber that is silent for
  ``link.dead_s`` is needed no more until it speaks again.
* A *durable* subscriber writes checkpoints and says how far they reach. What lies beyond leaves neither the history
  nor the publisher's own checkpoint, so that either side, or both, may die at any time. Only when the history is full,
  and one has been silent for ``link.hold_s``, is it given up.
* Sequence numbers belong to a *lineage*, which survives deaths with the checkpoint; message numbers belong to a *run*,
  one life of a publisher. In a new run its subscribers greet it anew and go on where they were; in a new lineage they
  begin anew.
* Frames that cannot be read are counted, and nothing else happens.
"""

from monitor.link.alerts import AlertListener, AlertSocket, alert_endpoint, ask_links
from monitor.link.control import Answer, ControlSocket, Operator, Order, control_endpoint, order
from monitor.link.publisher import Publisher
from monitor.link.reports import ReportListener
from monitor.link.sockets import Context, free_port, links_in, new_context, on_loopback, requests_of, wait
from monitor.link.subscriber import Subscriber

__all__ = [
    "AlertListener",
    "AlertSocket",
    "Answer",
    "Context",
    "ControlSocket",
    "Operator",
    "Order",
    "Publisher",
    "ReportListener",
    "Subscriber",
    "alert_endpoint",
    "ask_links",
    "control_endpoint",
    "free_port",
    "links_in",
    "new_context",
    "on_loopback",
    "order",
    "requests_of",
    "wait",
]
