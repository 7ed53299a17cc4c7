"""The clocks of the pair depend on each other: what must be longer than what, and that the design lists them all."""

import re
from importlib import import_module
from pathlib import Path

from appliance.agent import claimants, guard, loop, takeover
from appliance.commands import switchover
from appliance.conntrack import table
from appliance.filters import leaving
from appliance.pair import (
    beat,
    canaries,
    contest,
    degraded,
    election,
    mac_frames,
    readiness,
    replication,
    replication_master,
    replication_standby,
    replication_state,
    resync,
    side,
    standstill,
    sync_path,
    voice,
)
from appliance.planning import lease, virtual_macs
from appliance.status import health
from appliance.wires import uplink
from vgw_lab.simulation import lease as simulated

ROOT = Path(__file__).parents[2]
# A constant in seconds: it says so behind it, or in the comment above it.
CLOCK = re.compile(
    r"^(?:# [^\n]*\bseconds\b[^\n]*\n)?([A-Z][A-Z_]+) = ([\d.]+)(?:  # seconds[^\n]*)?$",
    re.MULTILINE | re.IGNORECASE,
)
ROW = re.compile(r"^\| `([\w.]+)\.([A-Z_]+)` \| ([\d.]+) \|", re.MULTILINE)


def test_a_beat_that_is_lost_is_not_silence() -> None:
    assert beat.BEAT_SILENCE >= 4 * beat.BEAT_INTERVAL
    assert lease.BEATLESS >= beat.BEAT_SILENCE
    assert simulated.LED == lease.LED
    assert max(beat.BEAT_SILENCE, loop.TICK) <= standstill.STANDSTILL
    assert standstill.HUSH <= beat.BEAT_INTERVAL, "no beat is missed but the one that is due"
    assert standstill.HUSH < standstill.WAKING < standstill.STANDSTILL < standstill.TOLD_FOR
    assert standstill.STANDSTILL < standstill.OVERSLEPT
    assert readiness.FIRST < readiness.GRACE
    assert readiness.GRACE >= beat.BEAT_SILENCE, (
        "a peer that beats is heard before a node goes on alone"
    )
    assert readiness.DOUBT > beat.BEAT_INTERVAL, "the other's word has had the time to come"


def test_the_way_out_is_dead_after_some_samples_and_not_after_one() -> None:
    assert 2 * uplink.SAMPLE_INTERVAL < readiness.SILENT < 3 * uplink.SAMPLE_INTERVAL
    assert readiness.AHEAD >= uplink.SAMPLE_INTERVAL, "the nodes do not ask at the same moment"
    assert readiness.RETURN >= readiness.SILENT
    assert readiness.LONG_BEFORE >= readiness.SILENT + readiness.RETURN
    assert readiness.STILL > readiness.STILL_AHEAD


def test_two_that_hold_the_vgw_have_had_the_time_to_let_go() -> None:
    assert contest.TWO > readiness.DOUBT + readiness.STILL + loop.TICK


def test_a_claim_of_the_vgw_is_judged_after_the_answers_are_there() -> None:
    assert claimants.UNKNOWN_SECONDS >= claimants.ASK_SECONDS + loop.TICK
    assert claimants.ANSWER_SECONDS >= 3 * claimants.ASK_SECONDS
    assert claimants.RECENT_SECONDS > claimants.UNKNOWN_SECONDS + 3 * loop.TICK
    assert loop.TICK < claimants.SAME_SECONDS < claimants.ASK_SECONDS
    assert claimants.BLIND_SECONDS > 2 * loop.TICK


def test_each_window_has_a_try_with_long_packets() -> None:
    assert sync_path.WINDOW >= sync_path.STRETCH + beat.BEAT_INTERVAL


