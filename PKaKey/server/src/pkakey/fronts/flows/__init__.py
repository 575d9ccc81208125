"""What KoolFlows asks of PKaKey: internal addresses that no gateway routes."""
