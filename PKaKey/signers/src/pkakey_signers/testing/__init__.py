"""Stand-ins and builders for tests of whatever uses the signer. Not for production."""
