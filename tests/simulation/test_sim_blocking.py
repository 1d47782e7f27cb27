"""Blocking calls of simulated sockets in simulated threads: TLS, and waiting for one of several."""

from __future__ import annotations

import asyncio
import select
import socket
import ssl
import sys
import time
from pathlib import Path

import pytest
import soliloop

sys.path.insert(0, str(Path(__file__).parent.parent / "surface"))
