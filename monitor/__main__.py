"""``python -m monitor`` is ``ecg-monitor``."""

from monitor.cli import main

raise SystemExit(main())
