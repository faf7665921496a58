"""How good a trained density is: numbers with intervals and floors, pictures, and a report of both."""
