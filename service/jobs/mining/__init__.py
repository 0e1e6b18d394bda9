"""Mining as a job: what is kept between runs, and the run itself.

layout.py        where a run writes
header_index.py  HeaderIndex: headers of a whole source, read once, found by UID
journal.py       MiningJournal: carriers read, patients finished, their verdicts
run.py           mine_marks: all marks of a source, killed and resumed at any moment
tables.py        dates of studies, points, names of what was refused
work.py          MiningJob: under which names, in which folders
pictures.py      what was mined and what was refused, as a picture
kept.py          kept marks by the source's own identifiers, for reports
"""
