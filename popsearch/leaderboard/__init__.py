"""All studies on the same data, features and split, best first: python -m popsearch leaderboard."""
