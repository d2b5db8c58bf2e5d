"""What the functions share: the run's names and folder, the schema, the registry, the refusals."""
