"""Example of what a service can do."""

from __future__ import annotations

CAPABILITIES_EXAMPLE = {
    "detect": True,
    "measure": True,
    "follow": True,
    "forecast": True,
    "measured": True,
    "categories": True,
    "report": True,
    "pacs": False,
    "study_list": False,
    "write": True,
    "mine": ["folders"],
}
