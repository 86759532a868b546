"""What people read from the warehouse and the model store, as typed values."""
