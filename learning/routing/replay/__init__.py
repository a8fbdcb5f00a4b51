"""Whether routing would have paid: people and a judge answer a file again, within budgets."""
