"""Readers of single values: strict in what they take, and plain in what they say.

A reader takes what the file says and returns the value, or raises ValueError with the sentence the
operator gets: the value, what is wrong with it, and what would be right.
"""

import math
import re

from appliance.addresses import Address, AddressAndLength, Prefix

HOST_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
INTERFACE_NAME = re.compile(r"[A-Za-z0-9_.-]{1,15}")
SYSCTL_NAME = re.compile(r"net\.[a-z0-9_.-]+")
# All printable ASCII but what keepalived, a shell or a template could read as syntax.
PASSWORD = re.compile(r"[A-Za-z0-9%&()*+,./:;<=>?@\[\]^_|-]{1,8}")
DOTTED = re.compile(r"[0-9]{1,10}(?:\.[0-9]{1,10}){3}")
PORTS = re.compile(r"([1-9][0-9]{0,4})(?:-([1-9][0-9]{0,4}))?")


def quoted(value: object) -> str:
    """A value as a message shows it: on one line, printable, and not endless."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    text = ascii(value)
    if len(text) > 60:
        text = f"{text[:56]}..."
    lookalike = isinstance(value, str) and re.search(r"(?![0-9])\d", value)
    return f"{text} (its digits are not 0 to 9)" if lookalike else text


def read_address(value: object, example: str = "192.168.100.99") -> Address:
    """An IPv4 address in four decimal numbers. Raises ValueError."""
    if isinstance(value, Address) and not isinstance(value, AddressAndLength):
        return value
    if not isinstance(value, str):
        raise ValueError(f"{quoted(value)} is not an IPv4 address such as {example}")
    if ":" in value:
        raise ValueError(f"{quoted(value)} is not an IPv4 address; this version carries IPv4 only")
    if "/" in value:
        raise ValueError(
            f"{quoted(value)} must be an address alone; write {value.partition('/')[0]!a}"
        )
    return _dotted(value, value, example)


def _dotted(text: str, whole: str, example: str) -> Address:
    """`text` is the address inside `whole`, which the message shows."""
    if not DOTTED.fullmatch(text):
        raise ValueError(f"{quoted(whole)} is not an IPv4 address such as {example}")
    numbers = [int(part) for part in text.split(".")]
    if max(numbers) > 255:
        raise ValueError(f"{quoted(whole)} is not an IPv4 address: {max(numbers)} is above 255")
    plain = ".".join(map(str, numbers))
    if text != plain:
        raise ValueError(
            f"{quoted(whole)} has a number with a leading zero, which some programs read as "
            f"octal; write {whole.replace(text, plain, 1)}"
        )
    return Address(plain)


def _address_and_length(value: object, example: str) -> tuple[Address, int]:
    if isinstance(value, list):
        raise ValueError(
            "IPv4 and IPv6 VIPs need two instances; this version carries IPv4: "
            f"write one address such as {example}"
            if any(":" in str(item) for item in value)
            else f"{quoted(value)} must be one value such as {example}, not a list"
        )
    if not isinstance(value, str):
        raise ValueError(f"{quoted(value)} must be an IPv4 address and length such as {example}")
    if ":" in value:
        raise ValueError(
            f"{quoted(value)}: IPv4 and IPv6 VIPs need two instances; this version carries IPv4: "
            f"write an address such as {example}"
        )
    text, slash, length = value.partition("/")
    address = _dotted(text, value, example)
    if not slash:
        raise ValueError(f"{quoted(value)} lacks its prefix length; write for example {text}/24")
    if DOTTED.fullmatch(length):
        raise ValueError(
            f"{quoted(value)} gives a mask; write the prefix length, such as {text}/24"
        )
    if not re.fullmatch(r"0|[1-9][0-9]?", length) or int(length) > 32:
        raise ValueError(f"{quoted(value)} must end in a prefix length of 0 to 32, such as /24")
    return address, int(length)


def read_interface(value: object) -> AddressAndLength:
    """An address with the length of its subnet's prefix. Raises ValueError."""
    if isinstance(value, AddressAndLength):
        return value
    address, length = _address_and_length(value, "192.168.100.99/24")
    return AddressAndLength((address, length))


