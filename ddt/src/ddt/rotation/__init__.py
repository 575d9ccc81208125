"""Another value for a secret of the running platform: nothing lost, whole or to be finished."""
