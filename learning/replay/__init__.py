"""Replaying annotated files as if they were being labelled now: did choosing pay?"""
