"""Blocking calls of simulated sockets in simulated threads: TLS, and waiting for one of several."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "surface"))
