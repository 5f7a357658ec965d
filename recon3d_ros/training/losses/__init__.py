"""Loss terms, their table, and predictions beside the truth as they see them."""
