"""Copies of studies without identity: an allow-list of attributes, identifiers from a secret, dates shifted per patient, pixels checked."""
