"""The smallest typer program that prints a rich table of 24 × 8 cells: the measure for `rfcalc table vgg16`."""

import typer
from rich.console import Console
from rich.table import Table

app = typer.Typer()


@app.command()
def table(name: str) -> None:
    grid = Table()
    for column in range(8):
        grid.add_column(f"column {column}")
    for row in range(24):
        grid.add_row(*(f"{name} {row} {column}" for column in range(8)))
    Console().print(grid)


if __name__ == "__main__":
    app()
