"""The service: it takes studies from an archive, a DICOM receiver or a browser, analyzes them in worker processes, and gives the results back."""
