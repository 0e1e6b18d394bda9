"""What readers measured (bookmarks), from every carrier that holds it, as one type.

mark.py      Mark: points on one CT instance, stated lengths, finding, tracking ids, reader, date
verdicts.py  what becomes of a mark: the words, Refusal, JudgedMark
planes.py    ImagePlane: where an instance lies in the patient; how instances are found
reading.py   read_marks: a file of any carrier -> marks and refusals; the registry of readers
sr.py gsps.py seg.py rtstruct.py aim.py csv.py   one reader a carrier
content/     what they share: concepts, graphics, trees, words
meaning/     judge_marks: pairing, lesion or anatomy, lengths cross-checked, the box
"""
