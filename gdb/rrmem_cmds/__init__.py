"""The commands of `rrmem.py`, one topic a file."""
