"""Where the lesions are: boxes with scores on a key slice, candidates in a volume.

detector        LesionDetector: slices in, proposals out; detector files
network         torchvision's one-stage detectors over a pyramid with 3D context
close_look      places seen a second time, enlarged
whole_slice     a slice on the detector's grid, and the way back
proposals       Proposal: a proposed box with its score; the diameter a box speaks for
on_patient      boxes within the image, none beside the patient
calibration     a score as the probability of a lesion
merging         overlapping raw detections into one proposal each: NMS, weighted box fusion
volumes         per-slice proposals of a series into 3D candidates

recipe          everything that decides a training run
train           the loop
training_data   slices with their marks, and where else a lesion is known to be
slice_cache     every training slice cut once
batches         slices drawn, augmented and cropped
painting        lesions painted into slices of real CT
missing_marks   losses that forgive what nobody has marked
"""
