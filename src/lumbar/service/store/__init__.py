"""What the service remembers, in one SQLite file: jobs, studies, versions of results, sessions, and who saw what."""
