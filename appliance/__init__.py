"""VGW, a NAT gateway that runs as a pair: one virtual gateway address that outlives either node."""

__version__ = "0.1.0"


class ApplianceError(Exception):
    """What stops a command, told to the operator in one sentence; `exit_code` is the process's.

    The codes are listed for operators in docs/reference.md: each cause that an operator mends in a
    different place has its own.
    """

    exit_code = 1
    before = "vgw: "  # what stands in front of the sentence on stderr


class NoConfiguration(ApplianceError):
    """The configuration file cannot be read at all."""

    exit_code = 2


class NotConverged(ApplianceError):
    """The machine differs from the plan, and applying the plan did not mend it."""

    exit_code = 3


class CommandFailed(ApplianceError):
    """A program we called ended with an error."""

    exit_code = 4


class MissingCapability(ApplianceError):
    """The process lacks a Linux capability (capabilities(7)) that the gateway needs."""

    exit_code = 10


class MissingKernelFeature(ApplianceError):
    """The running kernel lacks something the gateway needs, such as nf_tables."""

    exit_code = 11


class MissingInterface(ApplianceError):
    """A network interface, or the address this node should have on it, is not there."""

    exit_code = 12


class ReadOnlySysctl(ApplianceError):
    """A kernel setting must change and the kernel, or its mount, does not let us."""

    exit_code = 13


class MissingProgram(ApplianceError):
    """A program that the gateway runs is not installed."""

    exit_code = 14


class AddressConflict(ApplianceError):
    """Somebody else on the network already uses our address or our virtual router id."""

    exit_code = 15


class InTheWay(ApplianceError):
    """Another program's route, rule or filter on this machine takes or drops what passes the gateway."""

    exit_code = 17


class Unsupported(ApplianceError):
    """The file asks for a rule that this node's firewall has no words for."""

    exit_code = 16
