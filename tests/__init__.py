"""
The tests of twisted-sse: C{python -m pytest} and C{python -m twisted.trial tests}.
"""

from __future__ import annotations

try:
    from hypothesis import settings
except ImportError:
    pass
else:
    # By default an example that takes longer than 200 ms fails, which happens on a busy machine.
    settings.register_profile("unhurried", deadline=None)
    settings.load_profile("unhurried")
