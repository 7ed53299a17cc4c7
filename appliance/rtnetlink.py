"""pyroute2's `IPRoute` and its error, and nothing else of pyroute2; the one door to it.

Its own `__init__` imports the whole library, with a database and a file server. That costs the agent 5 MB for
good, and each command that looks at the machine 0.05 s of processor. So the package is entered without it.
"""

import importlib.util
import sys

_SPEC = importlib.util.find_spec("pyroute2")
if _SPEC and "pyroute2" not in sys.modules:
    sys.modules["pyroute2"] = importlib.util.module_from_spec(_SPEC)

from pyroute2.iproute.linux import IPRoute  # noqa: E402
from pyroute2.netlink.exceptions import NetlinkError  # noqa: E402

__all__ = ["IPRoute", "NetlinkError"]
