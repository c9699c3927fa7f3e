"""How connections are opened, as plans that any driver can run: no event library in here.

A plan is a generator. It yields a step (``steps``), is sent its result or thrown its exception,
and returns what it was asked for. A driver only knows how to carry out the steps.
"""
