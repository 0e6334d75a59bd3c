"""Reports of load runs: a record in; HTML, CSV and a table out. Reads nothing but its templates."""
