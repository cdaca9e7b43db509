"""The terminal dashboard: a :class:`monitor.views.Snapshot` in, a picture out. The only place that knows rich.

``layout.render`` is pure: the same snapshot, size and :class:`~monitor.dashboard.look.Look` give the same picture.
``screen`` owns the terminal, the clock and the keys; ``lines`` says the same in plain lines where there is no terminal.
"""
