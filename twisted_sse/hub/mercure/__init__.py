"""
The Mercure protocol.
"""
