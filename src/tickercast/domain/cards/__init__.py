"""The card of a model, and the pages made from it."""
