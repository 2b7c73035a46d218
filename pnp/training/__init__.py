"""Training: recipes, the loop that carries them out, and what it leaves behind."""
