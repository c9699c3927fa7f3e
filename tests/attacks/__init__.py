"""Attacks on our own server, over loopback, with an honest peer beside them, and what must hold.

``python -m tests.attacks`` runs all of them and writes a table; pytest runs a quick selection.
"""
