"""The terms that a tag may have.

terms.py     Term and Vocabulary: kinds, synonyms, parents, exclusions, their closures
bundled.py   LesaNet's ontology as this project ships it, and what is corrected in it
user_terms.py  terms that a user adds by TOML
freezing.py  LesaNet's spreadsheet into the bundled file
"""
