"""What other programs' filters on this machine do with what passes the gateway.

Read `verdicts`: may a chain drop a packet, must it? Then `packets` (of which not all is known) and `crossings` (what has to
pass, and by which hooks), `nft_rules` and `legacy_rules` (rules as the kernel runs them), `kernel` (who has some here),
`whose` (the sentence, with the mend), and `leaving`, which sees what no look at rules can: that nothing leaves.
"""
