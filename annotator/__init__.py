"""The web side: people, campaigns, queries, annotations."""
