"""Frameworks: a folder each, loaded only when it is asked for; none imports another, nothing below imports one."""
