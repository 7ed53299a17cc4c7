"""What other programs write into the kernel, recorded, for tests of all tiers.

`*.nft` are for `nft -f`, `*.rules` for `iptables-nft-restore` and `iptables-legacy-restore`: ufw 0.36.2 by `ufw enable`, firewalld 1.3.3
as installed, Docker 20.10.24 on a host that forwarded nothing before; each also with the mend that we name, applied by the program itself
(`-mended`). `*.tape` are the kernel's own answers about some of them, for tests without root: `python -m tests.rulesets.record` makes them.
"""

from pathlib import Path

RULESETS = Path(__file__).parent
