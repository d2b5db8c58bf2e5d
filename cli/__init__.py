"""The command line: upload files, follow runs, read emails, predict; here or on AWS."""
