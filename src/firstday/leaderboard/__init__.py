"""Leaderboard: every method on the same cold users of the same datasets."""
