"""The words of verdicts: clauses that several kinds of targets share, and sentences of clauses."""
