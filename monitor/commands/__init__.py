"""One module a command of ``ecg-monitor``; ``cli`` parses, these do."""
