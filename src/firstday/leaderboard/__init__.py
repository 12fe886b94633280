"""Leaderboard: all methods on the same cold users of the same datasets."""
