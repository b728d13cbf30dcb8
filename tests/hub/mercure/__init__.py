"""
Tests for L{twisted_sse.hub.mercure}.
"""
