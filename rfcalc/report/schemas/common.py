"""What the documents' fields share."""

from __future__ import annotations

from typing import Annotated

Count = Annotated[int, ("minimum", 0)]
Positive = Annotated[int, ("minimum", 1)]
Text = Annotated[str, ("minLength", 1)]
Size = Annotated[int | str, "a whole number; a symbolic formula as text"]
Maybe = int | str | None
