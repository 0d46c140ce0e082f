"""The Requirement Generator: from the task's words and a profile of the data to one sentence and typed, validated facts.

What the user asked for is read from the task and the options alone; a cell or header of the data never changes it.
"""
