"""What people bring becomes a network: names, files, models of frameworks, pasted text, the user's own code.

`target` says what a user may name. A framework has a folder each, loaded only when it is asked for; none imports
another, nothing below imports one. `imported` is what all readers hand back.
"""