def read_network(value: object) -> Prefix:
    """A prefix, with no bit set outside it. Raises ValueError."""
    if isinstance(value, Prefix):
        return value
    address, length = _address_and_length(value, "192.168.100.0/24")
    network = Prefix((address, length), strict=False)
    if network.network_address != address:
        raise ValueError(
            f"{quoted(value)} is not a network: address bits are set behind /{length}; "
            f"write {network}, or {address}/32 for this address alone"
        )
    return network


def read_ports(value: object) -> tuple[int, int]:
    """One port, or a range written low-high; both ends belong to it. Raises ValueError."""
    if isinstance(value, tuple):
        value = "-".join(map(str, value))
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    found = PORTS.fullmatch(text) if isinstance(text, str) else None
    if not found:
        raise ValueError(
            f"{quoted(value)} is not a port such as 80 or a range of ports such as 20000-60000"
        )
    low, high = int(found[1]), int(found[2] or found[1])
    if max(low, high) > 65535:
        raise ValueError(f"{quoted(value)}: ports go from 1 to 65535")
    if low > high:
        raise ValueError(f"{quoted(value)} starts above its end; write {high}-{low}")
    return low, high


def read_port_list(value: object) -> object:
    """A list of ports and ranges; one alone may stand without brackets."""
    return [value] if isinstance(value, int | str) else value


def _named(value: object, pattern: re.Pattern[str], wanted: str) -> str:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise ValueError(f"{quoted(value)} is not {wanted}")
    return value


def read_interface_name(value: object) -> str:
    """The name of a network interface, as the kernel and keepalived take it. Raises ValueError."""
    return _named(
        value,
        INTERFACE_NAME,
        "an interface name: 1 to 15 letters, digits, '_', '.' or '-', such as eth1",
    )


def read_host_name(value: object) -> str:
    """The name of a node or a machine, safe in every file it is written to. Raises ValueError."""
    return _named(
        value,
        HOST_NAME,
        "a host name: 1 to 63 small letters, digits or '-', the first not '-', such as noeud1",
    )


def read_sysctl_name(value: object) -> str:
    """The name of a kernel setting of the network, in dots. Raises ValueError."""
    return _named(
        value,
        SYSCTL_NAME,
        "a network setting of the kernel such as net.core.rmem_max: 'net.', then small letters, "
        "digits, '.', '_' or '-'",
    )


def read_password(value: object) -> str:
    """VRRP's simple password (RFC 2338, section 5.3.6.1). Raises ValueError."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if isinstance(value, str) and len(value) > 8:
        raise ValueError(
            f"has {len(value)} characters, but VRRP sends only the first 8, in clear: write at "
            "most 8, or use vrrp_version 3 without a password"
        )
    if not isinstance(value, str) or not PASSWORD.fullmatch(value):
        raise ValueError(
            f"{quoted(value)} is not a VRRP password: 1 to 8 letters, digits or signs, with no "
            "space, quote, brace, backslash, '#', '!', '$' or '~'"
        )
    return value


def read_flag(value: object) -> bool:
    """Whether something is so: YAML's own two words and no others. Raises ValueError."""
    if not isinstance(value, bool):
        raise ValueError(f"{quoted(value)} is neither true nor false; write one of these two words")
    return value


def read_priority(value: object) -> object:
    """A priority that is not the address owner's (RFC 9568, section 5.2.4). Raises ValueError."""
    if value == 255 and not isinstance(value, bool):
        raise ValueError(
            "255 means the owner of the address, which could never give it up; write 1 to 254"
        )
    return value


def check_number(value: object, low: float, high: float, kind: str) -> None:
    """Raises ValueError unless `value` is a number from `low` to `high`; `kind` names it."""
    wanted = f"{kind} from {low} to {high}"
    if isinstance(value, str) and re.fullmatch(r"[0-9]+(\.[0-9]+)?", value, re.ASCII):
        plain = value.lstrip("0") or "0"
        how = "quotes" if plain == value else "the leading zero"
        raise ValueError(f"{quoted(value)} is text, not {wanted}; write {plain}, without {how}")
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value) or not low <= value <= high:  # type: ignore[arg-type, operator]
        raise ValueError(f"{quoted(value)} is not {wanted}")
