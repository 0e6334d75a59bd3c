"""A history in the forms of other tools: Perfetto, ShiViz, Mermaid."""
