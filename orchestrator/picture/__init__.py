"""Space-time diagrams of a history: `picture(records)` gives one self-contained HTML page.

from orchestrator.picture import Focus, picture
page = picture(records, focus=Focus(stale=1))
"""

from orchestrator.picture.focus import Focus, parse_focus
from orchestrator.picture.page import Drawn, draw, picture, write_picture

__all__ = ["Drawn", "Focus", "draw", "parse_focus", "picture", "write_picture"]
