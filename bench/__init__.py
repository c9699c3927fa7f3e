"""The benchmark suite: what a message costs, for ropeway and for what people use today.

``python -m bench run --quick`` measures, ``python -m bench report FILE`` prints the tables;
``make bench`` does both in an environment of its own, with the peers at pinned versions.

The measured process and the one that loads it have a core each, where there are two. The
contenders run in turn (A B C, A B C …), in a fresh process each time, and what counts is the median
over the rounds. CPU time is what the kernel accounts to the measured process, user and system.
"""
