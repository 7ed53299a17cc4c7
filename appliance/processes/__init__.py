"""supervisord and the programs that it runs: `supervise` is the node's first process."""
