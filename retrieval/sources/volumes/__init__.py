"""Volumes in one file (or a header with its data): NIfTI, NRRD and MetaImage, told by content.

reading.py      read_volume and volume_slab: any of them; what kind a file is; what it claims
stored.py       StoredVolume: values as stored, where they lie, what they are declared to be
blocks.py       a block of numbers after a header, raw or compressed, never more than it claims
beside.py       the data file of a detached header, and the header of a data file
nifti.py        NIfTI-1 and -2, single files and pairs; nifti_axes.py: sform against qform
nrrd.py         NRRD, attached and detached
meta_image.py   MetaImage: MHA, and MHD with its raw file
"""
