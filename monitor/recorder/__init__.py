"""What the monitor saw, written down: WFDB signals, beats and alerts, and a strip of every alert."""
