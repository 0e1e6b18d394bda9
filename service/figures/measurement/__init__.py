"""What is written of a measured lesion beside its JSON.

files    its mask on the voxels of its image: NIfTI, NRRD, DICOM SEG
seg      the DICOM SEG, by highdicom
picture  outline and lines on slices
"""
