"""What people see: tables, sentences, charts and reports, made from values."""
