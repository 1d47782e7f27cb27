"""Other packages' surfaces over soliloop's loop, for programs that were written against them.

Each module is imported by name; nothing of soliloop's core imports them, and they
use its public names only.
"""
