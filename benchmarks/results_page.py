"""Write docs/results.md from the descriptions beside this file and the CSV files in results/."""

from pathlib import Path

from pnp.comparing.page import write_page

HERE = Path(__file__).parent

if __name__ == "__main__":
    write_page(HERE, HERE.parent / "docs" / "results.md")
