"""The node beside an archive: it follows Orthanc, analyzes what arrives and sends the results back."""
