"""The signer: the only code of theDDT that touches a private key.

``pkakey_signers.client`` is what other processes import; ``python -m pkakey_signers`` is the
process that holds the keys. They speak the frames of ``pkakey_signers.frames`` over a Unix socket.
"""
