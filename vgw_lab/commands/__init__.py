"""`vgw lab`, `vgw demo`, `vgw drill` and their verbs."""
