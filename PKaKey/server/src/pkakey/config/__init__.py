"""The outermost layer: settings, addresses, wiring, processes."""
