"""What the operator asked for: the configuration of the pair, checked and frozen."""

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidatorFunctionWrapHandler, field_validator

from appliance.config.value_types import (
    UNKNOWN,
    Duration,
    Flag,
    HostName,
    InterfaceName,
    Password,
    Port,
    PortList,
    PortRange,
    Priority,
    Seconds,
    SysctlName,
    Whole,
    WrittenAddress,
    WrittenAddressAndLength,
    WrittenPrefix,
)


class Failback(StrEnum):
    """Whether a returning node of higher priority takes over again.

    PLAIN: at once, as VRRP does by itself. GATED: once its ruleset is in
    force, its way out works, its connection table has caught up and `hold` seconds have passed.
    NEVER: not while the other node lives.
    """

    PLAIN = "plain"
    GATED = "gated"
    NEVER = "never"


class Model(BaseModel):
    """A part of the configuration: frozen, and closed to keys it does not know."""

    # The schema reads the attributes' docstrings, and not each program that reads a file (use_attribute_docstrings):
    # that takes 30 ms.
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    @field_validator("*", mode="wrap")
    @classmethod
    def _keep_unknown(cls, value: object, read: ValidatorFunctionWrapHandler) -> Any:
        # `config` checks what it can of a file with errors; UNKNOWN stands where they are.
        return value if value is UNKNOWN else read(value)


class TrackedInterface(Model):
    """One more interface whose loss matters."""

    interface: InterfaceName
    weight: Annotated[int, Whole(-253, 253)] = 0
    """What its loss takes from the priority; 0 makes the loss a FAULT."""


class Vgw(Model):
    """The virtual gateway and the VRRP instance that carries it (RFC 3768, RFC 9568)."""

    address: WrittenAddressAndLength
    """The VGW, the default gateway of the machines behind, with the LAN's prefix length."""
    virtual_router_id: Annotated[int, Whole(1, 255), Field(examples=[51])]
    """Tells VRRP pairs on one LAN apart."""
    profile: Literal["standard", "fast", "hot", "classic"] = "standard"
    """Sets the keys below together; each can still be said."""
    vrrp_version: Literal[2, 3]
    advert_interval: Annotated[float, Duration(0, 255)]
    """Seconds between adverts: 0.01 to 40.95 in version 3, whole seconds in version 2."""
    transport: Literal["unicast", "multicast"]
    failback: Failback
    preempt_delay: Annotated[float, Duration(0, 1000)] = 0
    """Seconds that a returning node of higher priority waits."""
    hold: Annotated[float, Duration(0, 300)] = 3
    """Seconds for which a returning node must be well before a gated failback; a series doubles it."""
    auth_pass: Password | None = None
    """Version 2 only; sent in clear."""
    realtime_priority: Annotated[int, Whole(0, 98)] = 0
    """keepalived's scheduling priority (SCHED_RR); 0 leaves it as any process."""
    virtual_mac: Flag = False
    """The VGW and the WAN VIP each have one MAC on both nodes: the standby forwards before VRRP notices."""
    track_interfaces: tuple[TrackedInterface, ...] = ()
    """Further interfaces that a node must have up."""


class Network(Model):
    """A network a node is on, known by the interface's name or by the subnet found on it."""

    interface: Annotated[InterfaceName | None, Field(examples=["eth1"])] = None
    subnet: WrittenPrefix | None = None
    """Instead of `interface`: the one that has an address in this subnet."""


class Lan(Network):
    """The private network behind the gateway."""


class Wan(Network):
    """The way out: the WAN VIP, the upstream gateway, and addresses that prove it works."""

    interface: Annotated[InterfaceName | None, Field(examples=["eth0"])] = None

    address: Annotated[WrittenAddressAndLength, Field(examples=["203.0.113.99/24"])]
    """The WAN VIP: the floating address that flows are translated to."""
    gateway: WrittenAddress
    """The upstream router."""
    probes: tuple[WrittenAddress, ...] = ()
    """Addresses outside that prove the way out, asked besides the gateway; one answer is enough."""


class Sync(Network):
    """The link between the two nodes, which carries connection tracking's state."""

    interface: Annotated[InterfaceName | None, Field(examples=["eth2"])] = None

    port: Annotated[int, Whole(1, 65534)] = 3780
    """conntrackd's UDP port; the agents talk on the next one."""
    protocols: Annotated[
        tuple[Literal["tcp", "udp", "icmp"], ...], Field(min_length=1, examples=["[tcp, udp]"])
    ] = ("tcp", "udp", "icmp")
    """The flows that are replicated."""
    except_: Annotated[tuple[WrittenPrefix, ...], Field(alias="except")] = ()
    """Prefixes whose flows are not replicated."""


