"""The certificate authority engine: bytes and times in, decisions out.

No database, network, clock or framework is reached from here; time is an argument, and a private
key is never held (``pkakey_engine.testing`` has a stand-in for tests).
"""
