"""Application Auto Scaling, which MiniStack lacks, for the services that the server registers."""
