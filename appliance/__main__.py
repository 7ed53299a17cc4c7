"""The command `vgw`: how it begins, and how it ends with a message and a telling exit code.

`vgw health` alone goes by no command line: to import that takes ten times what the check does.
"""

import gc
import sys

from appliance import ApplianceError


def main() -> None:
    """Run a command; an error of ours ends as one message on stderr and its own exit code."""
    gc.disable()  # what a command imports stays to its end, and most end soon
    try:
        if sys.argv[1:] == ["health"]:
            from appliance.commands import health_check

            health_check.tell()
        else:
            from appliance.commands import cli

            cli.run(sys.argv[1:])
    except ApplianceError as error:
        sys.stderr.write(f"{error.before}{error}\n")
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.stderr.write("vgw: stopped\n")
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(141)


if __name__ == "__main__":
    main()
