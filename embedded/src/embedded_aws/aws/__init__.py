"""What all services share: scopes, protocols, errors, permissions, tables and pages."""
