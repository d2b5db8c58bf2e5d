"""The embedded AWS: MiniStack, plus the SageMaker that it lacks, in one process on 127.0.0.1."""
