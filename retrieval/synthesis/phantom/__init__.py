"""Seeded phantom patients, written in DeepLesion's own layout.

config       PhantomConfig: how many patients, the seed, the image size
points       where pixels lie in the patient: Points, SliceGrid
fields       seeded smooth random fields and plane waves
shapes       signed distances: ellipsoids, tubes, flattened ellipses
torso        outlines that vary with body height: skin, muscle, cavity, diaphragm, lungs
organs       one patient's organs, placed and varied
skeleton     spine, ribs, shoulder and pelvic bones
vessels      trees of vessels grown into an organ
tissues      Hounsfield units of tissues by contrast phase
anatomy      Anatomy: all of the above for one patient
lesions      shape, texture and margin of one physical lesion
sites        where lesions of a type occur
history      which lesions a patient's studies show, grown, shrunk, new or gone
compositions  which textures and margins lesions of a type have
acquisition  field of view, position, breathing, phase, kernel, noise of one study
canvas       the slice being painted
gut          walls and contents of the gut
painting     anatomy and lesions to tissue HU on one slice
scanning     one slice as a scanner would give it
marking      RECIST mark, box and location from a lesion's cross-section
patient      one whole patient: rows, slices, tracks
archive      generate_archive: patients to disk, resumable
"""
