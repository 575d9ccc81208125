"""KoolFlows: the workflow service of theDDT.

Layers: config > fronts > services > selectors > store, beside the pure engine.
"""
