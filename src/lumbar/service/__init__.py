"""The service: it receives studies from an archive, a DICOM receiver or a browser, analyzes them in worker processes, and returns the results."""
