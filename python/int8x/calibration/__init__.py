"""Running a float model over data and keeping exact, mergeable statistics of its tensors."""
