"""What is known of a pair that works, and any other thing that may be known."""

from hypothesis import strategies as st

from appliance.conntrack.orders import Queues
from appliance.pair.facts import Facts
from appliance.pair.progress import Progress
from appliance.vrrp import Role

from .snapshots import PEER
from .test_beat import BEATS

QUIET = Queues(0, 0, 0)
# A standby that outranks the MASTER, a moment after its replicas came.
FACTS = Facts(
    plain=False,
    never=False,
    outranks=True,
    hold=3.0,
    even=True,
    role=Role.BACKUP,
    carries=True,
    unfit="",
    ruleset=True,
    electable=True,
    asked=False,
    listened=True,
    quiet=0.1,
    still=0.0,
    deaf=None,
    advertised=True,
    spoke_last=True,
    missed=False,
    outranked=False,
    silence=0.1,
    patience=0.4,
    macs=(),
    parted=False,
    peer=PEER,
    peers_roles=(),
    peers_quiet=0.2,
    peers_still=0.1,
    wide=1500,
    hears=1500,
    same_file=True,
    entries=1000,
    limit=262_144,
    arrived=frozenset(),
    generation=7,
    queues=QUIET,
    outcome=None,
    leisure=True,
)
PROGRESS = Progress(fresh=True, waited=0.3, settling=False, overrun=False)

SECONDS = st.floats(0, 60)
FACTS_OF_ANY_KIND = st.builds(
    Facts,
    plain=st.booleans(),
    never=st.booleans(),
    outranks=st.booleans(),
    hold=st.floats(0, 300),
    even=st.booleans(),
    role=st.sampled_from(Role),
    carries=st.booleans(),
    unfit=st.sampled_from(["", "eth1 has lost this node's address"]),
    ruleset=st.booleans(),
    electable=st.booleans(),
    asked=st.booleans(),
    listened=st.booleans(),
    quiet=st.none() | SECONDS,
    still=st.none() | SECONDS,
    deaf=st.none() | SECONDS,
    advertised=st.booleans(),
    spoke_last=st.booleans(),
    missed=st.booleans(),
    outranked=st.booleans(),
    silence=SECONDS,
    patience=SECONDS,
    macs=st.just(()),
    parted=st.booleans(),
    peer=st.none() | BEATS,
    peers_quiet=st.none() | SECONDS,
    peers_still=st.none() | SECONDS,
    wide=st.integers(0, 65_535),
    hears=st.integers(0, 65_535),
    same_file=st.booleans(),
    entries=st.integers(0, 10**6),
    limit=st.integers(1, 10**6),
    arrived=st.frozensets(st.integers(0, 99), max_size=3),
    generation=st.sampled_from([0, 7, 8]),
    queues=st.none() | st.builds(Queues, *[st.integers(0, 1 << 22)] * 3),
    outcome=st.none(),
    leisure=st.booleans(),
)
