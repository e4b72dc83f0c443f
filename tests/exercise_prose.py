"""Keys from items that tell no network layer by layer: a sentence, its numbers, and arithmetic.

The rules stand in `exercise_rules_*`: each is the sentence as a pattern and the arithmetic that a teacher would write
on the board. Nothing of rfcalc is used but the item's text.
"""

from __future__ import annotations

import re

import exercise_rules_costs
import exercise_rules_layers
import exercise_rules_named
from exercise_page import Page
from exercise_rules import RULES, Say
from exercise_text import Unreadable, words

KNOWN = (exercise_rules_named, exercise_rules_layers, exercise_rules_costs)  # importing them registers their rules


def prose(item: Page) -> Say:
    """The key of every blank of an item that some rule reads.

    Raises:
        Unreadable: no rule does.
    """
    text = " ".join(words(item).split())
    for sentence, function in RULES:
        said = re.search(sentence, text)
        if said:
            found = function(item, *said.groups())
            return {item.blanks[0].name: found} if isinstance(found, str) else found
    raise Unreadable(text[:80])
