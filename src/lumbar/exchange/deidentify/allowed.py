"""Attributes that a de-identified image may hold. All others are removed, including other private elements and overlays."""

UIDS = ("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID")  # replaced
CLASS_UIDS = ("SOPClassUID",)  # kept where they are the standard's
DATES = ("StudyDate", "SeriesDate", "AcquisitionDate", "ContentDate")  # shifted
NUMBERS = (  # kept where they are numbers
    "SeriesNumber", "AcquisitionNumber", "InstanceNumber", "NumberOfFrames", "EchoNumbers", "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing",
    "SliceThickness", "SpacingBetweenSlices", "SliceLocation", "RepetitionTime", "EchoTime", "EffectiveEchoTime", "InversionTime", "InversionTimes",
    "FlipAngle", "EchoTrainLength", "NumberOfAverages", "MagneticFieldStrength", "ImagingFrequency", "PixelBandwidth", "PercentSampling",
    "PercentPhaseFieldOfView", "AcquisitionMatrix", "DiffusionBValue", "RescaleSlope", "RescaleIntercept", "WindowCenter", "WindowWidth", "Rows", "Columns",
    "SamplesPerPixel", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "PatientSize", "PatientWeight", "InStackPositionNumber",
    "DimensionIndexValues", "TemporalPositionIndex",
)  # fmt: skip
WORDS = (  # free text and code strings: only words of the vocabulary are kept
    "Modality", "ImageType", "FrameType", "BodyPartExamined", "ScanningSequence", "SequenceVariant", "ScanOptions", "MRAcquisitionType", "PatientPosition",
    "PhotometricInterpretation", "RescaleType", "SeriesDescription", "ProtocolName", "SequenceName", "PulseSequenceName", "Manufacturer", "PatientSex",
    "EchoPulseSequence", "InPlanePhaseEncodingDirection", "StackID", "VolumetricProperties", "VolumeBasedCalculationTechnique", "ComplexImageComponent",
    "AcquisitionContrast", "PixelPresentation",
)  # fmt: skip
SEQUENCES = (  # entered; the same rules hold inside
    "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence", "PixelMeasuresSequence", "PlaneOrientationSequence", "PlanePositionSequence",
    "MRTimingAndRelatedParametersSequence", "MREchoSequence", "MRModifierSequence", "MRImageFrameTypeSequence",
    "MRDiffusionSequence", "PixelValueTransformationSequence", "FrameVOILUTSequence", "FrameContentSequence", "MRFOVGeometrySequence",
    "MRAveragesSequence",
)  # fmt: skip
SAFE_PRIVATE = (  # of PS3.15 table E.3.10-1: numbers without which grey values of Philips images cannot be compared, and diffusion weightings
    (0x2005, "Philips MR Imaging DD 001", 0x0D), (0x2005, "Philips MR Imaging DD 001", 0x0E), (0x2001, "Philips Imaging DD 001", 0x03),
    (0x0019, "SIEMENS MR HEADER", 0x0C),
)  # fmt: skip
VOCABULARY = frozenset(
    """
    MR ORIGINAL DERIVED PRIMARY SECONDARY OTHER M M_SE M_FFE M_IR P R I FFE SE IR GR EP RM SK SP SS MP MTC OSP NONE NORM DIS2D DIS3D FM FIL ND
    WATER FAT W F IN_PHASE OUT_PHASE IP OP PHASE MAGNITUDE MIXED MPR RESAMPLED LOCALIZER AXIAL SAGITTAL CORONAL VOLUME MONOCHROME1 MONOCHROME2 US
    LSPINE SPINE TSPINE LUMBAR LUMBOSACRAL LS L-SPINE LWS WS BACK MUSCLE SAG TRA AX COR OBL SAGITTAL AXIAL TRANSVERSE TRANS CORONAL OBLIQUE
    T1 T2 T1W T2W PD PDW STIR TIRM DIXON SPIR SPAIR FS FATSAT FAT SAT TSE FSE FRFSE SPACE VISTA CUBE 2D 3D HR LOC SCOUT SURVEY FLAIR DWI DTI ADC
    POST PRE CONTRAST GD MYELO MEDIC MERGE VIBE FLASH GRE FL2D FL3D TSE2D1 TSE2D TSE3D SPC SE2D1 TIR2D1 PFP FC SAT1 SAT2 SFS PFF HFS HFP FFS FFP HFDR HFDL
    FFDR FFDL ROW COL YES NO UNIFORM DISTORTED SAMPLED T2_STAR DIFFUSION PROTON_DENSITY TRUE COLOR MONOCHROME SPIN GRADIENT BOTH
    SIEMENS HEALTHINEERS PHILIPS MEDICAL SYSTEMS GE HEALTHCARE GEMS TOSHIBA CANON HITACHI FUJIFILM ESAOTE UNITED IMAGING UIH BRUKER HEALTH
    LEFT RIGHT BILATERAL F M O L1 L2 L3 L4 L5 S1 T12 L1/2 L2/3 L3/4 L4/5 L5/S1 WITH WITHOUT AND OF THE
    """.split()  # noqa: SIM905  (a list of quoted words would fill a page)
)
OLDEST_YEARS = 89  # ages above are written as 90
