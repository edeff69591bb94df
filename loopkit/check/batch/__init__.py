"""A whole class: each program examined in a process, a folder and a network of its own.

students.py   who is there, and which file is whose program
rubric.py     what each check is worth
alone.py      the process in which one program is examined: its network, its limits
marking.py    runs them, several at once; remembers who was marked
marks.py      what one student's examinations come to
tables.py     the marks as lines, as CSV and as a page
"""

from __future__ import annotations
