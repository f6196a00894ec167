"""Inputs that no client should send, for both doors, from a seed; and whether the server minds."""
