"""Language models that help the rules to understand a task, behind one small interface.

An answer is never trusted: it is checked against the data and the task's words, and can't change what options or rules settled.
"""
