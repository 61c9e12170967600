"""Images published in the cloud: checked, cleaned up, withdrawn; and their bases renewed."""
