"""The types of the configuration's values, and the place where a wrong value stood."""

from dataclasses import dataclass
from typing import Annotated, Any, NoReturn

from pydantic import BeforeValidator, Field, GetCoreSchemaHandler, WithJsonSchema
from pydantic_core import CoreSchema, core_schema

from appliance.addresses import Address, AddressAndLength, Prefix
from appliance.config import scalars


class UnknownValueError(Exception):
    """Somebody used a value that the file does not give, or gives wrongly."""


class Unknown:
    """The place of a wrong value: using it raises UnknownValueError, so no check can build on it."""

    def __getattr__(self, name: str) -> NoReturn:
        raise UnknownValueError(name)

    def _refuse(self, *_: object) -> NoReturn:
        raise UnknownValueError

    __bool__ = __iter__ = __len__ = __contains__ = __getitem__ = __hash__ = _refuse
    __int__ = __float__ = __index__ = __round__ = __abs__ = __neg__ = _refuse
    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = _refuse
    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __mod__ = _refuse
    __str__ = __format__ = _refuse


# Any: it may stand wherever a value of the model would.
UNKNOWN: Any = Unknown()


@dataclass(frozen=True)
class Whole:
    """Marks an int that lies between `low` and `high`, both included."""

    low: int
    high: int

    def read(self, value: object) -> object:
        """Raises ValueError unless `value` is such a number."""
        kind = "a whole number"
        if isinstance(value, float):
            raise ValueError(f"{value} is not {kind} from {self.low} to {self.high}")
        scalars.check_number(value, self.low, self.high, kind)
        return value

    def __get_pydantic_core_schema__(self, _: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        inner = core_schema.int_schema(ge=self.low, le=self.high)
        return core_schema.no_info_before_validator_function(self.read, inner)


@dataclass(frozen=True)
class Duration:
    """Marks a float of seconds that lies between `low` and `high`, both included."""

    low: float
    high: float

    def read(self, value: object) -> object:
        """Raises ValueError unless `value` is such a number."""
        scalars.check_number(value, self.low, self.high, "a number of seconds")
        return value

    def __get_pydantic_core_schema__(self, _: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        inner = core_schema.float_schema(ge=self.low, le=self.high)
        return core_schema.no_info_before_validator_function(self.read, inner)


def _written(pattern: str, example: str | int) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "pattern": f"^{pattern}$", "examples": [example]})


_OCTETS = r"[0-9]{1,3}(\.[0-9]{1,3}){3}"
_LENGTH = r"/([0-9]|[12][0-9]|3[0-2])"

WrittenAddress = Annotated[
    Address, BeforeValidator(scalars.read_address), _written(_OCTETS, "203.0.113.1")
]
WrittenAddressAndLength = Annotated[
    AddressAndLength,
    BeforeValidator(scalars.read_interface),
    _written(_OCTETS + _LENGTH, "192.168.100.99/24"),
]
WrittenPrefix = Annotated[
    Prefix,
    BeforeValidator(scalars.read_network),
    _written(_OCTETS + _LENGTH, "192.168.100.0/24"),
]
InterfaceName = Annotated[
    str,
    BeforeValidator(scalars.read_interface_name),
    _written(scalars.INTERFACE_NAME.pattern, "eth1"),
]
HostName = Annotated[
    str, BeforeValidator(scalars.read_host_name), _written(scalars.HOST_NAME.pattern, "noeud1")
]
SysctlName = Annotated[
    str,
    BeforeValidator(scalars.read_sysctl_name),
    _written(scalars.SYSCTL_NAME.pattern, "net.core.rmem_max"),
]
Password = Annotated[
    str,
    BeforeValidator(scalars.read_password),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": f"^{scalars.PASSWORD.pattern}$"},
                {"type": "integer"},
            ]
        }
    ),
]
Flag = Annotated[bool, BeforeValidator(scalars.read_flag), Field(examples=["true"])]
Port = Annotated[int, Whole(1, 65535)]
PortRange = Annotated[
    tuple[int, int],
    BeforeValidator(scalars.read_ports),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 1, "maximum": 65535},
                {
                    "type": "string",
                    "pattern": f"^{scalars.PORTS.pattern}$",
                    "examples": ["20000-60000"],
                },
            ]
        }
    ),
]
Priority = Annotated[int, Whole(1, 254), BeforeValidator(scalars.read_priority)]
Seconds = Annotated[int, Whole(1, 2_678_400)]
PortList = Annotated[tuple[PortRange, ...], BeforeValidator(scalars.read_port_list)]