class Node(Model):
    """One gateway of the pair."""

    priority: Annotated[Priority, Field(examples=[100])]
    """The higher one is MASTER."""
    lan: Annotated[WrittenAddressAndLength, Field(examples=["192.168.100.2/24"])]
    wan: Annotated[WrittenAddressAndLength | None, Field(examples=["203.0.113.2/24"])] = None
    """May be missing on both nodes: then only the MASTER has an address outside."""
    sync: Annotated[WrittenAddressAndLength, Field(examples=["10.99.0.2/24"])]
    initial_state: Literal["MASTER", "BACKUP"] = "BACKUP"


class SourceNat(Model):
    """Inside traffic that leaves with the address `to`."""

    from_: Annotated[WrittenPrefix, Field(alias="from")]
    to: Annotated[WrittenAddress, Field(examples=["203.0.113.99"])]
    """The WAN VIP unless said."""
    except_: Annotated[tuple[WrittenPrefix, ...], Field(alias="except")] = ()
    """Destinations that are reached untranslated."""
    ports: PortRange | None = None
    """Where a port must change: from this range."""


class DestinationNat(Model):
    """A port of the WAN VIP that leads to a machine behind."""

    protocol: Literal["tcp", "udp"]
    port: Annotated[Port, Field(examples=[8080])]
    to: Annotated[WrittenAddress, Field(examples=["192.168.100.10"])]
    to_port: Annotated[Port, Field(examples=[80])]
    """The same port unless said."""


class Nat(Model):
    """All address translation."""

    source: Annotated[tuple[SourceNat, ...], Field(min_length=1)]
    destination: tuple[DestinationNat, ...] = ()
    neighbours: Literal["themselves", "vgw"] = "themselves"
    """As whom a machine behind sees those of the WAN's own subnet that use such a port."""


class ForwardRule(Model):
    """What new flows from inside may, or may not, do; the first rule that fits decides."""

    action: Literal["accept", "drop"]
    from_: Annotated[WrittenPrefix | None, Field(alias="from")] = None
    to: WrittenPrefix | None = None
    protocol: Literal["tcp", "udp", "icmp"] | None = None
    ports: PortList = ()
    """Destination ports, of tcp or udp."""


class Forward(Model):
    """The policy for new flows from the inside prefixes to the WAN; nothing else is forwarded."""

    policy: Literal["accept", "drop"] = "accept"
    """What happens to a flow that no rule fits."""
    rules: tuple[ForwardRule, ...] = ()


class InputRule(Model):
    """A service of the node itself that is open to `from`, such as ssh for management."""

    from_: Annotated[WrittenPrefix, Field(alias="from")]
    protocol: Literal["tcp", "udp"]
    ports: Annotated[PortList, Field(min_length=1, examples=["[22]"])]


class Machine(Model):
    """A machine behind the gateway: for its netplan file, and so that nothing takes its address."""

    address: Annotated[WrittenAddressAndLength, Field(examples=["192.168.100.10/24"])]
    interface: InterfaceName = "eth0"
    nameservers: tuple[WrittenAddress, ...] = ()


class Timeouts(Model):
    """How long connection tracking keeps a silent flow, in seconds."""

    tcp_established: Seconds = 7200
    udp: Seconds = 30
    udp_stream: Seconds = 180
    icmp: Seconds = 30


class Interfaces(Model):
    """The names of a node's interfaces, as they are on this machine."""

    lan: InterfaceName
    wan: InterfaceName
    sync: InterfaceName


class Config(Model):
    """The whole file; the same on both nodes."""

    vgw: Vgw
    lan: Lan
    wan: Wan
    sync: Sync
    nodes: dict[HostName, Node]
    nat: Nat
    forward: Forward = Forward()
    input: tuple[InputRule, ...] = ()
    machines: dict[HostName, Machine] = Field(default_factory=dict)
    sysctl: dict[SysctlName, Annotated[int, Whole(-(2**31), 2**31 - 1)]] = Field(
        default_factory=dict
    )
    timeouts: Timeouts = Timeouts()

    def peer_of(self, name: str) -> str:
        """The other node's name."""
        return next(other for other in self.nodes if other != name)