def test_a_canary_is_missed_after_the_next_one_was_planted() -> None:
    assert canaries.CANARY_INTERVAL < degraded.BEHIND < degraded.CANARY_PATIENCE
    assert beat.BEAT_INTERVAL <= canaries.AWAITED_INTERVAL < canaries.CANARY_INTERVAL
    assert canaries._KEPT * canaries.AWAITED_INTERVAL > 3 * degraded.CANARY_PATIENCE
    assert canaries.CANARY_INTERVAL < canaries.STAYS < table.CANARY_TIMEOUT
    assert table.CANARY_TIMEOUT > degraded.CANARY_PATIENCE, (
        "it is there for as long as it is awaited"
    )
    assert resync.REQUEST_SPARE >= canaries.CANARY_INTERVAL
    assert side.WATCH < beat.BEAT_INTERVAL


def test_a_mend_is_given_the_time_to_help_before_the_next() -> None:
    assert replication.CONNTRACKD_RESTART_INTERVAL > 3 * degraded.CANARY_PATIENCE
    assert replication_standby.REQUEST_INTERVAL > degraded.CANARY_PATIENCE
    assert loop.TICK < replication_standby.SHORT_PATIENCE < replication_standby.REQUEST_INTERVAL
    assert replication_standby.SHORTAGE_INTERVAL > readiness.REPLICAS_PATIENCE
    assert replication_master.OVERRUN_INTERVAL > replication_standby.REQUEST_INTERVAL
    assert replication_state.RETRY_INTERVAL >= beat.BEAT_INTERVAL
    assert readiness.REPLICAS_PATIENCE > resync.RESYNC_PATIENCE > resync.ALONE > beat.BEAT_SILENCE
    assert election.AGAIN < election.DEAF_PATIENCE < election.STUBBORN
    assert election.KEEPALIVED_RESTART_INTERVAL > election.STUBBORN + election.MARGIN
    assert election.GAP > loop.TICK


def test_a_new_master_is_given_the_time_to_forward() -> None:
    assert takeover.TAKEOVER_STEP < takeover.FIRST_PACKET_PATIENCE
    assert switchover.BARRIER_SECONDS > degraded.CANARY_PATIENCE
    assert switchover.NEWS_SECONDS > loop.TICK
    assert health.STATUS_SILENCE > 2 * loop.TICK
    assert guard.NO_RULES_SECONDS > 2 * loop.TICK, "a repair comes first"


def test_a_standby_hears_several_frames_before_it_complains() -> None:
    assert mac_frames.MAC_PATIENCE >= 4 * virtual_macs.REFRESH
    assert voice.KEEP <= beat.BEAT_SILENCE
    assert voice.CALL < beat.BEAT_INTERVAL


def test_a_flow_that_asks_again_is_met_by_several_looks() -> None:
    assert 2 * loop.TICK <= leaving.STALL_SECONDS < leaving.CHOSEN_SECONDS
    assert leaving.NONE_SETS_OUT < leaving.NO_NEWS <= readiness.FLAP_MEMORY / 3, (
        "a node that is believed too soon is one of a series, and waits"
    )


def test_the_longest_hold_forgets_no_series() -> None:
    assert readiness.FLAP_MEMORY > readiness.LONGEST_HOLD


def listed() -> dict[tuple[str, str], float]:
    """The table "Clocks" of the design."""
    text = (ROOT / "docs" / "design.md").read_text(encoding="utf-8")
    section = text.partition("\n## Clocks\n")[2].partition("\n## ")[0]
    return {(module, name): float(value) for module, name, value in ROW.findall(section)}


def test_the_design_lists_each_clock_with_its_value() -> None:
    rows = listed()
    assert rows, "docs/design.md has no table of clocks"
    for (module, name), value in rows.items():
        assert getattr(import_module(f"appliance.{module}"), name) == value, f"{module}.{name}"


def test_no_clock_of_pair_and_agent_is_missing_in_the_design() -> None:
    missing = []
    for package in ("agent", "pair"):
        for path in sorted((ROOT / "appliance" / package).glob("*.py")):
            for found in CLOCK.finditer(path.read_text(encoding="utf-8")):
                named = "second" in found.group().lower()
                if named and (f"{package}.{path.stem}", found[1]) not in listed():
                    missing.append(f"{package}.{path.stem}.{found[1]}")
    assert missing == [], "give each a row under Clocks in docs/design.md"
