"""The same patient on a worse scan: what an acquisition does to CT, in physical units.

kernel.py      the reconstruction kernel as a transfer function: smoother or sharper
dose.py        quantum noise, coloured by the ramp filter of the reconstruction
metal.py       metal in the field of view: beam hardening and starved rays, projected back
thickness.py   thicker slices: an average along the patient
random.py      one of them or several, drawn for training

HU in, HU out; (slices, rows, columns), any spacing. Every random function takes a Generator.
"""
