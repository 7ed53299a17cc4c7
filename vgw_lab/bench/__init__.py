"""The pair beside other ways to build one, measured in the lab: same faults, same load, same wires."""
