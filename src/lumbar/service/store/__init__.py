"""Persistent data of the service in one SQLite file: jobs, studies, versions of results, sessions, and the audit log."""
