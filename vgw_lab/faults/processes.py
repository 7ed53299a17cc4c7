"""Faults of VRRP's processes: stopped, killed, or kept from running for a while."""

from vgw_lab.faults.fault import Fault, nothing
from vgw_lab.faults.orders import lasting, signal, supervisor

FROZEN_SECONDS = 3.0
_NOBODY_TAKES_IT = "keepalived does not run to give up the VGW; the kernel answers nobody for it"


FAULTS = (
    Fault(
        "stop-keepalived",
        "keepalived is stopped",
        "announced",
        supervisor("stop"),
        supervisor("start"),
        (1,),
    ),
    # supervisord starts it again at once, perhaps before the standby misses anything.
    Fault(
        "kill-keepalived",
        "keepalived is killed",
        "silent",
        signal("keepalived", "KILL"),
        nothing,
        (2,),
        moves=None,
    ),
    Fault(
        "kill-vrrp",
        "keepalived's VRRP process is killed, and its parent starts it anew",
        "silent",
        signal("keepalived", "KILL", child=True),
        nothing,
        (3,),
        moves=None,
    ),
    Fault(
        "freeze-vrrp",
        f"keepalived's VRRP process is frozen, and goes on {FROZEN_SECONDS:g} s later",
        "silent",
        signal("keepalived", "STOP", child=True),
        signal("keepalived", "CONT"),
        (7,),
        back=0.3,
        flows=0.1,
        during=lasting(FROZEN_SECONDS),
        known={"held": _NOBODY_TAKES_IT},
    ),
)
