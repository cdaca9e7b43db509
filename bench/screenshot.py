"""The picture in the README: the dashboard of a real run, as SVG.

    python -m bench.screenshot docs/dashboard.svg

Starts the daemon on the demo recording, watches it as `ecg-monitor watch` does, and draws what a terminal would show.
"""

import subprocess
import sys
import time
from pathlib import Path

from monitor import config
from monitor.commands.watch import Feed
from monitor.dashboard.export import save_svg
from monitor.dashboard.layout import render
from monitor.dashboard.look import Look
from monitor.link import ask_links, free_port, new_context
from monitor.snapshot import Fold

WIDTH, HEIGHT = 120, 36
START_S, WATCH_S = 40.0, 18.6
"""From there, and so long: just after a run of ventricular beats."""


def main(path: Path) -> None:
    settings = config.load()
    port = free_port()
    command = ["--source", "replay:demo", "--start", str(START_S), "--headless", "--alert-port", str(port)]
    daemon = subprocess.Popen([sys.executable, "-m", "monitor", "run", *command], stdout=subprocess.DEVNULL)
    context = new_context()
    feed = None
    try:
        links = ask_links(context, f"tcp://127.0.0.1:{port}", 60.0)
        feed = Feed(links, settings, None, needed=False)
        fold = Fold(settings)
        while not (streams := fold.snapshot(time.time()).streams) or streams[0].position < WATCH_S * 360:
            fold.advance(feed.receive(0.1) or (), time.time())
        picture = render(fold.snapshot(time.time()), WIDTH, HEIGHT, Look(time=0.1), settings.dashboard)
        save_svg(picture, WIDTH, HEIGHT, path, "ecg-monitor --source replay:demo")
    finally:
        if feed is not None:
            feed.close()
        context.term()
        daemon.terminate()
        daemon.wait()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
