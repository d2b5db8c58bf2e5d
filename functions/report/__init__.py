"""Report: how a run ended, to its folder, the registry and the email."""
