"""What a node's side of the pair writes for others to find: for keepalived, for commands, for the next agent."""

from appliance import ApplianceError, system
from appliance.pair import steps
from appliance.pair.steps import Settled
from appliance.processes import notes
from appliance.run_dir import RunDir
from appliance.status import events
from appliance.status.events import Event


class NodeFiles:
    """The real ones, in the run directory."""

    def __init__(self, run_dir: RunDir) -> None:
        self.run_dir = run_dir

    def is_ready(self) -> bool:
        """Whether keepalived was told that this node may be MASTER."""
        return notes.is_ready(self.run_dir)

    def tell_keepalived(self, *, ready: bool, aside: bool) -> None:
        """Say in its tracked files whether this node may be MASTER, and whether it ranks below its peer."""
        notes.set_ready(self.run_dir, ready=ready)
        notes.set_aside(self.run_dir, aside=aside)

    def is_asked_aside(self) -> bool:
        """Whether a switchover's note is there."""
        return notes.is_asked_aside(self.run_dir)

    def withdraw_note(self) -> None:
        """Take it away."""
        notes.ask_aside(self.run_dir, asked=False)

    def settled(self) -> Settled | None:
        """For whom conntrackd was told its part; None where no agent has kept that."""
        return steps.from_text(system.read(self.run_dir.settled) or "")

    def remember(self, settled: Settled) -> None:
        """Keep that for the next agent; where it cannot be kept, what was so before must not be believed."""
        try:
            system.put(self.run_dir.settled, steps.to_text(settled))
        except ApplianceError:
            system.remove(self.run_dir.settled)
            raise

    def record(self, event: Event) -> None:
        """Write an event."""
        events.append(self.run_dir, event)
