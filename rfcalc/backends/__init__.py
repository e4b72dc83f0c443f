"""Frameworks: one folder each, loaded only when it is asked for; none imports another, and nothing below imports one."""
