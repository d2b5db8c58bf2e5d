"""The command line: drop files, follow runs, read mails, predict; here or on AWS."""
