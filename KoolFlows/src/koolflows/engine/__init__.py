"""BPMN: reading diagrams, running them, drawing them. Pure: no database, network or clock."""
