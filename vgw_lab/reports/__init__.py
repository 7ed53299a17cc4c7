"""What a drill leaves for people: a table in the terminal, a page, plots."""
