"""The loop that fires timers and does service tasks."""
