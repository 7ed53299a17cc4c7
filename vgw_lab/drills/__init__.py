"""A fault on purpose, measured and judged: `drill`, `verdict`, and `course`, the sheet's own steps."""
