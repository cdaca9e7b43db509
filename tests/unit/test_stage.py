"""The loop between two links, on links that are made up: what leaves when, and what a checkpoint holds by then."""

import numpy as np
import pytest
from streams import opened, played

from monitor.events import Acknowledge, Gap, Lost, Samples
from monitor.keeper import Checkpoints
from monitor.stage import Stage, repeatable


class Core:
    """Passes events on, and counts them."""

    def __init__(self):
        self.seen = 0

    def push(self, events):
        self.seen += len(events)
        return list(events)

    def state(self):
        return {"seen": self.seen}

    def restore(self, state):
        self.seen = state["seen"]


class World:
    """Everything around a stage; ``log`` is what happened, in order."""

    rejected = lost = repaired = 0
    answering = congested = False
    drained = settled = alive = caught_up = True
    silent = given_up = gone = frozenset()
    sockets = ()
    descriptors = ()
    socket = 0

    def __init__(self, rounds):
        self.log = []
        self.rounds = list(rounds)
        self.orders = []
        self.core = Core()
        self.told = []

    @property
    def finished(self):
        return not self.rounds

    # the subscriber
    def receive(self, streams=None):
        if streams is not None:
            orders, self.orders = self.orders, []
            return orders
        if not self.rounds:
            return []
        events = self.rounds.pop(0)
        return events if isinstance(events, list) else []

    def acknowledge(self):
        pass

    def losses(self):
        return []

    # the publisher
    def hold(self, events):
        if events:
            self.log.append("held")

    def release(self):
        self.log.append("left")

    def finish(self, status):
        self.log.append("finished")

    def report(self, status):
        pass

    def serve(self):
        pass

    # the control socket
    def done(self):
        self.log.append("answered")

    # the lifeline
    def stopped(self, readable):
        return False


class Ends:
    """The two roles that share names."""

    def __init__(self, world):
        self._world = world

    def __getattr__(self, name):
        return getattr(self._world, name)


class Subscriber(Ends):
    def state(self, pending=()):
        return {"pending": len(pending), "over": self._world.finished and not pending}

    def settled(self, state):
        self._world.told.append(state)


class Publisher(Ends):
    def state(self):
        return {"held": self._world.log.count("held")}


class Lifeline(Ends):
    def alive(self):
        pass


class Keeper:
    """Writes at once; what it wrote is in ``states``."""

    trouble = ""
    busy = False

    def __init__(self, log):
        self.log = log
        self.states = []
        self._done = []

    def write(self, state, token, files=()):
        self.states.append(state)
        self._done.append(token)

    def write_now(self, state):
        self.log.append("kept")
        self.states.append(state)

    def done(self):
        out, self._done = self._done, []
        return out

    def close(self):
        pass


def run(monkeypatch, settings, rounds, orders=()):
    world = World(rounds)
    world.orders = list(orders)
    monkeypatch.setattr("monitor.stage.wait", lambda sockets, timeout: set())
    keeper = Keeper(world.log)
    stage = Stage(
        "t", world.core, Subscriber(world), Publisher(world), Lifeline(world), settings.link,
        Checkpoints(keeper, settings.checkpoint), control=Ends(world) if orders else None,
    )  # fmt: skip
    stage.run()
    return world, keeper


SIGNAL = played(np.zeros(72, dtype=np.float32), [36])


def test_what_comes_again_leaves_at_once(monkeypatch, settings):
    world, _ = run(monkeypatch, settings, [SIGNAL])
    assert world.log == ["kept", "held", "left", "finished"]  # first of all, its lineage


@pytest.mark.parametrize(
    "event",
    [Lost(stream="p", seq=3, sample=72), Gap(stream="p", seq=4, start=72, stop=90, cause="lost")],
)
def test_what_would_not_come_again_is_kept_before_it_leaves(monkeypatch, settings, event):
    """Else, after a death in between, what follows would have numbers that others have taken already."""
    world, keeper = run(monkeypatch, settings, [[opened()], [event]])
    assert world.log == ["kept", "held", "left", "held", "kept", "left", "finished"]
    assert keeper.states[1]["core"] == {"seen": 2}
    assert keeper.states[1]["out"] == {"held": 2}  # its effects are there, though nobody has them yet


def test_an_order_is_kept_before_it_is_answered(monkeypatch, settings):
    order = Acknowledge(stream="p", seq=1, sample=0, alert=None)
    world, keeper = run(monkeypatch, settings, [[opened()], None], [order])
    assert world.log[:5] == ["kept", "held", "kept", "left", "answered"]
    assert keeper.states[1]["core"]["seen"] == 1


def test_before_a_life_is_where_its_former_was_nothing_new_comes_in_between(monkeypatch, settings):
    """Neither silence nor orders: what follows them would have the numbers of what had left already, and come twice."""

    class Behind(World):
        alive = False
        caught_up = property(lambda self: len(self.rounds) < 2)

    order = Acknowledge(stream="p", seq=1, sample=0, alert=None)
    monkeypatch.setitem(globals(), "World", Behind)
    taken = []
    monkeypatch.setattr(Core, "push", lambda self, events: taken.extend(map(type, events)) or list(events))
    run(monkeypatch, settings, [[opened()], None, None, None], [order])
    assert taken == [type(opened()), Lost, Acknowledge]


def test_it_ends_when_its_last_checkpoint_is_told(monkeypatch, settings):
    world, keeper = run(monkeypatch, settings, [SIGNAL])
    assert keeper.states[-1]["in"]["over"]
    assert world.told[-1]["over"]


def test_what_comes_again():
    assert all(map(repeatable, SIGNAL))
    assert repeatable(Gap(stream="p", seq=1, start=0, stop=1, cause="missing"))
    assert isinstance(SIGNAL[1], Samples)
