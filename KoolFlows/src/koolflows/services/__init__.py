"""The use cases. Only services and selectors open transactions."""
