"""A network of our own, which loses packets: a namespace, and the means that this kernel has."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

INSIDE = "inside-a-network-of-our-own"


def enter(arguments: list[str]) -> str:
    """Run this program again in a network namespace; tells why where that can't be had."""
    if shutil.which("unshare") is None or shutil.which("ip") is None:
        return "no unshare or no ip"
    probe = subprocess.run(["unshare", "-rn", "ip", "link", "set", "lo", "up"], check=False)
    if probe.returncode:
        return "this user may not make namespaces"
    sys.stdout.flush()
    program = ["unshare", "-rn", sys.executable, "-m", "tests.soak.run", *arguments, f"--{INSIDE}"]
    os.execvp("unshare", program)
    raise AssertionError("execvp returned")


def lose(percent: float) -> str:
    """Lose so many of a hundred packets on the loopback device; tells how, or why not."""
    _run("ip", "link", "set", "lo", "up")
    if shutil.which("tc") and _run(
        "tc", "qdisc", "add", "dev", "lo", "root", "netem", "loss", f"{percent}%"
    ):
        return f"{percent} % of the packets are lost (netem)"
    # Where packets come in: one that is dropped on its way out is an error to who sends it.
    if shutil.which("nft") and _run(
        "nft",
        "add table inet soak;"
        "add chain inet soak in { type filter hook input priority 0; };"
        f"add rule inet soak in numgen random mod 10000 < {round(percent * 100)} counter drop",
    ):
        return f"{percent} % of the packets are lost (nftables)"
    if shutil.which("iptables") and _run(
        "iptables", "-A", "INPUT", "-m", "statistic", "--mode", "random",
        "--probability", str(percent / 100), "-j", "DROP",
    ):  # fmt: skip
        return f"{percent} % of the packets are lost (iptables)"
    return "no packet is lost: the kernel has no netem, and there is neither nft nor iptables"


def retransmitted() -> int:
    """Tell how many segments TCP sent again in this network."""
    with open("/proc/net/snmp", encoding="ascii") as table:
        names, values = [line.split() for line in table if line.startswith("Tcp:")]
    return int(values[names.index("RetransSegs")])


def _run(*command: str) -> bool:
    return subprocess.run(command, check=False, capture_output=True).returncode == 0
