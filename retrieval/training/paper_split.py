"""The paper's division of typed DeepLesion patients: 25 % seeds, 25 % validation, 50 % test.

Yan et al., CVPR 2018, section 4. The division itself was never published. This one is a function
of the patient's id and a seed alone, so that training and evaluation agree on every patient even
where one of them sees only a part of the archive.
"""

from __future__ import annotations

import hashlib

from retrieval.lesion import Split


def paper_part(patient_id: str, *, seed: int) -> Split:
    """The patient's part; TRAIN stands for the seeds, whose types are known."""
    digest = hashlib.sha256(f"{seed} {patient_id}".encode()).digest()
    share = int.from_bytes(digest[:8], "big") / 2**64
    if share < 0.25:
        return Split.TRAIN
    return Split.VALIDATION if share < 0.5 else Split.TEST
