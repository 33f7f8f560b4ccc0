"""Networks: their definitions, by the paper's layer names, and their weights."""
