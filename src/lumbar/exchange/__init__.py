"""Findings as objects that hospital systems read: DICOM SEG, SR, PDF and key images, FHIR; and copies of studies without identity."""
