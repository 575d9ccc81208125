"""The fronts: each turns one wire form into service calls and back."""
